"""EBS volumes: disks are made, plugged and unplugged as moto's volumes say."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from typing import Any

from moto.ec2.models.elastic_block_store import EBSBackend, Volume, VolumeAttachment
from moto.ec2.responses import EC2Response

from lab.cloud import Cloud
from lab.drivers import DeviceInUse, DiskPlan
from lab.hooks import Hooks, ec2_error
from lab.strict import volumes as strict
from transcoder.errors import TranscoderError, Unreachable

log = logging.getLogger("lab")
RETRY_SECONDS = 0.5
"""How often a detach looks whether the guest has let go of the device."""
HOLD_SECONDS = 0.05
"""How often an attachment that a fault holds looks whether it may go on."""


class Volumes:
    """Wraps volumes and attachments."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._device_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def install(self, hooks: Hooks) -> None:
        """Wrap moto's models."""
        for name in ("create_volume", "delete_volume", "modify_volume", "attach_volume", "detach_volume"):
            hooks.wrap(EBSBackend, name, getattr(self, name))
        hooks.replace(Volume, "status", property(volume_status))
        hooks.replace(VolumeAttachment, "delete_on_termination", property(delete_on_termination))
        hooks.wrap(EC2Response, "attach_volume", self.attach_response)

    # volumes

    def create_volume(self, original: Any, backend: Any, **wanted: Any) -> Any:
        """Make the disk with the volume; it is ``creating`` for a while."""
        if self.cloud.bookkeeping:
            return original(backend, **wanted)
        size, snapshot_id = wanted.get("size"), wanted.get("snapshot_id") or ""
        volume_type = wanted.get("volume_type") or "gp2"
        strict.check_create(backend, size, wanted["zone_name"], snapshot_id, volume_type)
        wanted["size"] = int(size if size is not None else backend.snapshots[snapshot_id].volume.size)
        volume = original(backend, **wanted)
        # EC2 sends an empty snapshotId for a blank volume, and amazon.aws.ec2_vol_info fails without the element.
        volume.snapshot_id = snapshot_id
        try:
            self.cloud.driver.create_volume(volume.id, volume.size, snapshot_id)
        except TranscoderError:
            del backend.volumes[volume.id]
            raise
        volume.lab_status = "creating"
        self.cloud.later(f"create {volume.id}", self.cloud.latencies.volume_create, lambda: _settle(volume))
        return volume

    def delete_volume(self, original: Any, backend: Any, volume_id: str) -> Any:
        """Delete the disk with the volume."""
        if self.cloud.bookkeeping:
            return original(backend, volume_id)
        strict.check_delete(backend.get_volume(volume_id))
        volume = original(backend, volume_id)
        self.cloud.driver.delete_disk(volume_id)
        self._device_locks.pop(volume_id, None)
        return volume

    def modify_volume(self, original: Any, backend: Any, volume_id: str, *arguments: Any, **keywords: Any) -> Any:
        """Grow the disk with the volume. The guest sees it after the disk is plugged in again."""
        size = arguments[0] if arguments else keywords.get("target_size")
        strict.check_modify(backend.get_volume(volume_id), size)
        volume = original(backend, volume_id, *arguments, **keywords)
        if size is not None:
            self.cloud.driver.grow_volume(volume_id, int(size))
        return volume

    # attachments

    def attach_response(self, original: Any, response: Any) -> Any:
        """Refuse a missing parameter or an unknown id before moto's dry run hides it."""
        parameters = self.cloud.parameters
        for name in ("VolumeId", "InstanceId", "Device"):
            if not parameters.get(name):
                raise ec2_error("MissingParameter", f"The request must contain the parameter {name}")
        response.ec2_backend.get_volume(parameters["VolumeId"])
        response.ec2_backend.get_instance(parameters["InstanceId"])
        return original(response)

    def attach_volume(
        self, original: Any, backend: Any, volume_id: str, instance_id: str, device_path: str, *rest: Any, **more: Any
    ) -> Any:
        """Attach, and plug the disk in where the machine runs."""
        volume, instance = backend.get_volume(volume_id), backend.get_instance(instance_id)
        launching = getattr(instance, "lab_launching", False)
        if not launching:
            strict.check_attach(volume, instance, device_path)
        attachment = original(backend, volume_id, instance_id, device_path, *rest, **more)
        if not launching:
            attachment.status = "attaching"
            self.cloud.job(f"attach {volume_id}", self._attach, attachment)
        return attachment

    def _attach(self, attachment: Any) -> None:
        latencies = self.cloud.latencies
        if not self.cloud.wait(latencies.attach) or not self._free_to_attach(attachment):
            return
        if latencies.guest_device > 0:
            self._settle_attachment(attachment)
            self.cloud.wait(latencies.guest_device)
        self._plug(attachment)
        self._settle_attachment(attachment)

    def _free_to_attach(self, attachment: Any) -> bool:
        """Wait as long as a fault holds the attachment ``attaching``; False when it has been given up meanwhile."""
        while self._still(attachment, "attaching"):
            if not self.cloud.seams.holds_attach(*_place(attachment)):
                return True
            if not self.cloud.wait(HOLD_SECONDS):
                return False
        return False

    def _plug(self, attachment: Any) -> None:
        disk = self.cloud.seams.disk(attachment.instance.id, DiskPlan(attachment.volume.id, attachment.device))
        with self._device_locks[disk.volume_id]:
            if self._still(attachment, "attaching", "attached"):
                self.cloud.driver.plug(attachment.instance.id, disk)

    def _settle_attachment(self, attachment: Any) -> None:
        with self.cloud.lock:
            if attachment.volume.attachment is attachment and attachment.status == "attaching":
                attachment.status = "attached"

    def _still(self, attachment: Any, *statuses: str) -> bool:
        with self.cloud.lock:
            return attachment.volume.attachment is attachment and attachment.status in statuses

    def detach_volume(
        self, original: Any, backend: Any, volume_id: str, instance_id: str = "", device_path: str = ""
    ) -> Any:
        """Unplug, then detach: ``detaching``, ``busy`` as long as the guest has it mounted, then gone."""
        volume = backend.get_volume(volume_id)
        instance = backend.get_instance(instance_id) if instance_id else None
        if instance is not None and getattr(instance, "lab_releasing", False):
            return original(backend, volume_id, instance_id, device_path)
        strict.check_detach(volume, instance, device_path or "")
        attachment = volume.attachment
        if _asked(self.cloud.parameters.get("Force")):
            self._force(attachment)
        if attachment.status not in ("detaching", "busy"):
            attachment.status = "detaching"
            self.cloud.job(f"detach {volume_id}", self._detach, original, backend, attachment)
        return attachment

    def _force(self, attachment: Any) -> None:
        try:
            self.cloud.driver.unplug(attachment.instance.id, attachment.volume.id)
        except DeviceInUse as error:
            raise strict.refuse_force(attachment.volume.id) from error
        attachment.lab_forced = True

    def _detach(self, original: Any, backend: Any, attachment: Any) -> None:
        waiting = self.cloud.wait(self.cloud.latencies.detach)
        while waiting and self._still(attachment, "detaching", "busy"):
            if self._unplug(attachment) and self._free_to_detach(attachment):
                with self.cloud.lock:
                    if attachment.volume.attachment is attachment:
                        original(backend, attachment.volume.id, attachment.instance.id, attachment.device)
                return
            waiting = self.cloud.wait(RETRY_SECONDS)

    def _free_to_detach(self, attachment: Any) -> bool:
        """Tell whether no fault holds it ``detaching``. The guest has let go of the device already."""
        held = self.cloud.seams.holds_detach(*_place(attachment)) and not getattr(attachment, "lab_forced", False)
        if held and attachment.status == "busy":
            attachment.status = "detaching"
        return not held

    def _unplug(self, attachment: Any) -> bool:
        try:
            with self._device_locks[attachment.volume.id]:
                self.cloud.driver.unplug(attachment.instance.id, attachment.volume.id)
        except DeviceInUse:
            attachment.status = "busy"
            return False
        except Unreachable as error:
            # Its power was cut in between. A machine that is off has let go of everything: the next look shows it.
            log.warning("unplug %s: %s", attachment.volume.id, error)
            return False
        return True


def volume_status(volume: Any) -> str:
    """Return EC2's state of a volume: creating, in-use or available."""
    held: str = getattr(volume, "lab_status", "")
    return "in-use" if volume.attachment else held or "available"


def delete_on_termination(attachment: Any) -> bool:
    """Return whether the volume dies with the instance, as the instance's block device mapping says."""
    mapping = attachment.instance.block_device_mapping.get(attachment.device)
    return bool(mapping and mapping.delete_on_termination)


def _place(attachment: Any) -> tuple[str, str, str]:
    """Return volume, instance and device name of an attachment."""
    return attachment.volume.id, attachment.instance.id, attachment.device


def _settle(volume: Any) -> None:
    volume.lab_status = ""


def _asked(parameter: Any) -> bool:
    return str(parameter).lower() == "true"
