"""EC2's dictionaries and our nouns: what `transcoder.aws` reads and writes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transcoder.model import Attachment, ElasticIp, Image, Instance, Snapshot, Volume
from transcoder.settings import PortRule

Json = Mapping[str, Any]


def tag_filters(tags: Mapping[str, str] | None) -> list[dict[str, Any]]:
    """Return tags as filters of a Describe call."""
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in (tags or {}).items()]


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tagged(resource: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return ``TagSpecifications`` for what a call makes; EC2 refuses one without any tag."""
    return [{"ResourceType": resource, "Tags": tag_list(tags)}] if tags else []


def read_tags(item: Json) -> dict[str, str]:
    """Return the tags of an answer's item."""
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}


def read_instance(item: Json) -> Instance:
    """Return an instance of DescribeInstances or RunInstances."""
    devices = {m["DeviceName"]: m["Ebs"]["VolumeId"] for m in item.get("BlockDeviceMappings", []) if "Ebs" in m}
    return Instance(
        id=item["InstanceId"],
        state=item["State"]["Name"],
        zone=item["Placement"]["AvailabilityZone"],
        image_id=item["ImageId"],
        type=item["InstanceType"],
        private_ip=item.get("PrivateIpAddress", ""),
        public_ip=item.get("PublicIpAddress", ""),
        launched=item["LaunchTime"].isoformat(),
        devices=devices,
        tags=read_tags(item),
    )


def read_volume(item: Json) -> Volume:
    """Return a volume of DescribeVolumes or CreateVolume."""
    bonds = [bond for bond in item.get("Attachments", []) if bond["State"] != "detached"]
    bond = Attachment(bonds[0]["InstanceId"], bonds[0]["Device"], bonds[0]["State"]) if bonds else None
    return Volume(
        id=item["VolumeId"],
        zone=item["AvailabilityZone"],
        size_gib=item["Size"],
        state=item["State"],
        attachment=bond,
        snapshot_id=item.get("SnapshotId") or "",
        encrypted=item.get("Encrypted", False),
        type=item.get("VolumeType", ""),
        tags=read_tags(item),
    )


def read_snapshot(item: Json) -> Snapshot:
    """Return a snapshot of DescribeSnapshots or CreateSnapshot."""
    return Snapshot(
        id=item["SnapshotId"],
        volume_id=item.get("VolumeId") or "",
        state=item["State"],
        size_gib=item["VolumeSize"],
        started=item["StartTime"].isoformat() if "StartTime" in item else "",
        progress=int((item.get("Progress") or "0").rstrip("%") or 0),
        encrypted=item.get("Encrypted", False),
        tags=read_tags(item),
    )


def read_address(item: Json) -> ElasticIp:
    """Return an Elastic IP of DescribeAddresses or AllocateAddress."""
    return ElasticIp(
        allocation_id=item["AllocationId"],
        public_ip=item["PublicIp"],
        instance_id=item.get("InstanceId") or "",
        association_id=item.get("AssociationId") or "",
        tags=read_tags(item),
    )


def read_image(item: Json) -> Image:
    """Return an image of DescribeImages."""
    mappings = item.get("BlockDeviceMappings", [])
    disks = [mapping["Ebs"] for mapping in mappings if "Ebs" in mapping]
    return Image(
        id=item["ImageId"],
        name=item.get("Name", ""),
        state=item["State"],
        created=item.get("CreationDate", ""),
        root_device=item.get("RootDeviceName", ""),
        snapshot_ids=tuple(disk["SnapshotId"] for disk in disks if disk.get("SnapshotId")),
        tags=read_tags(item),
        size_gib=sum(int(disk.get("VolumeSize") or 0) for disk in disks),
        deprecates=item.get("DeprecationTime", ""),
        encrypted=bool(disks) and all(disk.get("Encrypted", False) for disk in disks),
    )


def permission(rule: PortRule) -> dict[str, Any]:
    """Return a rule as AuthorizeSecurityGroupIngress takes it."""
    last = rule.to_port if rule.to_port >= 0 else rule.port
    ranges = [{"CidrIp": source, "Description": rule.why} for source in rule.sources if ":" not in source]
    ranges6 = [{"CidrIpv6": source, "Description": rule.why} for source in rule.sources if ":" in source]
    return {
        "IpProtocol": rule.protocol,
        "FromPort": rule.port,
        "ToPort": last,
        **({"IpRanges": ranges} if ranges else {}),
        **({"Ipv6Ranges": ranges6} if ranges6 else {}),
    }
