"""EBS snapshots: of the bytes on the disk at that moment, whatever is still in a page cache; they take their time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from tests.simulated.disk import Disk
from tests.simulated.ec2 import Answer, NotNow, Tags, api, wanted
from tests.simulated.volumes import Volumes
from transcoder.model import Snapshot

NO_VOLUME = "vol-ffffffff"
"""What EC2 names as the volume of a copied snapshot."""
COPYING = 6.0
"""Seconds for which a snapshot is pending; the disk may change meanwhile, the snapshot does not."""


class Snapshots(Volumes):
    """The part of `transcoder.world.Cloud` about snapshots. ``disks`` holds their bytes as well."""

    @api
    def snapshots(self, *, ids: Sequence[str] = (), tags: Tags | None = None) -> tuple[Snapshot, ...]:
        return tuple(s for s in self.shown().copies.values() if wanted(s.id, s.tags, ids, tags))

    @api
    def create_snapshot(self, volume_id: str, tags: Tags) -> Snapshot:
        volume = self.needed_volume(volume_id)
        if volume.state not in ("available", "in-use"):
            raise NotNow("IncorrectState", f"{volume_id} is {volume.state}")
        return self._add(volume_id, self.disks[volume_id].copy(), volume.size_gib, tags)

    @api
    def copy_snapshot(self, snapshot_id: str, source_region: str, tags: Tags) -> Snapshot:
        region = self.regions.get(source_region, self)
        source = region.copies.get(snapshot_id)
        if source is None:
            raise Answer("InvalidSnapshot.NotFound", snapshot_id)
        if source.state != "completed":
            raise NotNow("IncorrectState", f"{snapshot_id} is {source.state}")
        return self._add(NO_VOLUME, region.disks[snapshot_id].copy(), source.size_gib, tags)

    def _add(self, volume_id: str, disk: Disk, size_gib: int, tags: Tags) -> Snapshot:
        started = datetime.fromtimestamp(self.clock.now(), UTC).isoformat()
        snapshot = Snapshot(self.new_id("snap"), volume_id, "pending", size_gib, started, 0, True, dict(tags))
        self.copies[snapshot.id], self.disks[snapshot.id] = snapshot, disk
        self.later(COPYING / 2, lambda: self._change(snapshot.id, state="pending", progress=50))
        self.later(COPYING, lambda: self._change(snapshot.id, state="completed", progress=100))
        return snapshot

    def _change(self, snapshot_id: str, *, state: str, progress: int) -> None:
        if snapshot_id in self.copies:
            self.copies[snapshot_id] = replace(self.copies[snapshot_id], state=state, progress=progress)

    def _needed(self, snapshot_id: str) -> Snapshot:
        if snapshot_id not in self.copies:
            raise Answer("InvalidSnapshot.NotFound", snapshot_id)
        return self.copies[snapshot_id]

    @api
    def delete_snapshot(self, snapshot_id: str) -> None:
        self._needed(snapshot_id)
        del self.copies[snapshot_id], self.disks[snapshot_id]
