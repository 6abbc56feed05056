"""Baked AMIs across two starts of a lab: moto's AMIs as descriptions, and descriptions as moto's AMIs again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from moto.ec2.models.elastic_block_store import Snapshot

from lab.cloud import Cloud, log
from lab.kept_images import KeptImage, KeptImages, KeptSnapshot
from lab.reconcile.images import dress, new_image
from transcoder.errors import TranscoderError


class Keeping:
    """Keeps the AMIs of a lab in the cache and brings them back. A lab without disks keeps nothing.

    The caller holds the lock.
    """

    def __init__(self, cloud: Cloud, kept: KeptImages) -> None:
        self.cloud = cloud
        self.kept = kept

    def keep(self, stock_id: str) -> None:
        """Keep the AMIs that are available and complete, the stock image excepted, which is made from its file."""
        if not self.cloud.driver.has_disks:
            return
        images = [describe(image) for image in self.cloud.backend.amis.values() if image.id != stock_id and done(image)]
        self.kept.keep(images, self._disk)

    def restore(self) -> tuple[str, ...]:
        """Register what is kept, under its own ids, and return these; what cannot be registered is dropped."""
        if not self.cloud.driver.has_disks:
            return ()
        restored = []
        for image in self.kept.read():
            try:
                self._import_disks(image)
            except (OSError, TranscoderError) as error:
                log.warning("the kept AMI %s (%s) cannot be registered and is dropped: %s", image.id, image.name, error)
                self.kept.drop(image.id)
                continue
            self._register(image)
            log.info("%s (%s) is registered again", image.id, image.name)
            restored.append(image.id)
        return tuple(restored)

    def _disk(self, snapshot_id: str) -> Path:
        return self.cloud.driver.disk_file(snapshot_id)

    def _import_disks(self, image: KeptImage) -> None:
        for snapshot in image.snapshots:
            # Two AMIs may have been registered from one snapshot.
            if snapshot.id not in self.cloud.backend.snapshots:
                self.cloud.driver.import_disk(snapshot.id, self.kept.disk(image, snapshot.id))

    def _register(self, kept: KeptImage) -> None:
        backend = self.cloud.backend
        for snapshot in kept.snapshots:
            if snapshot.id not in backend.snapshots:
                backend.snapshots[snapshot.id] = restored_snapshot(backend, snapshot, kept.id)
        image = new_image(self.cloud, kept.id, kept.name, kept.description)
        dress(image, kept.root_device, kept.architecture)
        image.creation_date = datetime.fromisoformat(kept.created)
        image.instance_id = kept.source_instance_id or None
        image.launch_permissions = [dict(permission) for permission in kept.launch_permissions]
        image.lab_mappings = [dict(mapping) for mapping in kept.mappings]
        image.ebs_snapshot = backend.snapshots[kept.snapshots[0].id]
        if kept.deprecates:
            image.deprecation_time = kept.deprecates
        image.add_tags(dict(kept.tags))


def done(image: Any) -> bool:
    """Tell whether an AMI is available and so are all its snapshots; some of it may have been deleted since."""
    snapshots = image.ec2_backend.snapshots
    ids = snapshot_ids(image)
    whole = bool(ids) and all(each in snapshots and snapshots[each].status == "completed" for each in ids)
    return image.state == "available" and whole


def snapshot_ids(image: Any) -> list[str]:
    """Return the snapshots of an AMI, the root's first, each once."""
    return list(dict.fromkeys(m["Ebs"]["SnapshotId"] for m in image.lab_mappings if m["Ebs"].get("SnapshotId")))


def describe(image: Any) -> KeptImage:
    """Return moto's AMI as a description."""
    snapshots = image.ec2_backend.snapshots
    return KeptImage(
        id=image.id,
        name=image.name or "",
        description=image.description or "",
        architecture=image.architecture,
        root_device=image.root_device_name,
        created=image.creation_date.isoformat(),
        source_instance_id=image.instance_id or "",
        launch_permissions=image.launch_permissions,
        mappings=image.lab_mappings,
        snapshots=tuple(_described_snapshot(snapshots[each]) for each in snapshot_ids(image)),
        tags=tags_of(image),
        deprecates=getattr(image, "deprecation_time", ""),
    )


def _described_snapshot(snapshot: Any) -> KeptSnapshot:
    return KeptSnapshot(
        id=snapshot.id,
        size_gib=int(snapshot.volume.size),
        volume_id=snapshot.volume.id,
        description=snapshot.description or "",
        encrypted=bool(snapshot.encrypted),
        started=snapshot.start_time.isoformat(),
        tags=tags_of(snapshot),
    )


def restored_snapshot(backend: Any, kept: KeptSnapshot, image_id: str) -> Any:
    """Return moto's snapshot as it was; its volume went with the lab that it was of."""
    volume = SimpleNamespace(id=kept.volume_id, size=kept.size_gib)
    snapshot = Snapshot(backend, kept.id, volume, kept.description, encrypted=kept.encrypted, from_ami=image_id)
    snapshot.start_time = datetime.fromisoformat(kept.started)
    snapshot.add_tags(dict(kept.tags))
    return snapshot


def tags_of(resource: Any) -> dict[str, str]:
    """Return the tags of something of moto's."""
    return {tag["key"]: tag["value"] for tag in resource.get_tags()}
