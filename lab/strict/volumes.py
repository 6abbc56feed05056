"""Volumes and snapshots: one instance at a time, one zone, one device name, and states that must be right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lab.hooks import ec2_error

DEVICE = re.compile(r"^/dev/(sd[a-z][0-9]{0,2}|xvd[a-z]{1,2}[0-9]{0,2})$")
SIZES_GIB = {"gp2": (1, 16384), "gp3": (1, 65536), "io1": (4, 16384), "io2": (4, 65536), "st1": (125, 16384)}
SIZES_GIB |= {"sc1": (125, 16384), "standard": (1, 1024)}
MOST_DISKS = 16
"""A User-Mode-Linux machine has ubda to ubdp."""


def attachment_point(device: str) -> str:
    """Return what a device name stands for: /dev/sdg and /dev/xvdg are the same place."""
    return device.removeprefix("/dev/").replace("xvd", "sd", 1)


def check_create(backend: Any, size: int | None, zone: str, snapshot_id: str, volume_type: str = "gp2") -> None:
    """Refuse a volume of a wrong size, in a zone that is not there, or from a snapshot that is not ready."""
    check_zone(backend, zone)
    if snapshot_id:
        check_snapshot_holds(backend, snapshot_id, size)
    elif size is None:
        raise ec2_error("MissingParameter", "The request must contain the parameter size/snapshot")
    if size is not None:
        check_size(int(size), volume_type)


def check_zone(backend: Any, zone: str) -> None:
    """Refuse a zone that the region does not have."""
    if zone not in {known.name for known in backend.describe_availability_zones()}:
        raise ec2_error("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")


def check_size(size: int, volume_type: str) -> None:
    """Refuse a size that the volume type does not come in."""
    if volume_type not in SIZES_GIB:
        raise ec2_error("InvalidParameterValue", f"Invalid value '{volume_type}' for VolumeType")
    smallest, largest = SIZES_GIB[volume_type]
    if size < smallest:
        raise ec2_error(
            "InvalidParameterValue", f"Volume of {size}GiB is too small for {volume_type}; minimum is {smallest}GiB."
        )
    if size > largest:
        raise ec2_error(
            "InvalidParameterValue", f"Volume of {size}GiB is too large for {volume_type}; maximum is {largest}GiB."
        )


def check_snapshot_holds(backend: Any, snapshot_id: str, size: int | None) -> None:
    """Refuse to use a snapshot that is not there, not complete, or larger than the volume."""
    snapshot = find_snapshot(backend, snapshot_id)
    least = int(snapshot.volume.size)
    check_completed(snapshot)
    if size is not None and int(size) < least:
        raise ec2_error(
            "InvalidParameterValue",
            f"Volume of size {size}GB is smaller than snapshot '{snapshot_id}', expect size >= {least}GB",
        )


def check_no_image(backend: Any, snapshot_id: str) -> None:
    """Refuse to delete a snapshot that an AMI is made of; moto knows the last of several only."""
    for image in backend.amis.values():
        if snapshot_id in [mapping["Ebs"].get("SnapshotId") for mapping in getattr(image, "lab_mappings", [])]:
            raise ec2_error("InvalidSnapshot.InUse", f"The snapshot {snapshot_id} is currently in use by {image.id}")


def check_completed(snapshot: Any) -> None:
    """Refuse to make something of a snapshot that is not complete yet."""
    if snapshot.status != "completed":
        raise ec2_error("IncorrectState", f"Snapshot {snapshot.id} is in invalid state - {snapshot.status}")


def check_snapshot(volume: Any) -> None:
    """Refuse to take a snapshot of a volume that is still being made."""
    if volume.status not in ("available", "in-use"):
        raise ec2_error("IncorrectState", f"Volume '{volume.id}' is in the '{volume.status}' state.")


def check_region(regions: Sequence[str], region: str) -> None:
    """Refuse a source region that the lab does not have."""
    if region not in regions:
        raise ec2_error(
            "InvalidParameterValue", f"Invalid source region {region}: this lab has only {' and '.join(regions)}."
        )


def find_snapshot(backend: Any, snapshot_id: str) -> Any:
    """Return the snapshot, or refuse with its id in the text, which moto's own error lacks."""
    if snapshot_id not in backend.snapshots:
        raise ec2_error("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    return backend.snapshots[snapshot_id]


def check_attach(volume: Any, instance: Any, device: str) -> None:
    """Refuse an attachment that EC2 would refuse; in the order of what an operator should hear first."""
    if not device:
        raise ec2_error("MissingParameter", "The request must contain the parameter device")
    check_device(device)
    if instance.state not in ("running", "stopped"):
        raise ec2_error("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
    if volume.availability_zone != instance.availability_zone:
        raise ec2_error(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
        )
    check_free(volume)
    check_attachment_point(instance, device)


def check_device(device: str) -> None:
    """Refuse a name that EC2 gives to no device."""
    if not DEVICE.match(device):
        raise ec2_error(
            "InvalidParameterValue",
            f"Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name.",
        )


def check_free(volume: Any) -> None:
    """Refuse a volume that is attached, to whatever instance, or that is not ready."""
    if volume.attachment:
        raise ec2_error("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.status != "available":
        raise ec2_error("IncorrectState", f"{volume.id} is not 'available'.")


def check_attachment_point(instance: Any, device: str) -> None:
    """Refuse a device name that is taken, and one disk more than a machine can have."""
    taken = {attachment_point(name) for name in instance.block_device_mapping}
    if attachment_point(device) in taken:
        raise ec2_error(
            "InvalidParameterValue",
            f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
        )
    if len(taken) >= MOST_DISKS:
        raise ec2_error(
            "AttachmentLimitExceeded", f"Instance '{instance.id}' has {len(taken)} volumes, the limit of its type."
        )


def check_detach(volume: Any, instance: Any | None, device: str) -> None:
    """Refuse to detach what is not attached, or not attached there, or a running instance's root.

    :param instance: the instance that the request names, None when it names none.
    """
    attachment = volume.attachment
    if not attachment:
        raise ec2_error("IncorrectState", f"Volume '{volume.id}' is in the '{volume.status}' state.")
    if instance is not None and attachment.instance.id != instance.id:
        raise ec2_error(
            "InvalidAttachment.NotFound", f"Volume '{volume.id}' is not attached to instance '{instance.id}'."
        )
    if device and attachment_point(device) != attachment_point(attachment.device):
        raise ec2_error(
            "InvalidAttachment.NotFound",
            f"Volume '{volume.id}' is not attached to instance '{attachment.instance.id}' as device {device}.",
        )
    holder = attachment.instance
    if attachment.device == holder.root_device_name and holder.state != "stopped":
        raise ec2_error(
            "OperationNotPermitted", f"Unable to detach root volume '{volume.id}' from instance '{holder.id}'"
        )


def refuse_force(volume_id: str) -> Exception:
    """Return the refusal of a forced detach: User-Mode-Linux cannot take a device from a guest that has it open."""
    return ec2_error(
        "UnsupportedOperation",
        f"The guest has {volume_id} mounted or open, and the lab cannot force it out of a running machine. "
        "Unmount it there, or stop the instance.",
    )


def check_delete(volume: Any) -> None:
    """Refuse to delete a volume that is attached."""
    if volume.attachment:
        raise ec2_error("VolumeInUse", f"Volume {volume.id} is currently attached to {volume.attachment.instance.id}")


def check_modify(volume: Any, size: int | None) -> None:
    """Refuse to shrink."""
    if size is not None and int(size) < int(volume.size):
        raise ec2_error("InvalidParameterValue", "New size cannot be smaller than existing size")
