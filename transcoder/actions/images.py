"""Steps on AMIs: copies in other regions, tags, dates, and their ends with their snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from transcoder import tags
from transcoder.errors import Failed, Refused
from transcoder.model import Image
from transcoder.step import Step
from transcoder.world import ApiCall, Cloud, ImageCopy, World

TAG_BUDGET, END_BUDGET = 60.0, 60.0
"""Seconds until EC2 shows what it has taken: its reads lag."""


def is_ours(image_tags: Mapping[str, str], environment: str) -> bool:
    """Tell whether an AMI, or a snapshot, is one that was baked for this environment."""
    return image_tags.get(tags.ENVIRONMENT) == environment and bool(image_tags.get(tags.DIGEST))


@dataclass(frozen=True, kw_only=True)
class ImageStep(Step):
    """A step on one AMI in one region."""

    image: Image
    region: str

    @property
    def key(self) -> str:
        return f"{self.lane}/{self.verb} {self.image.id}"

    def cloud(self, world: World) -> Cloud:
        """Return EC2 in the AMI's region."""
        return world.cloud.in_region(self.region)

    def look(self, world: World) -> Image | None:
        """Return the AMI as it is now."""
        return next(iter(self.cloud(world).images(ids=[self.image.id])), None)


@dataclass(frozen=True, kw_only=True)
class TagImage(ImageStep):
    """Set and remove tags of an AMI. ``why`` says what they mean."""

    why: str
    set_tags: Mapping[str, str]
    remove: tuple[str, ...] = ()
    verb: ClassVar[str] = "tag"
    calls: ClassVar[tuple[str, ...]] = ("CreateTags", "DeleteTags")

    @property
    def title(self) -> str:
        return f"tag {self.image.id} in {self.region}: {self.why}"

    def is_done(self, world: World) -> bool:
        found = self.look(world)
        known = found.tags if found else {}
        return all(known.get(k) == v for k, v in self.set_tags.items()) and not set(self.remove) & set(known)

    def do(self, world: World) -> None:
        self.cloud(world).tag(self.image.id, self.set_tags)
        if self.remove:
            self.cloud(world).untag(self.image.id, self.remove)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), TAG_BUDGET)


@dataclass(frozen=True, kw_only=True)
class DeprecateImage(ImageStep):
    """Give an AMI the date (ISO 8601) from which on EC2 calls it deprecated."""

    when: str
    verb: ClassVar[str] = "deprecate"
    calls: ClassVar[tuple[str, ...]] = ("EnableImageDeprecation",)

    @property
    def title(self) -> str:
        return f"{self.image.id} in {self.region} is deprecated from {self.when} on"

    def is_done(self, world: World) -> bool:
        found = self.look(world)
        return found is not None and bool(found.deprecates)

    def do(self, world: World) -> None:
        self.cloud(world).deprecate_image(self.image.id, self.when)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), TAG_BUDGET)


@dataclass(frozen=True, kw_only=True)
class CopyImage(ImageStep):
    """Have a copy of an AMI in another region. ``image`` is the original, ``region`` where the copy is to be.

    A copy is known by its tags: one that has been begun, by whoever it was, is waited for and not begun again.
    """

    source_region: str
    token: str
    encrypted: bool
    kms_key_id: str
    budget: float
    verb: ClassVar[str] = "copy"
    calls: ClassVar[tuple[str, ...]] = ("CopyImage", "CreateTags")

    @property
    def title(self) -> str:
        key = f", encrypted with {self.kms_key_id}" if self.kms_key_id else ""
        return f"copy {self.image.id} to {self.region}{key}"

    def is_done(self, world: World) -> bool:
        found = self._found(world)
        if found is not None and found.state not in ("available", "pending"):
            raise Failed(
                f"{found.id}, the copy of {self.image.id} in {self.region}, is {found.state}",
                hint=f"deregister {found.id}, then the same command again",
            )
        return found is not None and found.state == "available"

    def do(self, world: World) -> None:
        if self._found(world) is not None:
            return
        known = {key: value for key, value in self.image.tags.items() if key != tags.COPIED_TO}
        own = {**known, tags.COPY_OF: self.image.id}
        wanted = ImageCopy(
            self.image.id, self.source_region, self.image.name, self.token, own, self.encrypted, self.kms_key_id
        )
        self.cloud(world).copy_image(wanted)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), self.budget)

    def _found(self, world: World) -> Image | None:
        return next(iter(self.cloud(world).images(tags={tags.COPY_OF: self.image.id})), None)


@dataclass(frozen=True, kw_only=True)
class DeregisterImage(ImageStep):
    """Deregister an AMI that was baked for this environment."""

    why: str
    verb: ClassVar[str] = "deregister"
    calls: ClassVar[tuple[str, ...]] = ("DeregisterImage",)

    @property
    def title(self) -> str:
        return f"deregister {self.image.id} ({self.image.name}) in {self.region}: {self.why}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        return (ApiCall("DeregisterImage", {"ImageId": self.image.id}),)

    def is_done(self, world: World) -> bool:
        return self.look(world) is None

    def do(self, world: World) -> None:
        found = self.look(world)
        if found is not None and not is_ours(found.tags, world.settings.name):
            raise Refused(f"{found.id} has no longer the tags of an image of environment {world.settings.name}")
        self.cloud(world).deregister_image(self.image.id)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), END_BUDGET)


@dataclass(frozen=True, kw_only=True)
class DeleteImageSnapshot(Step):
    """Delete a snapshot of an AMI that is deregistered."""

    snapshot_id: str
    region: str
    of: str
    verb: ClassVar[str] = "delete-snapshot"
    calls: ClassVar[tuple[str, ...]] = ("DeleteSnapshot",)

    @property
    def key(self) -> str:
        return f"{self.lane}/{self.verb} {self.snapshot_id}"

    @property
    def title(self) -> str:
        return f"delete {self.snapshot_id} in {self.region}, {self.of}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        return (ApiCall("DeleteSnapshot", {"SnapshotId": self.snapshot_id}),)

    def is_done(self, world: World) -> bool:
        return not world.cloud.in_region(self.region).snapshots(ids=[self.snapshot_id])

    def do(self, world: World) -> None:
        world.cloud.in_region(self.region).delete_snapshot(self.snapshot_id)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), END_BUDGET)
