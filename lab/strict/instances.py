"""Instances: ids, images, keys and addresses that exist, and the states from which a change may start."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from lab.hooks import ec2_error
from lab.strict import volumes

INSTANCE_ID = re.compile(r"^i-([0-9a-f]{8}|[0-9a-f]{17})$")

# From which states a request is legal. Where the state that it leads to is in the set, the request changes nothing.
MAY_START = frozenset({"stopped", "pending", "running"})
MAY_STOP = frozenset({"running", "stopping", "stopped"})
MAY_REBOOT = frozenset({"running"})


def check_ids(instance_ids: Iterable[str]) -> None:
    """Refuse text that is no instance id at all."""
    for instance_id in instance_ids:
        if not INSTANCE_ID.match(str(instance_id)):
            raise ec2_error("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')


def check_state(instances: Iterable[Any], allowed: frozenset[str], verb: str) -> None:
    """Refuse when one of the instances is in a state from which ``verb`` ("started", "stopped") is impossible."""
    for instance in instances:
        if instance.state not in allowed:
            raise ec2_error(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be {verb}.",
            )


def check_reboot(instances: Iterable[Any]) -> None:
    """Refuse to reboot an instance that does not run."""
    for instance in instances:
        if instance.state not in MAY_REBOOT:
            raise ec2_error("IncorrectState", f"Instance {instance.id} is not in the 'running' state: {instance.state}")


def check_change_when_stopped(instance: Any, attribute: str) -> None:
    """Refuse to change what a running machine already has in use."""
    if instance.state != "stopped":
        raise ec2_error(
            "IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state ({attribute})."
        )


def check_image(backend: Any, image_id: str) -> Any:
    """Return the AMI to launch from, or refuse: malformed, unknown, deregistered, or not yet available."""
    if not image_id:
        raise ec2_error("MissingParameter", "The request must contain the parameter ImageId")
    if not re.match(r"^ami-[0-9a-f]+$", image_id):
        raise ec2_error("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
    if image_id in backend.deleted_amis:
        raise ec2_error("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is no longer available")
    if image_id not in backend.amis:
        raise ec2_error("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    image = backend.amis[image_id]
    if image.state != "available":
        raise ec2_error("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is not available: {image.state}")
    return image


def check_type(instance_type: str) -> None:
    """Refuse an instance type that EC2 does not have."""
    if instance_type not in INSTANCE_TYPES:
        raise ec2_error("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")


def check_key(backend: Any, key_name: str | None) -> None:
    """Refuse a key pair that does not exist; none is legal."""
    if key_name and key_name not in backend.key_pairs:
        raise ec2_error("InvalidKeyPair.NotFound", f"The key pair '{key_name}' does not exist")


def check_counts(least: int, most: int) -> None:
    """Refuse a launch of none, or of fewer at most than at least."""
    if not 1 <= least <= most:
        raise ec2_error("InvalidParameterValue", f"Invalid MinCount {least} or MaxCount {most}")


def check_subnet(subnet: Any, bridge: ipaddress.IPv4Network) -> None:
    """Refuse a subnet whose addresses no machine of the lab can have: they are not on its bridge."""
    if not subnet.cidr.subnet_of(bridge):
        raise ec2_error(
            "UnsupportedOperation",
            f"Subnet {subnet.id} ({subnet.cidr_block}) is not on the lab's network {bridge}; use a default subnet.",
        )


def check_private_address(subnet: Any, address: str | None) -> None:
    """Refuse a private address that is outside the subnet, reserved, or taken."""
    if not address:
        return
    if ipaddress.ip_address(address) not in subnet.cidr:
        raise ec2_error("InvalidParameterValue", f"Address {address} does not fall within the subnet's address range")
    if ipaddress.ip_address(address) in subnet._reserved_ips:
        raise ec2_error("InvalidParameterValue", f"Address {address} is in subnet's reserved address range")
    if address in subnet._subnet_ips:
        raise ec2_error("InvalidIPAddress.InUse", f"Address {address} is in use.")


def check_block_devices(backend: Any, mappings: Sequence[dict[str, Any]]) -> None:
    """Refuse block devices of a launch: bad names, the same place twice, sizes below the snapshot's."""
    points = [volumes.attachment_point(mapping["DeviceName"]) for mapping in mappings]
    for mapping, point in zip(mappings, points, strict=True):
        device, ebs = mapping["DeviceName"], mapping["Ebs"]
        if not volumes.DEVICE.match(device):
            raise ec2_error("InvalidBlockDeviceMapping", f"Invalid device name {device}")
        if points.count(point) > 1:
            raise ec2_error("InvalidBlockDeviceMapping", f"Duplicate device name: {device}")
        if not ebs.get("SnapshotId") and not ebs.get("VolumeSize"):
            raise ec2_error("MissingParameter", f"The request must contain the size or snapshot of {device}")
        if ebs.get("SnapshotId"):
            volumes.check_snapshot_holds(backend, ebs["SnapshotId"], ebs.get("VolumeSize"))
        if ebs.get("VolumeSize"):
            volumes.check_size(int(ebs["VolumeSize"]), ebs.get("VolumeType") or "gp2")
