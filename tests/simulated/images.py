"""AMIs in memory: tags, copies between regions, dates, ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.simulated.ec2 import Answer, Tags, api, wanted
from tests.simulated.snapshots import Snapshots
from transcoder.model import Image, ImageUse
from transcoder.world import ImageCopy

IMAGE_COPYING = 30.0
"""Seconds for which a copy is pending."""


class Images(Snapshots):
    """The part of `transcoder.world.Cloud` about AMIs."""

    @api
    def images(self, *, ids: Sequence[str] = (), tags: Tags | None = None) -> tuple[Image, ...]:
        found = [image for image in self.amis.values() if wanted(image.id, image.tags, ids, tags)]
        return tuple(sorted(found, key=lambda image: (image.created, image.id)))

    def stock_image(self) -> Image:
        raise AssertionError("no recipe asks for the stock image")

    @api
    def copy_image(self, copy: ImageCopy) -> str:
        if copy.token in self.tokens:
            return self.tokens[copy.token]
        source = self.regions[copy.region].amis[copy.image_id]
        made = replace(source, id=self.new_id("ami"), state="pending", tags=dict(copy.tags), deprecates="")
        self.tokens[copy.token] = made.id
        self.amis[made.id] = made
        self.later(IMAGE_COPYING, lambda: self.change_image(made.id, state="available"))
        return made.id

    @api
    def deprecate_image(self, image_id: str, when: str) -> None:
        self.change_image(image_id, deprecates=when)

    @api
    def deregister_image(self, image_id: str) -> None:
        self.amis.pop(image_id, None)

    @api
    def image_uses(self) -> tuple[ImageUse, ...]:
        return tuple(self.uses)

    def change_image(self, image_id: str, **changes: object) -> None:
        """Change what an image says of itself; one that is gone stays so."""
        if image_id not in self.amis:
            raise Answer("InvalidAMIID.NotFound", image_id)
        self.amis[image_id] = replace(self.amis[image_id], **changes)  # type: ignore[arg-type] # fields by name
