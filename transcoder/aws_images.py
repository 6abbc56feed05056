"""EC2's images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transcoder.aws_noun import Noun
from transcoder.aws_shapes import read_image, tag_filters
from transcoder.errors import Refused
from transcoder.model import Image


class Images(Noun):
    """Our own images, and the stock image that they are baked from. Looks only."""

    def images(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Image, ...]:
        """Return our own images with these ids and tags, newest last."""
        filters = tag_filters(tags)
        if ids:
            filters.append({"Name": "image-id", "Values": list(ids)})
        found = self._calls.call("ec2", "describe_images", Owners=["self"], Filters=filters)["Images"]
        images = (read_image(item) for item in found)
        return tuple(sorted(images, key=lambda image: (image.created, image.id)))

    def stock_image(self) -> Image:
        """Return the stock image that the environment bakes from: the one named, or the newest that matches.

        :raises Refused: when there is none.
        """
        wanted = self._settings.image.source_ami
        by_id = {"ImageIds": [wanted.id]} if wanted.id else {"Owners": wanted.owners}
        filters = [] if wanted.id else [{"Name": "name", "Values": [wanted.name]}]
        filters.append({"Name": "state", "Values": ["available"]})
        request = {**by_id, "Filters": filters, "IncludeDeprecated": wanted.include_deprecated}
        found = [read_image(item) for item in self._calls.call("ec2", "describe_images", **request)["Images"]]
        if not found:
            sought = wanted.id or f"{wanted.name} of {', '.join(wanted.owners)}"
            raise Refused(f"there is no stock image {sought} in {self._settings.aws.region}", hint="image.source_ami")
        return max(found, key=lambda image: (image.created, image.id))
