"""Which permissions a call has need of: one for each resource that it names or makes, and for what it does beside.

After "Actions, resources, and condition keys for Amazon EC2" (service authorization reference) and, for tags of what is
being made, "Grant permission to tag Amazon EC2 resources during creation" (EC2 user guide). A new action of EC2 that
has resources needs a row in `NAMED` or `MADE`; without one only statements about ``*`` allow it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.iam.policies import ANY, Need

RESOURCE_TAG, REQUEST_TAG = "aws:ResourceTag/", "aws:RequestTag/"

KINDS = {
    **{"ami": "image", "eipalloc": "elastic-ip", "i": "instance", "key": "key-pair", "sg": "security-group"},
    **{"snap": "snapshot", "subnet": "subnet", "vol": "volume", "vpc": "vpc"},
}
"""How ids begin -> the kind of the resource, as ARNs name it."""
OWNERLESS = frozenset({"image", "snapshot"})
"""Kinds whose ARNs have no account."""

NAMED: Mapping[str, Mapping[str, str]] = {
    "AssociateAddress": {"AllocationId": "elastic-ip", "InstanceId": "instance"},
    "AttachVolume": {"InstanceId": "instance", "VolumeId": "volume"},
    "AuthorizeSecurityGroupIngress": {"GroupId": "security-group"},
    "CreateImage": {"InstanceId": "instance"},
    "CreateSecurityGroup": {"VpcId": "vpc"},
    "CreateSnapshot": {"VolumeId": "volume"},
    "CreateTags": {"Resources": ""},
    "CreateVolume": {"SnapshotId": "snapshot"},
    "DeleteKeyPair": {"KeyName": "key-pair", "KeyPairId": "key-pair"},
    "DeleteSecurityGroup": {"GroupId": "security-group"},
    "DeleteSnapshot": {"SnapshotId": "snapshot"},
    "DeleteTags": {"Resources": ""},
    "DeleteVolume": {"VolumeId": "volume"},
    "DeregisterImage": {"ImageId": "image"},
    "DescribeImageAttribute": {"ImageId": "image"},
    "DetachVolume": {"InstanceId": "instance", "VolumeId": "volume"},
    "DisassociateAddress": {"AssociationId": "elastic-ip"},
    "EnableImageDeprecation": {"ImageId": "image"},
    "ModifyImageAttribute": {"ImageId": "image"},
    "ModifyInstanceAttribute": {"InstanceId": "instance"},
    "ModifySnapshotAttribute": {"SnapshotId": "snapshot"},
    "RebootInstances": {"InstanceIds": "instance"},
    "ReleaseAddress": {"AllocationId": "elastic-ip"},
    "RunInstances": {
        **{"ImageId": "image", "KeyName": "key-pair", "SecurityGroupIds": "security-group", "SubnetId": "subnet"},
    },
    "StartInstances": {"InstanceIds": "instance"},
    "StopInstances": {"InstanceIds": "instance"},
    "TerminateInstances": {"InstanceIds": "instance"},
}
"""EC2's action -> the parameters that name what must be permitted, with its kind; empty: as the id says."""
MADE: Mapping[str, tuple[str, ...]] = {
    "AllocateAddress": ("elastic-ip",),
    "CopyImage": ("image", "snapshot"),
    "CopySnapshot": ("snapshot",),
    "CreateImage": ("image", "snapshot"),
    "CreateKeyPair": ("key-pair",),
    "CreateSecurityGroup": ("security-group",),
    "CreateSnapshot": ("snapshot",),
    "CreateVolume": ("volume",),
    "ImportKeyPair": ("key-pair",),
    "RunInstances": ("instance", "network-interface", "volume"),
}
"""EC2's action -> the kinds of what it makes."""
NEW = "new"
"""Stands in an ARN for the id of what is not there yet."""

SIGNED_AS = {"monitoring": "cloudwatch"}
"""The name that a request is signed for -> the one that IAM's actions have, where they differ."""

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Asked:
    """A call as IAM sees it.

    :param tags_of: returns the tags of an EC2 resource by its id.
    """

    service: str
    action: str
    parameters: Mapping[str, Any]
    region: str
    account: str
    tags_of: Callable[[str], Tags]

    @property
    def name(self) -> str:
        """IAM's name of the action, such as ``ec2:AttachVolume``."""
        return f"{self.service}:{self.action}"

    def arn(self, kind: str, identity: str) -> str:
        """Return the ARN of one of EC2's resources."""
        owner = "" if kind in OWNERLESS else self.account
        return f"arn:aws:ec2:{self.region}:{owner}:{kind}/{identity}"


def needs(asked: Asked) -> list[Need]:
    """Return all that must be permitted for a call to be answered."""
    if asked.service == "ec2":
        found = [*_named(asked), *_made(asked), *_passed(asked)]
        return found or [Need(asked.name)]
    if asked.service in BY_NAME:
        return [Need(asked.name, BY_NAME[asked.service](asked))]
    return [Need(asked.name, ANY, _context(asked))]


def _named(asked: Asked) -> Iterator[Need]:
    request = {f"{REQUEST_TAG}{key}": value for key, value in _pairs(asked.parameters.get("Tags", ()))}
    for parameter, kind in NAMED.get(asked.action, {}).items():
        for identity in _listed(asked.parameters.get(parameter)):
            own = {f"{RESOURCE_TAG}{key}": value for key, value in asked.tags_of(identity).items()}
            which = kind or KINDS.get(identity.rsplit("-", 1)[0], "unknown")
            yield Need(asked.name, asked.arn(which, identity), {**own, **request})


def _made(asked: Asked) -> Iterator[Need]:
    """Yield what is needed to make things, and to tag them at once."""
    for kind in MADE.get(asked.action, ()):
        tags = dict(_tags_for(kind, asked.parameters))
        request = {f"{REQUEST_TAG}{key}": value for key, value in tags.items()}
        yield Need(asked.name, asked.arn(kind, NEW), request)
        if tags:
            yield Need("ec2:CreateTags", asked.arn(kind, NEW), request)


def _passed(asked: Asked) -> Iterator[Need]:
    """Yield the permission to give an instance its role, which is taken to have the name of its profile."""
    profile = asked.parameters.get("IamInstanceProfile") or {}
    if name := profile.get("Name") or str(profile.get("Arn", "")).rpartition("/")[2]:
        context = {"iam:PassedToService": "ec2.amazonaws.com"}
        yield Need("iam:PassRole", f"arn:aws:iam::{asked.account}:role/{name}", context)


def _tags_for(kind: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for specification in parameters.get("TagSpecifications") or ():
        if specification.get("ResourceType") == kind:
            yield from _pairs(specification.get("Tags", ()))


def _pairs(tags: Iterable[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(each["Key"], each.get("Value", "")) for each in tags]


def _listed(value: Any) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else [str(each) for each in value]


def _parameter(asked: Asked) -> str:
    """Return the ARN of a parameter or of a path, whose slash at the begin is not doubled."""
    name = str(asked.parameters.get("Name") or asked.parameters.get("Path") or "").partition(":")[0]
    return f"arn:aws:ssm:{asked.region}:{asked.account}:parameter/{name.removeprefix('/')}"


def _secret(asked: Asked) -> str:
    """Return the ARN of a secret, which ends in six letters of the service's own choice; ``*`` where none is named."""
    name = str(asked.parameters.get("SecretId") or asked.parameters.get("Name") or "")
    if name.startswith("arn:") or not name:
        return name or "*"
    return f"arn:aws:secretsmanager:{asked.region}:{asked.account}:secret:{name}-AbCdEf"


BY_NAME: Mapping[str, Callable[[Asked], str]] = {"ssm": _parameter, "secretsmanager": _secret}
"""Services besides EC2 whose resources are known; of all others the action counts, and `CONTEXT`."""
CONTEXT = {"cloudwatch:namespace": "Namespace"}
"""Condition keys of other services -> the parameter that has their value."""


def _context(asked: Asked) -> dict[str, str]:
    return {
        key: str(asked.parameters[parameter])
        for key, parameter in CONTEXT.items()
        if parameter in asked.parameters and key.startswith(f"{asked.service}:")
    }


def is_known(key: str) -> bool:
    """Tell whether the lab has values for a condition key."""
    return key.startswith((RESOURCE_TAG, REQUEST_TAG)) or key in CONTEXT or key == "iam:PassedToService"
