"""EC2's images, and who launches from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transcoder.aws_errors import Answered
from transcoder.aws_noun import Noun
from transcoder.aws_shapes import read_image, tag_filters, tagged
from transcoder.errors import Refused
from transcoder.model import Image, ImageUse
from transcoder.world import ImageCopy

NEWEST = ("$Latest", "$Default")
"""The versions of a launch template that a launch takes which names none."""

NO_SUCH_SERVICE = frozenset({"InvalidAction", "UnknownOperationException", "UnsupportedOperation", "404"})
"""What an EC2 that is not Amazon's answers for a service that it does not have."""


class Images(Noun):
    """Our own images, their copies and ends, and the stock image that they are baked from."""

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

    def copy_image(self, copy: ImageCopy) -> str:
        """Begin a copy of another region's AMI into this one; return its id. `images` tells when it is ``available``.

        The tags are on the AMI and on its snapshots. Repeated: it carries the token.
        """
        key = {"KmsKeyId": copy.kms_key_id} if copy.kms_key_id else {}
        encryption = {"Encrypted": True, **key} if copy.encrypted or copy.kms_key_id else {}
        reply = self._calls.call(
            "ec2",
            "copy_image",
            SourceRegion=copy.region,
            SourceImageId=copy.image_id,
            Name=copy.name,
            ClientToken=copy.token,
            TagSpecifications=[*tagged("image", copy.tags), *tagged("snapshot", copy.tags)],
            **encryption,
        )
        return str(reply["ImageId"])

    def deprecate_image(self, image_id: str, when: str) -> None:
        """Let an AMI be called deprecated from a time on (ISO 8601): others than its owner no longer find it then.

        Repeated: the time is the same.
        """
        self._calls.call("ec2", "enable_image_deprecation", ImageId=image_id, DeprecateAt=when)

    def deregister_image(self, image_id: str) -> None:
        """Deregister an AMI; its snapshots stay. Repeated: one that is deregistered is not found."""
        self._calls.call("ec2", "deregister_image", ImageId=image_id)

    def image_uses(self) -> tuple[ImageUse, ...]:
        """Return what would launch which image: launch templates, and Auto Scaling's groups and configurations.

        Of a template the newest and the default version count, and those that a group has pinned.
        """
        found = [*self._template_uses({"Versions": list(NEWEST)})]
        for name, template in self._pinned():
            found += self._template_uses(template, f" of the Auto Scaling group {name}")
        for each in self._scaling("describe_launch_configurations", "LaunchConfigurations"):
            found.append(ImageUse(each["ImageId"], f"launch configuration {each['LaunchConfigurationName']}"))
        return tuple(dict.fromkeys(found))

    def _template_uses(self, which: Mapping[str, Any], of: str = "") -> Iterator[ImageUse]:
        key = "LaunchTemplateVersions"
        for version in self._calls.pages("describe_launch_template_versions", key, ResolveAlias=True, **which):
            named = f"launch template {version['LaunchTemplateName']} (version {version['VersionNumber']}){of}"
            if image_id := version["LaunchTemplateData"].get("ImageId"):
                yield ImageUse(image_id, named)

    def _pinned(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the name of each Auto Scaling group with each version of a template that it names by its number."""
        for group in self._scaling("describe_auto_scaling_groups", "AutoScalingGroups"):
            mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
            named = [group.get("LaunchTemplate"), mixed.get("LaunchTemplateSpecification")]
            named += [each.get("LaunchTemplateSpecification") for each in mixed.get("Overrides", [])]
            for template in filter(None, named):
                version = str(template.get("Version") or "$Default")
                if version not in NEWEST:
                    which = {"LaunchTemplateId": template["LaunchTemplateId"], "Versions": [version]}
                    yield group["AutoScalingGroupName"], which

    def _scaling(self, operation: str, key: str) -> Iterator[Any]:
        """Yield what Auto Scaling lists; nothing where this EC2 comes without it.

        :raises Refused: not permitted: then nobody can say that an image is not in use.
        """
        token: dict[str, str] = {}
        while True:
            try:
                page = self._calls.call("autoscaling", operation, **token)
            except Answered as answer:
                if answer.code in NO_SUCH_SERVICE:
                    return
                raise
            yield from page[key]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}
