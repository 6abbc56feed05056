"""A dry run says whether the caller may, after EC2 has read the request, and does nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.ec2.conftest import Ec2, eventually, refused

UNKNOWN = "0123456789abcdef0"


def state(ec2: Ec2) -> str:
    """Return all that EC2 knows of what a dry run could change."""
    client = ec2.client
    known = (
        client.describe_instances()["Reservations"],
        client.describe_volumes()["Volumes"],
        client.describe_snapshots(OwnerIds=["self"])["Snapshots"],
        client.describe_addresses()["Addresses"],
        client.describe_security_groups()["SecurityGroups"],
        client.describe_tags()["Tags"],
    )
    return json.dumps(known, default=str, sort_keys=True)


def dry(ec2: Ec2, action: str, **arguments: Any) -> tuple[int, str]:
    """Ask for a dry run; return the HTTP status and the error code of the answer."""
    with pytest.raises(ClientError) as caught:
        getattr(ec2.client, action)(DryRun=True, **arguments)
    answer: dict[str, Any] = dict(caught.value.response)
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_a_dry_run_of_every_call_of_a_migration_would_succeed_and_does_nothing(ec2: Ec2, lab_only: None) -> None:
    held, free, holder, other = ec2.volume(), ec2.volume(), ec2.instance(), ec2.instance()
    ec2.attach(held, holder)
    snapshot = ec2.client.create_snapshot(VolumeId=free)["SnapshotId"]
    eventually(lambda: ec2.client.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"], "completed")
    address = ec2.client.allocate_address(Domain="vpc")["AllocationId"]
    group = ec2.client.create_security_group(GroupName=f"dry {id(ec2)}", Description="dry")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    launch = {"ImageId": ec2.image_id, "InstanceType": ec2.instance_type, "MinCount": 1, "MaxCount": 1}
    tags = {"Resources": [held, holder], "Tags": [{"Key": "a", "Value": "b"}]}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("stop_instances", {"InstanceIds": [holder]}),
        ("detach_volume", {"VolumeId": held, "InstanceId": holder}),
        # The volume is still in use: a plan is asked about as a whole, before its first step.
        ("attach_volume", {"VolumeId": held, "InstanceId": other, "Device": "/dev/sdg"}),
        ("associate_address", {"AllocationId": address, "InstanceId": other}),
        ("create_tags", tags),
        ("delete_tags", tags),
        ("create_snapshot", {"VolumeId": held}),
        ("copy_snapshot", {"SourceRegion": ec2.client.meta.region_name, "SourceSnapshotId": snapshot}),
        ("create_volume", {"AvailabilityZone": ec2.zones[1], "Size": 1}),
        ("create_volume", {"AvailabilityZone": ec2.zones[1], "SnapshotId": snapshot}),
        ("delete_snapshot", {"SnapshotId": snapshot}),
        ("delete_volume", {"VolumeId": held}),
        ("run_instances", launch),
        ("terminate_instances", {"InstanceIds": [holder]}),
        ("create_security_group", {"GroupName": "dry run", "Description": "dry run"}),
        ("authorize_security_group_ingress", {"GroupId": group, "IpPermissions": [rule]}),
    ]
    try:
        before = state(ec2)
        for action, arguments in calls:
            assert dry(ec2, action, **arguments) == (412, "DryRunOperation"), action
        assert state(ec2) == before
    finally:
        ec2.client.delete_security_group(GroupId=group)
        ec2.client.release_address(AllocationId=address)
        ec2.client.delete_snapshot(SnapshotId=snapshot)


def test_a_dry_run_leaves_the_client_token_unused(ec2: Ec2) -> None:
    asked: dict[str, Any] = {"AvailabilityZone": ec2.zones[0], "ClientToken": f"dry-{ec2.image_id}-{id(ec2)}"}
    assert dry(ec2, "create_volume", Size=1, **asked)[1] == "DryRunOperation"
    made = ec2.client.create_volume(Size=2, **asked)
    ec2.volumes.append(made["VolumeId"])
    assert made["Size"] == 2
    ec2.await_volume(made["VolumeId"], "available")


@pytest.mark.parametrize(
    ("action", "named", "code"),
    [
        ("detach_volume", {"VolumeId": f"vol-{UNKNOWN}"}, "InvalidVolume.NotFound"),
        ("delete_volume", {"VolumeId": f"vol-{UNKNOWN}"}, "InvalidVolume.NotFound"),
        ("create_snapshot", {"VolumeId": f"vol-{UNKNOWN}"}, "InvalidVolume.NotFound"),
        ("delete_snapshot", {"SnapshotId": f"snap-{UNKNOWN}"}, "InvalidSnapshot.NotFound"),
        ("stop_instances", {"InstanceIds": [f"i-{UNKNOWN}"]}, "InvalidInstanceID.NotFound"),
        ("terminate_instances", {"InstanceIds": [f"i-{UNKNOWN}"]}, "InvalidInstanceID.NotFound"),
        ("create_tags", {"Resources": [f"vol-{UNKNOWN}"], "Tags": []}, "InvalidVolume.NotFound"),
        ("authorize_security_group_ingress", {"GroupId": f"sg-{UNKNOWN}"}, "InvalidGroup.NotFound"),
        ("detach_volume", {"VolumeId": "d1"}, "InvalidParameterValue"),
        ("stop_instances", {"InstanceIds": ["i-bad"]}, "InvalidInstanceID.Malformed"),
        ("stop_instances", {"InstanceIds": []}, "MissingParameter"),
        ("detach_volume", {"VolumeId": ""}, "MissingParameter"),
        ("create_volume", {"AvailabilityZone": "us-east-1zz", "Size": 1}, "InvalidZone.NotFound"),
    ],
)
def test_what_is_wrong_with_the_request_comes_before_the_dry_run(
    ec2: Ec2, action: str, named: dict[str, Any], code: str
) -> None:
    assert dry(ec2, action, **named) == (400, code)


def test_every_id_of_a_request_is_looked_at(ec2: Ec2) -> None:
    volume, instance = ec2.volume(), ec2.instance()
    where = {"InstanceId": instance, "Device": "/dev/sdg"}
    assert dry(ec2, "attach_volume", VolumeId=f"vol-{UNKNOWN}", **where)[1] == "InvalidVolume.NotFound"
    assert dry(ec2, "attach_volume", VolumeId=volume, **where | {"Device": "d1"})[1] == "InvalidParameterValue"
    unknown = where | {"InstanceId": f"i-{UNKNOWN}"}
    assert dry(ec2, "attach_volume", VolumeId=volume, **unknown)[1] == "InvalidInstanceID.NotFound"
    launch: dict[str, Any] = {"MinCount": 1, "MaxCount": 1, "InstanceType": ec2.instance_type}
    assert dry(ec2, "run_instances", ImageId=f"ami-{UNKNOWN}", **launch)[1] == "InvalidAMIID.NotFound"
    no_key = launch | {"KeyName": "no-such-key"}
    assert dry(ec2, "run_instances", ImageId=ec2.image_id, **no_key)[1] == "InvalidKeyPair.NotFound"
    no_group = launch | {"SecurityGroupIds": [f"sg-{UNKNOWN}"]}
    assert dry(ec2, "run_instances", ImageId=ec2.image_id, **no_group)[1] == "InvalidGroup.NotFound"


def test_an_address_or_a_snapshot_elsewhere_that_is_not_there_is_named(ec2: Ec2) -> None:
    instance = ec2.instance()
    missing = {"AllocationId": f"eipalloc-{UNKNOWN}", "InstanceId": instance}
    assert dry(ec2, "associate_address", **missing)[1] == "InvalidAllocationID.NotFound"
    source = {"SourceRegion": ec2.client.meta.region_name, "SourceSnapshotId": f"snap-{UNKNOWN}"}
    assert dry(ec2, "copy_snapshot", **source)[1] == "InvalidSnapshot.NotFound"
    with refused("InvalidAllocationID.NotFound"):
        ec2.client.associate_address(**missing)
