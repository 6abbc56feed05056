"""EBS snapshots: a volume's disk as it is at one moment, copied in the region or to the other one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from moto.ec2.models.elastic_block_store import EBSBackend, Snapshot

from lab.cloud import Cloud
from lab.hooks import Hooks, ec2_backend
from lab.strict import volumes as strict
from transcoder.errors import TranscoderError

VOLUME_OF_COPIES = "vol-ffffffff"
"""What EC2 says a copied snapshot is of ("an arbitrary volume ID", CopySnapshot)."""


class Snapshots:
    """Wraps snapshots."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def install(self, hooks: Hooks) -> None:
        """Wrap moto's models."""
        for name in ("create_snapshot", "copy_snapshot", "delete_snapshot"):
            hooks.wrap(EBSBackend, name, getattr(self, name))
        hooks.wrap(EBSBackend, "describe_snapshots", describe_snapshots)
        hooks.replace(Snapshot, "progress", property(snapshot_progress))

    def create_snapshot(self, original: Any, backend: Any, volume_id: str, *arguments: Any, **keywords: Any) -> Any:
        """Copy the disk as it is at this moment; the snapshot is ``pending`` for a while."""
        if self.cloud.bookkeeping:
            return original(backend, volume_id, *arguments, **keywords)
        volume = backend.get_volume(volume_id)
        strict.check_snapshot(volume)
        snapshot = original(backend, volume_id, *arguments, **keywords)
        # The volume may be grown or deleted later; the snapshot is of the volume as it was.
        snapshot.volume = SimpleNamespace(id=volume.id, size=volume.size)
        holder = volume.attachment.instance.id if volume.attachment else ""
        with _or_forget(snapshot):
            self.cloud.driver.snapshot(volume_id, snapshot.id, holder)
        self._complete_later(snapshot, volume_id)
        return snapshot

    def copy_snapshot(
        self, original: Any, backend: Any, source_snapshot_id: str, source_region: str, *rest: Any, **more: Any
    ) -> Any:
        """Copy a snapshot's disk, from whichever region of the lab."""
        strict.check_region(self.cloud.configuration.regions, source_region)
        source = strict.find_snapshot(ec2_backend(source_region), source_snapshot_id)
        strict.check_completed(source)
        snapshot = original(backend, source_snapshot_id, source_region, *rest, **more)
        snapshot.volume = SimpleNamespace(id=VOLUME_OF_COPIES, size=source.volume.size)
        snapshot.encrypted |= str(self.cloud.parameters.get("Encrypted")).lower() == "true"
        with _or_forget(snapshot):
            self.cloud.driver.copy_disk(source_snapshot_id, snapshot.id)
        self._complete_later(snapshot, lineage(source))
        return snapshot

    def delete_snapshot(self, original: Any, backend: Any, snapshot_id: str) -> Any:
        """Delete the disk with the snapshot."""
        if self.cloud.bookkeeping:
            return original(backend, snapshot_id)
        strict.find_snapshot(backend, snapshot_id)
        strict.check_no_image(backend, snapshot_id)
        snapshot = original(backend, snapshot_id)
        self.cloud.driver.delete_disk(snapshot_id)
        return snapshot

    def _complete_later(self, snapshot: Any, volume_id: str) -> None:
        """Hold the snapshot ``pending`` as long as EC2 would: shorter where the region has one of the volume already.

        :param volume_id: the volume whose blocks these are, also where the snapshot is a copy of a copy.
        """
        latencies = self.cloud.latencies
        earlier = [each for each in snapshot.ec2_backend.snapshots.values() if lineage(each) == volume_id]
        incremental = any(each is not snapshot and each.status == "completed" for each in earlier)
        latency = latencies.snapshot_incremental if incremental else latencies.snapshot
        snapshot.status, snapshot.lab_volume_id = "pending", volume_id
        snapshot.lab_began, snapshot.lab_latency = time.monotonic(), latency
        self.cloud.later(f"snapshot {snapshot.id}", latency, lambda: setattr(snapshot, "status", "completed"))


def describe_snapshots(original: Any, backend: Any, snapshot_ids: Any = None, filters: Any = None) -> Any:
    """Refuse an unknown snapshot with its id in the text, which moto leaves out."""
    for snapshot_id in snapshot_ids or []:
        strict.find_snapshot(backend, snapshot_id)
    return original(backend, snapshot_ids, filters)


def snapshot_progress(snapshot: Any) -> str:
    """Return EC2's progress of a snapshot, which is an estimate and not 100 % before it is complete."""
    if snapshot.status == "completed":
        return "100%"
    done = (time.monotonic() - snapshot.lab_began) / max(snapshot.lab_latency, 0.001)
    return f"{min(99, int(100 * done))}%"


def lineage(snapshot: Any) -> str:
    """Return the volume whose blocks a snapshot has, through all copies."""
    return str(getattr(snapshot, "lab_volume_id", snapshot.volume.id))


@contextmanager
def _or_forget(snapshot: Any) -> Iterator[None]:
    """Let nobody see a snapshot whose disk could not be made."""
    try:
        yield
    except TranscoderError:
        del snapshot.ec2_backend.snapshots[snapshot.id]
        raise
