"""The connection closes after EC2 has done what was asked: nothing is done twice, and nothing is forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from tests.unit.aws.scripted import Answer, Rig, error, lost
from transcoder.aws_errors import LostAnswer
from transcoder.errors import NotReady, Unreachable
from transcoder.world import Lock, VolumeRequest

OURS = Lock("ada", "laptop", 4711, "2026-01-31T16:00:00+00:00", "fab migrate --to new")
THEIRS = Lock("bob", "desk", 1, "2026-01-31T16:01:00+00:00", "fab detach")
EXISTS = error("ParameterAlreadyExists")
NO_LOCK = error("ParameterNotFound")
TAGS = {"transcoder:node": "tc001"}
ADDRESS = {"AllocationId": "eipalloc-1", "PublicIp": "203.0.113.1"}


def held(lock: Lock) -> Answer:
    return {"Parameter": {"Value": json.dumps(asdict(lock))}}


def bound(instance_id: str, device: str, state: str) -> Answer:
    bond = {"InstanceId": instance_id, "Device": device, "State": state}
    volume = {"VolumeId": "vol-1", "AvailabilityZone": "a", "Size": 1, "State": "in-use", "Attachments": [bond]}
    return {"Volumes": [volume]}


def snapshot(snapshot_id: str = "snap-1") -> dict[str, Any]:
    return {"SnapshotId": snapshot_id, "VolumeId": "vol-1", "State": "pending", "Progress": "7%", "VolumeSize": 1}


# attachments


@pytest.mark.parametrize("second", ["VolumeInUse", "InvalidParameterValue"])
def test_an_attachment_that_was_made_is_found_made(second: str) -> None:
    again = error(second, "Attachment point /dev/sdg is already in use")
    rig = Rig(attach_volume=[lost(), again], describe_volumes=[bound("i-1", "/dev/sdg", "attaching")])
    rig.aws.attach("vol-1", "i-1", "/dev/sdg")


@pytest.mark.parametrize(
    ("instance_id", "device", "state"),
    [("i-2", "/dev/sdg", "attached"), ("i-1", "/dev/sdh", "attached"), ("i-1", "/dev/sdg", "detaching")],
)
def test_an_attachment_of_another_kind_is_not_taken_for_ours(instance_id: str, device: str, state: str) -> None:
    rig = Rig(attach_volume=[error("VolumeInUse")], describe_volumes=[bound(instance_id, device, state)])
    with pytest.raises(NotReady):
        rig.aws.attach("vol-1", "i-1", "/dev/sdg")


@pytest.mark.parametrize("code", ["IncorrectState", "InvalidAttachment.NotFound", "InvalidVolume.NotFound"])
def test_a_detachment_that_was_made_is_found_made(code: str) -> None:
    rig = Rig(detach_volume=[lost(), error(code)])
    rig.aws.detach("vol-1", "i-1")
    assert rig.client.count("detach_volume") == 2
    assert "Force" not in rig.client.request("detach_volume")


def test_a_forced_detachment_names_the_instance_and_is_as_safe_twice() -> None:
    rig = Rig(detach_volume=[lost(), error("IncorrectState")])
    rig.aws.force_detach("vol-1", "i-1")
    assert rig.client.request("detach_volume") == {"VolumeId": "vol-1", "InstanceId": "i-1", "Force": True}


# creations


def test_a_volume_is_asked_for_again_with_the_same_token() -> None:
    volume = {"VolumeId": "vol-1", "AvailabilityZone": "a", "Size": 1, "State": "creating"}
    rig = Rig(create_volume=[lost(), error("InternalError", status=500), volume])
    assert rig.aws.create_volume(VolumeRequest("a", 1, "gp2", True, "token", {})).id == "vol-1"
    assert {request["ClientToken"] for _, request in rig.client.calls} == {"token"}


@pytest.mark.parametrize("broken", [lost(), error("InternalError", status=500), error("ServiceUnavailable")])
def test_a_snapshot_is_begun_once_and_found_by_its_description_when_the_reads_catch_up(broken: Exception) -> None:
    found: list[Answer] = [{"Snapshots": []}, lost(), {"Snapshots": [snapshot()]}]
    rig = Rig(create_snapshot=[broken], describe_snapshots=found)
    made = rig.aws.create_snapshot("vol-1", TAGS)
    assert (made.id, made.state, made.progress) == ("snap-1", "pending", 7)
    assert rig.client.count("create_snapshot") == 1
    description = rig.client.request("create_snapshot")["Description"]
    assert {"Name": "description", "Values": [description]} in rig.client.request("describe_snapshots")["Filters"]


def test_no_two_snapshots_have_the_same_description() -> None:
    rig = Rig(create_snapshot=[snapshot()])
    rig.aws.create_snapshot("vol-1", TAGS)
    rig.aws.create_snapshot("vol-1", TAGS)
    assert len({request["Description"] for _, request in rig.client.calls}) == 2


def test_a_snapshot_that_nobody_sees_is_neither_claimed_nor_begun_again() -> None:
    rig = Rig(create_snapshot=[lost()], describe_snapshots=[{"Snapshots": []}])
    with pytest.raises(LostAnswer, match="whether it was done is not known") as caught:
        rig.aws.create_snapshot("vol-1", TAGS)
    assert isinstance(caught.value, Unreachable)
    assert rig.client.count("create_snapshot") == 1
    assert rig.clock.monotonic() <= 11


def test_a_throttled_snapshot_was_surely_not_begun_and_is_asked_for_again() -> None:
    rig = Rig(create_snapshot=[error("SnapshotCreationPerVolumeRateExceeded"), snapshot()])
    assert rig.aws.create_snapshot("vol-1", TAGS).id == "snap-1"


def test_a_copy_is_begun_once_and_found_by_its_description() -> None:
    rig = Rig(copy_snapshot=[lost()], describe_snapshots=[{"Snapshots": [snapshot("snap-2")]}])
    assert rig.aws.copy_snapshot("snap-1", "eu-west-1", TAGS).id == "snap-2"
    request = rig.client.request("copy_snapshot")
    assert (request["SourceRegion"], request["SourceSnapshotId"]) == ("eu-west-1", "snap-1")
    assert "eu-west-1 snap-1" in request["Description"]


def test_an_address_is_allocated_once_and_found_by_its_tags() -> None:
    rig = Rig(allocate_address=[lost()], describe_addresses=[{"Addresses": [ADDRESS]}])
    assert rig.aws.allocate_address(TAGS).allocation_id == "eipalloc-1"
    assert rig.client.count("allocate_address") == 1


def test_an_address_without_tags_is_never_taken_for_ours() -> None:
    rig = Rig(allocate_address=[lost()], describe_addresses=[{"Addresses": [ADDRESS]}])
    with pytest.raises(LostAnswer):
        rig.aws.allocate_address({})


# deletions


def test_what_was_deleted_is_found_deleted() -> None:
    rig = Rig(
        delete_volume=[lost(), error("InvalidVolume.NotFound")],
        delete_snapshot=[lost(), error("InvalidSnapshot.NotFound")],
    )
    rig.aws.delete_volume("vol-1")
    rig.aws.delete_snapshot("snap-1")
    assert rig.client.count("delete_volume") == rig.client.count("delete_snapshot") == 2


# locks


def test_a_lock_that_was_taken_is_ours() -> None:
    rig = Rig(put_parameter=[lost(), EXISTS], get_parameter=[held(OURS)])
    assert rig.aws.take_lock("tc001", OURS) is None


def test_a_lock_that_somebody_else_got_meanwhile_is_theirs() -> None:
    rig = Rig(put_parameter=[lost(), EXISTS], get_parameter=[held(THEIRS)])
    assert rig.aws.take_lock("tc001", OURS) == THEIRS


def test_a_lock_that_was_freed_between_two_questions_is_asked_for_again() -> None:
    rig = Rig(put_parameter=[EXISTS, {}], get_parameter=[NO_LOCK])
    assert rig.aws.take_lock("tc001", OURS) is None
    assert rig.client.count("put_parameter") == 2


def test_a_lock_that_is_never_ours_is_never_called_ours() -> None:
    rig = Rig(put_parameter=[EXISTS], get_parameter=[NO_LOCK])
    with pytest.raises(NotReady):
        rig.aws.take_lock("tc001", OURS)


def test_a_lock_that_was_freed_and_taken_by_somebody_else_is_left_to_them() -> None:
    rig = Rig(delete_parameter=[lost()], get_parameter=[held(OURS), held(THEIRS)])
    assert rig.aws.free_lock("tc001", OURS) == OURS
    assert rig.client.count("delete_parameter") == 1


def test_freeing_whoever_holds_it_does_not_go_on_to_the_next_holder() -> None:
    rig = Rig(delete_parameter=[lost()], get_parameter=[held(THEIRS), held(OURS)])
    assert rig.aws.free_lock("tc001") == THEIRS
    assert rig.client.count("delete_parameter") == 1


def test_a_lock_that_is_still_held_is_freed_again() -> None:
    rig = Rig(delete_parameter=[lost(), {}], get_parameter=[held(OURS)])
    assert rig.aws.free_lock("tc001", OURS) == OURS
    assert rig.client.count("delete_parameter") == 2


def test_a_lock_that_cannot_be_freed_is_said() -> None:
    rig = Rig(delete_parameter=[lost()], get_parameter=[held(OURS)])
    with pytest.raises(LostAnswer, match="tc001"):
        rig.aws.free_lock("tc001", OURS)


# groups


def test_a_security_group_that_was_made_gets_its_rules_all_the_same() -> None:
    group = {"SecurityGroups": [{"GroupId": "sg-1"}]}
    rig = Rig(
        describe_subnets=[{"Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1"}]}],
        describe_security_groups=[{"SecurityGroups": []}, group],
        create_security_group=[lost(), error("InvalidGroup.Duplicate")],
        authorize_security_group_ingress=[lost(), error("InvalidPermission.Duplicate")],
    )
    assert rig.aws.ensure_security_group() == "sg-1"
    assert rig.client.request("authorize_security_group_ingress")["GroupId"] == "sg-1"


def test_a_stop_says_whether_it_is_forced() -> None:
    rig = Rig(stop_instances=[{}])
    rig.aws.stop("i-1")
    assert rig.client.request("stop_instances") == {"InstanceIds": ["i-1"], "Force": False}
    rig.aws.stop("i-1", force=True)
    assert rig.client.request("stop_instances")["Force"] is True


# volumes from snapshots


def created(kms: str = "", **changes: Any) -> Mapping[str, Any]:
    volume = {"VolumeId": "vol-1", "AvailabilityZone": "a", "Size": 1, "State": "creating"}
    rig = Rig(kms=kms, create_volume=[volume])
    request = {"zone": "a", "size_gib": 1, "type": "gp2", "encrypted": True, "token": "t", "tags": {}, **changes}
    rig.aws.create_volume(VolumeRequest(**request))
    return rig.client.request("create_volume")


def test_a_blank_volume_says_whether_it_is_encrypted() -> None:
    assert created(encrypted=False)["Encrypted"] is False
    assert "SnapshotId" not in created()


def test_a_volume_from_a_snapshot_never_asks_not_to_be_encrypted() -> None:
    request = created(snapshot_id="snap-1", encrypted=False, kms="key-1")
    assert request["SnapshotId"] == "snap-1"
    assert "Encrypted" not in request
    assert "KmsKeyId" not in request


def test_a_volume_from_a_snapshot_can_be_encrypted_with_a_key() -> None:
    request = created(snapshot_id="snap-1", kms="key-1")
    assert (request["Encrypted"], request["KmsKeyId"]) == (True, "key-1")


# tags


def test_removing_no_tag_removes_none() -> None:
    rig = Rig(delete_tags=[{}], create_tags=[{}])
    rig.aws.untag("vol-1", [])  # EC2 reads a DeleteTags without keys as: all of them
    rig.aws.tag("vol-1", {})
    assert rig.client.calls == []
    rig.aws.untag("vol-1", ["a"])
    assert rig.client.request("delete_tags") == {"Resources": ["vol-1"], "Tags": [{"Key": "a"}]}


def test_what_is_made_without_tags_has_no_empty_specification_of_them() -> None:
    assert created()["TagSpecifications"] == []
