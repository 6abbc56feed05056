"""AMIs: names that are free, instances that can be imaged, and a root that is there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.hooks import ec2_error
from lab.strict.volumes import attachment_point, check_snapshot_holds

LONGEST_DEPRECATION = timedelta(days=3653)
NAME = re.compile(r"^[A-Za-z0-9()\[\] ./'@_-]{3,128}$")


def check_name(backend: Any, name: str | None) -> None:
    """Refuse a missing, malformed or taken AMI name."""
    if not name:
        raise ec2_error("MissingParameter", "The request must contain the parameter name")
    if not NAME.match(name):
        raise ec2_error(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and ()[] ./-'@_",
        )
    for image in backend.amis.values():
        if image.name == name:
            raise ec2_error("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")


def check_instance(instance: Any) -> None:
    """Refuse to make an image of an instance that is neither running nor stopped."""
    if instance.state not in ("running", "stopped"):
        raise ec2_error(
            "IncorrectState",
            f"The instance '{instance.id}' is not in the 'running' or 'stopped' state: {instance.state}",
        )


def check_deprecation(when: Any) -> str:
    """Return the time of a deprecation as EC2 keeps it, to the minute; refuse one that has passed or is too far off."""
    date = when if isinstance(when, datetime) else datetime.fromisoformat(str(when))
    date = date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)
    now = datetime.now(UTC)
    if not now < date <= now + LONGEST_DEPRECATION:
        raise ec2_error("InvalidParameterValue", f"DeprecateAt {when} must be in the future, within ten years")
    return date.strftime("%Y-%m-%dT%H:%M:00.000Z")


def check_register(backend: Any, root_device: str, mappings: Sequence[dict[str, Any]]) -> None:
    """Refuse to register an image without a root snapshot."""
    roots = [m for m in mappings if attachment_point(m["DeviceName"]) == attachment_point(root_device)]
    if not roots or not roots[0].get("Ebs", {}).get("SnapshotId"):
        raise ec2_error(
            "InvalidBlockDeviceMapping", f"The root device {root_device} must be mapped to an EBS snapshot in this lab"
        )
    for mapping in mappings:
        ebs = mapping.get("Ebs", {})
        if ebs.get("SnapshotId"):
            check_snapshot_holds(backend, ebs["SnapshotId"], ebs.get("VolumeSize"))
