"""All that EC2 says of an account, to compare before and after what must not change anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transcoder.aws import session
from transcoder.settings import Settings

LISTS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "instances": ("describe_instances", "Reservations", {}),
    "volumes": ("describe_volumes", "Volumes", {}),
    "snapshots": ("describe_snapshots", "Snapshots", {"OwnerIds": ["self"]}),
    "images": ("describe_images", "Images", {"Owners": ["self"]}),
    "Elastic IPs": ("describe_addresses", "Addresses", {}),
    "network interfaces": ("describe_network_interfaces", "NetworkInterfaces", {}),
    "security groups": ("describe_security_groups", "SecurityGroups", {}),
    "security group rules": ("describe_security_group_rules", "SecurityGroupRules", {}),
    "subnets": ("describe_subnets", "Subnets", {}),
    "key pairs": ("describe_key_pairs", "KeyPairs", {}),
    "tags": ("describe_tags", "Tags", {}),
}
"""What is asked for: a name for people, the call, the key of its list, its arguments.

Not the status checks: they turn to ``ok`` by themselves, minutes after a launch.
"""


@dataclass(frozen=True)
class CloudState:
    """The items of each list as JSON lines, sorted, and the locks and other parameters in SSM."""

    items: Mapping[str, tuple[str, ...]]

    def summary(self) -> str:
        """Say how much there is: ``2 instances, 5 volumes, ...``."""
        return ", ".join(f"{len(found)} {name}" for name, found in self.items.items() if found)


def take(settings: Settings) -> CloudState:
    """Describe everything there is in the environment's account and region."""
    opened = session(settings)
    endpoint = settings.aws.endpoint_url or None
    ec2, ssm = opened.client("ec2", endpoint_url=endpoint), opened.client("ssm", endpoint_url=endpoint)
    found = {name: _all(ec2, call, key, arguments) for name, (call, key, arguments) in LISTS.items()}
    found["parameters"] = _all(ssm, "describe_parameters", "Parameters", {})
    return CloudState({name: tuple(sorted(_text(item) for item in items)) for name, items in found.items()})


def differences(before: CloudState, after: CloudState) -> tuple[str, ...]:
    """Return a line for every item that one of the two lacks; an item that changed is two lines."""
    lines = []
    for name in before.items:
        old, new = before.items[name], after.items[name]
        lines += [f"- {name}: {item}" for item in old if item not in new]
        lines += [f"+ {name}: {item}" for item in new if item not in old]
        if len(old) != len(new) and set(old) == set(new):
            lines.append(f"{name}: {len(old)} before, {len(new)} after")
    return tuple(lines)


def _all(client: Any, call: str, key: str, arguments: Mapping[str, Any]) -> list[Any]:
    if client.can_paginate(call):
        return list(client.get_paginator(call).paginate(**arguments).build_full_result()[key])
    return list(getattr(client, call)(**arguments)[key])


def _text(item: Any) -> str:
    return json.dumps(_sorted(item), default=str, sort_keys=True)


def _sorted(value: Any) -> Any:
    """Return a value whose lists are in order: EC2 promises none."""
    if isinstance(value, dict):
        return {key: _sorted(part) for key, part in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(part) for part in value), key=lambda part: json.dumps(part, default=str, sort_keys=True))
    return value
