"""Steps that copy a volume to another zone or region: snapshots, volumes made from them, and their end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from transcoder import tags
from transcoder.actions.attachment import VOLUME_BUDGET
from transcoder.aws_shapes import tagged
from transcoder.errors import Failed, Refused
from transcoder.model import Snapshot, Volume
from transcoder.step import Step
from transcoder.world import ApiCall, VolumeRequest, World

SNAPSHOT_BUDGET = 6 * 3600.0
"""Seconds. A first snapshot stores every block that was ever written: 45 min and hours have been seen."""
EARLY, FINAL = "early", "final"


@dataclass(frozen=True, kw_only=True)
class TakeSnapshot(Step):
    """Take a snapshot of a volume and wait until EC2 has stored it.

    An ``early`` one is taken while the node runs: it is not used itself, but EC2 stores only what has changed since in
    the ``final`` one, which is taken after the file system was unmounted and which the node waits for.
    """

    volume: Volume
    node: str
    label: str
    stage: str
    target_id: str
    verb: ClassVar[str] = "snapshot"
    calls: ClassVar[tuple[str, ...]] = ("CreateSnapshot",)

    @property
    def title(self) -> str:
        return f"{self.stage} snapshot of {self.volume.id} ({self.label})"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        made = tagged("snapshot", self._tags(world))
        return (ApiCall("CreateSnapshot", {"VolumeId": self.volume.id, "TagSpecifications": made}),)

    def is_done(self, world: World) -> bool:
        return any(snapshot.state == "completed" for snapshot in self._found(world))

    def do(self, world: World) -> None:
        if not self._found(world):
            world.cloud.create_snapshot(self.volume.id, self._tags(world))

    def verify(self, world: World) -> None:
        wait_until_stored(world, self.title, lambda: self._found(world))

    def _found(self, world: World) -> tuple[Snapshot, ...]:
        return snapshots_of(world, self.volume, self.stage, self.target_id)

    def _tags(self, world: World) -> Mapping[str, str]:
        return {
            tags.NAME: f"{self.node} {self.label} {self.stage}",
            tags.ENVIRONMENT: world.settings.name,
            tags.RETIRED: self.node,
            tags.SNAPSHOT_OF: self.volume.id,
            tags.STAGE: self.stage,
            tags.MOVING_TO: self.target_id,
        }


def snapshots_of(world: World, volume: Volume, stage: str, target_id: str) -> tuple[Snapshot, ...]:
    """Return the snapshots of a volume that a migration to this instance, or this environment, has taken."""
    wanted = {tags.SNAPSHOT_OF: volume.id, tags.STAGE: stage, tags.MOVING_TO: target_id}
    return world.cloud.snapshots(tags=wanted)


@dataclass(frozen=True, kw_only=True)
class CopySnapshot(Step):
    """Copy a snapshot from another region into this one, and wait until EC2 has stored it.

    Only what has changed since the last copy of that volume travels, as long as that one is still here (EBS User
    Guide, "Copy an Amazon EBS snapshot"). EC2 names no volume for a copy, so our tags do.
    """

    origin: Snapshot
    region: str
    label: str
    verb: ClassVar[str] = "copy-snapshot"
    calls: ClassVar[tuple[str, ...]] = ("CopySnapshot",)

    @property
    def title(self) -> str:
        of = f"{self.origin.tags[tags.SNAPSHOT_OF]} ({self.label})"
        return f"copy {self.origin.id}, the {self.origin.tags[tags.STAGE]} snapshot of {of}, from {self.region}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        origin = {"SourceSnapshotId": self.origin.id, "SourceRegion": self.region}
        return (ApiCall("CopySnapshot", {**origin, "TagSpecifications": tagged("snapshot", self._tags(world))}),)

    def is_done(self, world: World) -> bool:
        return any(snapshot.state == "completed" for snapshot in self._found(world))

    def do(self, world: World) -> None:
        if not self._found(world):
            world.cloud.copy_snapshot(self.origin.id, self.region, self._tags(world))

    def verify(self, world: World) -> None:
        wait_until_stored(world, self.title, lambda: self._found(world))

    def _found(self, world: World) -> tuple[Snapshot, ...]:
        return world.cloud.snapshots(tags={tags.COPY_OF: self.origin.id})

    def _tags(self, world: World) -> Mapping[str, str]:
        return {**self.origin.tags, tags.ENVIRONMENT: world.settings.name, tags.COPY_OF: self.origin.id}


def wait_until_stored(world: World, what: str, look: Callable[[], Sequence[Snapshot]]) -> None:
    """Wait until one of these snapshots is stored.

    :raises Failed: when EC2 could not store one of them.
    """

    def stored() -> bool:
        found = look()
        broken = [snapshot.id for snapshot in found if snapshot.state == "error"]
        if broken:
            raise Failed(f"{what}: EC2 could not store {', '.join(broken)}", hint="delete it; run it again")
        return any(snapshot.state == "completed" for snapshot in found)

    world.wait(f"{what}: stored", stored, SNAPSHOT_BUDGET)


@dataclass(frozen=True, kw_only=True)
class CopyVolume(Step):
    """Make a volume in another zone, or here of one in another region, from the final snapshot of the node's own."""

    volume: Volume
    zone: str
    node: str
    label: str
    target_id: str
    verb: ClassVar[str] = "copy"
    calls: ClassVar[tuple[str, ...]] = ("CreateVolume",)

    @property
    def title(self) -> str:
        return f"a copy of {self.volume.id} ({self.label}) in {self.zone}, from its final snapshot"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        wanted = {"AvailabilityZone": self.zone, "Size": self.volume.size_gib, "VolumeType": self.volume.type}
        return (ApiCall("CreateVolume", {**wanted, "TagSpecifications": tagged("volume", self._tags(world))}),)

    def is_done(self, world: World) -> bool:
        copy = copy_of(world, self.volume, self.zone)
        return copy is not None and copy.state in ("available", "in-use")

    def do(self, world: World) -> None:
        if copy_of(world, self.volume, self.zone) is not None:
            return
        stored = [s for s in snapshots_of(world, self.volume, FINAL, self.target_id) if s.state == "completed"]
        if not stored:
            raise Failed(f"{self.title}: there is no such snapshot", hint="the same command again takes one")
        old, wanted, snapshot = self.volume, self._tags(world), stored[-1].id
        token = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{snapshot} in {self.zone}"))  # one copy of each snapshot
        world.cloud.create_volume(
            VolumeRequest(self.zone, old.size_gib, old.type, old.encrypted, token, wanted, snapshot)
        )

    def verify(self, world: World) -> None:
        world.wait(f"{self.title}: available", lambda: self.is_done(world), VOLUME_BUDGET)

    def _tags(self, world: World) -> Mapping[str, str]:
        kept = (tags.ROLE, tags.ADDRESS)
        known = {key: self.volume.tags[key] for key in kept if key in self.volume.tags}
        return {
            tags.NAME: f"{self.node} {self.label}",
            tags.ENVIRONMENT: world.settings.name,
            tags.COPY_OF: self.volume.id,
            **known,
        }


def copy_of(world: World, volume: Volume, zone: str) -> Volume | None:
    """Return the copy of a volume in a zone, None as long as there is none."""
    found = world.cloud.volumes(tags={tags.ENVIRONMENT: world.settings.name, tags.COPY_OF: volume.id})
    return next((copy for copy in found if copy.zone == zone), None)


@dataclass(frozen=True, kw_only=True)
class DeleteVolume(Step):
    """Delete a volume whose node lives on in a copy. For good: nothing else of it stays but the snapshots."""

    volume: Volume
    replaced_by: str
    verb: ClassVar[str] = "delete"
    calls: ClassVar[tuple[str, ...]] = ("DeleteVolume",)

    @property
    def key(self) -> str:
        return f"{self.lane}/{self.verb} {self.volume.id}"

    @property
    def title(self) -> str:
        return f"delete {self.volume.id} in {self.volume.zone}, replaced by {self.replaced_by}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        return (ApiCall("DeleteVolume", {"VolumeId": self.volume.id}),)

    def is_done(self, world: World) -> bool:
        return not world.cloud.volumes(ids=[self.volume.id])

    def do(self, world: World) -> None:
        found = world.cloud.volumes(ids=[self.volume.id])
        if found and (found[0].attachment or found[0].tags.get(tags.REPLACED_BY) != self.replaced_by):
            raise Refused(f"{self.title}: it is in use, or its tags have changed", hint="fab status")
        world.cloud.delete_volume(self.volume.id)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), VOLUME_BUDGET)


@dataclass(frozen=True, kw_only=True)
class DiscardCopy(Step):
    """Delete a copy that no node has ever run on: it has not taken its original's place."""

    volume: Volume
    verb: ClassVar[str] = "discard"
    calls: ClassVar[tuple[str, ...]] = ("DeleteVolume",)

    @property
    def title(self) -> str:
        return f"delete {self.volume.id}, an unused copy of {self.volume.tags[tags.COPY_OF]}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        return (ApiCall("DeleteVolume", {"VolumeId": self.volume.id}),)

    def is_done(self, world: World) -> bool:
        return not world.cloud.volumes(ids=[self.volume.id])

    def do(self, world: World) -> None:
        found = world.cloud.volumes(ids=[self.volume.id])
        if found and (found[0].attachment or tags.NODE in found[0].tags):
            raise Refused(f"{self.title}: it is in use, or has become a node's", hint="fab status")
        world.cloud.delete_volume(self.volume.id)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), VOLUME_BUDGET)


@dataclass(frozen=True, kw_only=True)
class DeleteSnapshot(Step):
    """Delete a snapshot that was taken for a migration."""

    snapshot: Snapshot
    verb: ClassVar[str] = "delete"
    calls: ClassVar[tuple[str, ...]] = ("DeleteSnapshot",)

    @property
    def key(self) -> str:
        return f"{self.lane}/{self.verb} {self.snapshot.id}"

    @property
    def title(self) -> str:
        return f"delete {self.snapshot.id}, a snapshot of {self.snapshot.tags.get(tags.SNAPSHOT_OF, '')}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        return (ApiCall("DeleteSnapshot", {"SnapshotId": self.snapshot.id}),)

    def is_done(self, world: World) -> bool:
        return not world.cloud.snapshots(ids=[self.snapshot.id])

    def do(self, world: World) -> None:
        world.cloud.delete_snapshot(self.snapshot.id)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), VOLUME_BUDGET)
