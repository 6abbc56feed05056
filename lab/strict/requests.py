"""What EC2 looks at before it looks at permissions: that a request is whole, and that what it names is there.

A dry run answers so far and no further: whether the states would allow the change is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from lab.hooks import ec2_error
from lab.strict import instances, volumes


@dataclass(frozen=True)
class Kind:
    """A kind of resource: EC2's error code and text for an id that is not there, with ``{}`` for the id.

    :param known: returns all ids of the kind.
    """

    known: Callable[[Any], Container[str]]
    unknown: str
    says: str


KINDS: Mapping[str, Kind] = {
    "i": Kind(
        lambda backend: {instance.id for instance in backend.all_instances()},
        "InvalidInstanceID.NotFound",
        "The instance ID '{}' does not exist",
    ),
    "vol": Kind(lambda backend: backend.volumes, "InvalidVolume.NotFound", "The volume '{}' does not exist."),
    "snap": Kind(lambda backend: backend.snapshots, "InvalidSnapshot.NotFound", "The snapshot '{}' does not exist."),
    "ami": Kind(lambda backend: backend.amis, "InvalidAMIID.NotFound", "The image id '[{}]' does not exist"),
    "eipalloc": Kind(
        lambda backend: {address.allocation_id for address in backend.addresses},
        "InvalidAllocationID.NotFound",
        "The allocation ID '{}' does not exist",
    ),
    "sg": Kind(
        lambda backend: {group_id for groups in backend.groups.values() for group_id in groups},
        "InvalidGroup.NotFound",
        "The security group '{}' does not exist",
    ),
    "subnet": Kind(
        lambda backend: {subnet_id for zone in backend.subnets.values() for subnet_id in zone},
        "InvalidSubnetID.NotFound",
        "The subnet ID '{}' does not exist",
    ),
}
"""By the ids' prefix."""

NAMED_BY: Mapping[str, str] = {
    "InstanceId": "i",
    "InstanceIds": "i",
    "VolumeId": "vol",
    "SnapshotId": "snap",
    "ImageId": "ami",
    "AllocationId": "eipalloc",
    "GroupId": "sg",
    "SecurityGroupIds": "sg",
    "SubnetId": "subnet",
}
"""Which parameter names which kind."""

MALFORMED: Mapping[str, tuple[str, str]] = {
    "i": ("InvalidInstanceID.Malformed", 'Invalid id: "{}"'),
    "ami": ("InvalidAMIID.Malformed", 'Invalid id: "{}" (expecting "ami-...")'),
    "sg": ("InvalidGroupId.Malformed", 'Invalid id: "{}" (expecting "sg-...")'),
}
"""The kinds whose malformed ids have a code of their own; of the others it is InvalidParameterValue."""


def check_whole(required: list[str], parameters: Mapping[str, Any]) -> None:
    """Refuse a request that lacks a parameter, or has it empty."""
    for name in required:
        if parameters.get(name) in (None, "", []):
            raise ec2_error("MissingParameter", f"The request must contain the parameter {name}")


def check_named(backend: Any, parameters: Mapping[str, Any]) -> None:
    """Refuse malformed and unknown ids."""
    for name, kind in NAMED_BY.items():
        value = parameters.get(name) or []
        for resource_id in [value] if isinstance(value, str) else value:
            check_form(kind, name, str(resource_id))
            check_exists(backend, str(resource_id))


def check_form(kind: str, parameter: str, resource_id: str) -> None:
    """Refuse text that is no id of its kind."""
    if re.fullmatch(rf"{kind}-([0-9a-f]{{8}}|[0-9a-f]{{17}})", resource_id):
        return
    if kind in MALFORMED:
        code, text = MALFORMED[kind]
        raise ec2_error(code, text.format(resource_id))
    name = parameter[0].lower() + parameter[1:]
    raise ec2_error(
        "InvalidParameterValue", f"Value ({resource_id}) for parameter {name} is invalid. Expected: '{kind}-...'."
    )


def check_exists(backend: Any, resource_id: str) -> None:
    """Refuse the id of something that is not there; an id of another kind than `KINDS` is passed over."""
    kind = KINDS.get(resource_id.rsplit("-", 1)[0])
    if kind is not None and resource_id not in kind.known(backend):
        raise ec2_error(kind.unknown, kind.says.format(resource_id))


def check_create_volume(backend: Any, parameters: Mapping[str, Any]) -> None:
    """Refuse a zone that is not there, and a size that is missing or that the type does not come in."""
    size, snapshot = parameters.get("Size"), parameters.get("SnapshotId")
    volumes.check_zone(backend, parameters.get("AvailabilityZone", ""))
    if size is None and not snapshot:
        raise ec2_error("MissingParameter", "The request must contain the parameter size/snapshot")
    if size is not None:
        volumes.check_size(int(size), parameters.get("VolumeType") or "gp2")


def check_run(backend: Any, parameters: Mapping[str, Any]) -> None:
    """Refuse a launch of an image, a key or a type that is not there."""
    if not parameters.get("LaunchTemplate"):
        instances.check_image(backend, parameters.get("ImageId", ""))
    instances.check_key(backend, parameters.get("KeyName"))
    if parameters.get("InstanceType"):
        instances.check_type(parameters["InstanceType"])


CHECKS: Mapping[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "AttachVolume": lambda _, parameters: volumes.check_device(str(parameters["Device"])),
    "CreateVolume": check_create_volume,
    "RunInstances": check_run,
}
"""What an action refuses beyond its required parameters and ids."""


def check(backend: Any, action: str, required: list[str], parameters: Mapping[str, Any]) -> None:
    """Refuse what EC2 refuses of a request before it says that a dry run would have succeeded.

    :param required: the parameters that the action cannot do without.
    """
    check_whole(required, parameters)
    check_named(backend, parameters)
    if action in CHECKS:
        CHECKS[action](backend, parameters)
