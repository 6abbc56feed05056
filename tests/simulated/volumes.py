"""EBS volumes: made, attached, let go of. What EC2 refuses is refused with its codes, and every change takes time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from tests.simulated.clock import SimulatedClock
from tests.simulated.disk import GIB, Disk, blank
from tests.simulated.ec2 import Answer, Ec2, NameInUse, NotNow, Tags, api, wanted
from transcoder.model import Attachment, Volume
from transcoder.world import VolumeRequest

CREATING, ATTACHING, DETACHING = 1.0, 1.5, 1.5
"""Seconds that EC2 takes for each of them."""


class Volumes(Ec2):
    """The part of `transcoder.world.Cloud` about volumes."""

    is_mounted: Callable[[str, str], bool]
    """Asked whether a machine has a volume mounted: then a detach stays ``busy``."""
    is_deleted: Callable[[str], None]
    """Told that a volume is about to be deleted."""

    def __init__(self, clock: SimulatedClock, lock: threading.RLock) -> None:
        super().__init__(clock, lock)
        self._requests: dict[str, VolumeRequest] = {}

    @api
    def volumes(self, *, ids: Sequence[str] = (), tags: Tags | None = None) -> tuple[Volume, ...]:
        return tuple(v for v in self.shown().blocks.values() if wanted(v.id, v.tags, ids, tags))

    @api
    def create_volume(self, request: VolumeRequest) -> Volume:
        if request.token in self.tokens:
            return self._made_before(request)
        disk = self._content(request)
        volume = self.add_volume(disk, request.zone, request.tags, state="creating", snapshot=request.snapshot_id)
        self.tokens[request.token] = volume.id
        self._requests[request.token] = request
        self.later(CREATING, lambda: self.change_volume(volume.id, state="available"))
        return volume

    def _made_before(self, request: VolumeRequest) -> Volume:
        """Return the volume that this token has made: as long as it exists, and only for the same request."""
        known = self.tokens[request.token]
        if self._requests[request.token] != request:
            raise Answer("IdempotentParameterMismatch", f"the token of {known} with other parameters")
        return self.needed_volume(known)

    def _content(self, request: VolumeRequest) -> Disk:
        if not request.snapshot_id:
            return blank(request.size_gib)
        snapshot = self.copies.get(request.snapshot_id)
        if snapshot is None:
            raise Answer("InvalidSnapshot.NotFound", request.snapshot_id)
        if snapshot.state != "completed":
            raise NotNow("IncorrectState", f"{snapshot.id} is {snapshot.state}")
        if request.size_gib < snapshot.size_gib:
            raise Answer("InvalidParameterValue", f"{request.size_gib} GiB is smaller than {snapshot.id}")
        disk = self.disks[snapshot.id].copy()
        disk.size = request.size_gib * GIB
        return disk

    def add_volume(self, disk: Disk, zone: str, tags: Tags, *, state: str = "available", snapshot: str = "") -> Volume:
        """Put a volume there, as if it had been made earlier."""
        volume = Volume(
            id=self.new_id("vol"),
            zone=zone,
            size_gib=disk.size // GIB,
            state=state,
            snapshot_id=snapshot,
            encrypted=True,
            tags=dict(tags),
        )
        self.blocks[volume.id], self.disks[volume.id] = volume, disk
        return volume

    @api
    def delete_volume(self, volume_id: str) -> None:
        volume = self.needed_volume(volume_id)
        if volume.state != "available":
            raise NotNow("VolumeInUse" if volume.attachment else "IncorrectState", f"{volume_id} is {volume.state}")
        self.is_deleted(volume_id)
        del self.blocks[volume_id], self.disks[volume_id]

    # attachments

    @api
    def attach(self, volume_id: str, instance_id: str, device: str) -> None:
        volume, instance = self.needed_volume(volume_id), self.needed_instance(instance_id)
        if volume.state == "in-use":
            raise NotNow("VolumeInUse", f"{volume_id} is already attached to an instance")
        if volume.state != "available":
            raise NotNow("IncorrectState", f"{volume_id} is not 'available'")
        if volume.zone != instance.zone:
            raise Answer("InvalidVolume.ZoneMismatch", f"{volume_id} is not in {instance.zone}")
        if instance.state not in ("running", "stopped"):
            raise NotNow("IncorrectInstanceState", f"{instance_id} is not 'running'")
        if device in instance.devices:
            raise NameInUse("InvalidParameterValue", f"Invalid value '{device}' for unixDevice: already in use")
        self.bond(volume_id, instance_id, device, "attaching")
        self.later(ATTACHING, lambda: self._arrive(volume_id, instance_id, device))

    def _arrive(self, volume_id: str, instance_id: str, device: str) -> None:
        if device not in self.faults.stuck_devices and self._is_on_its_way(volume_id, instance_id, device):
            self.bond(volume_id, instance_id, device, "attached")

    def _is_on_its_way(self, volume_id: str, instance_id: str, device: str) -> bool:
        volume = self.blocks.get(volume_id)
        return volume is not None and volume.attachment == Attachment(instance_id, device, "attaching")

    def bond(self, volume_id: str, instance_id: str, device: str, state: str) -> None:
        """Make the volume's attachment what is said here."""
        with self.lock:
            self.change_volume(volume_id, state="in-use", attachment=Attachment(instance_id, device, state))
            if instance_id in self.machines:
                devices = {**self.machines[instance_id].devices, device: volume_id}
                self.change_machine(instance_id, devices=devices)

    @api
    def detach(self, volume_id: str, instance_id: str) -> None:
        bond = self.blocks[volume_id].attachment if volume_id in self.blocks else None
        if bond is None or bond.instance_id != instance_id:
            return  # EC2: IncorrectState, InvalidAttachment.NotFound; our cloud takes both as "detached already"
        if bond.state in ("detaching", "busy"):
            return
        self.bond(volume_id, instance_id, bond.device, "detaching")
        self.later(DETACHING, lambda: self._let_go(volume_id, instance_id))

    @api
    def force_detach(self, volume_id: str, instance_id: str) -> None:
        bond = self.blocks[volume_id].attachment if volume_id in self.blocks else None
        if bond is not None and bond.instance_id == instance_id:
            self.bond(volume_id, instance_id, bond.device, "detaching")
            self.later(DETACHING, lambda: self._free(volume_id, instance_id))

    def _let_go(self, volume_id: str, instance_id: str) -> None:
        bond = self.blocks[volume_id].attachment if volume_id in self.blocks else None
        if bond is None or bond.instance_id != instance_id or bond.state not in ("detaching", "busy"):
            return
        mounted = self.is_mounted(instance_id, volume_id)
        if mounted:
            self.bond(volume_id, instance_id, bond.device, "busy")
        if mounted or volume_id in self.faults.stuck_detaching:
            self.later(DETACHING, lambda: self._let_go(volume_id, instance_id))
        else:
            self._free(volume_id, instance_id)

    def _free(self, volume_id: str, instance_id: str) -> None:
        bond = self.blocks[volume_id].attachment if volume_id in self.blocks else None
        if bond is None or bond.instance_id != instance_id:
            return
        self.change_volume(volume_id, state="available", attachment=None)
        if instance_id in self.machines:
            devices = self.machines[instance_id].devices
            self.change_machine(instance_id, devices={at: held for at, held in devices.items() if held != volume_id})
