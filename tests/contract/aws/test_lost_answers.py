"""Answers that get lost between a strict EC2 and `transcoder.aws`: nothing is done twice, nothing is forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.contract.aws.lossy import LossyEndpoint, lossy
from tests.contract.aws.test_aws import LOCK, created, instance, settings, world
from tests.contract.conftest import LabNone
from transcoder import tags
from transcoder.aws import Aws
from transcoder.model import Instance
from transcoder.settings import Settings
from transcoder.world import VolumeRequest, World

__all__ = ["instance", "settings", "world"]  # fixtures


@pytest.fixture
def way(lab_none: LabNone) -> Iterator[LossyEndpoint]:
    with lossy(lab_none.endpoint_url) as endpoint:
        yield endpoint


@pytest.fixture
def aws(settings: Settings, way: LossyEndpoint) -> Aws:
    return Aws(settings.model_copy(update={"aws": settings.aws.model_copy(update={"endpoint_url": way.url})}))


def test_an_attachment_whose_answer_is_lost_is_made_once(
    world: World, instance: Instance, aws: Aws, way: LossyEndpoint
) -> None:
    volume = created(world)
    way.lose("AttachVolume", "DetachVolume")
    aws.attach(volume.id, instance.id, "/dev/sdp")
    world.wait("attached", lambda: world.cloud.volumes(ids=[volume.id])[0].attached_to(instance.id), 30)
    aws.detach(volume.id, instance.id)
    world.wait("free", lambda: world.cloud.volumes(ids=[volume.id])[0].attachment is None, 30)
    assert way.lost == ["AttachVolume", "DetachVolume"]
    assert way.passed.count("AttachVolume") == way.passed.count("DetachVolume") == 1
    world.cloud.delete_volume(volume.id)


def test_a_volume_whose_answer_is_lost_is_made_once(world: World, aws: Aws, way: LossyEndpoint) -> None:
    way.lose("CreateVolume")
    mark = {"contract": str(uuid.uuid4())}
    volume = aws.create_volume(VolumeRequest("us-east-1a", 1, "gp2", False, str(uuid.uuid4()), mark))
    assert [found.id for found in world.cloud.volumes(tags=mark)] == [volume.id]
    assert way.lost == ["CreateVolume"]


def test_a_snapshot_whose_answer_is_lost_is_made_once(world: World, aws: Aws, way: LossyEndpoint) -> None:
    volume = created(world)
    mark = {"contract": str(uuid.uuid4())}
    way.lose("CreateSnapshot", "CopySnapshot")
    original = aws.create_snapshot(volume.id, mark)
    assert [found.id for found in world.cloud.snapshots(tags=mark)] == [original.id]
    world.wait("completed", lambda: world.cloud.snapshots(ids=[original.id])[0].state == "completed", 30)
    copy = aws.copy_snapshot(original.id, "us-east-1", mark)
    assert {found.id for found in world.cloud.snapshots(tags=mark)} == {original.id, copy.id}
    assert way.lost == ["CreateSnapshot", "CopySnapshot"]


def test_an_address_whose_answer_is_lost_is_allocated_once(
    world: World, aws: Aws, way: LossyEndpoint, lab_none: LabNone
) -> None:
    way.lose("AllocateAddress")
    mark = {tags.NODE: "tc006"}
    address = aws.allocate_address(mark)
    assert world.cloud.addresses(tags=mark) == (address,)
    lab_none.client("ec2").release_address(AllocationId=address.allocation_id)  # other tests count addresses


def test_a_lock_whose_answers_are_lost_is_taken_and_freed(world: World, aws: Aws, way: LossyEndpoint) -> None:
    way.lose("PutParameter", "DeleteParameter")
    assert aws.take_lock("tc005", LOCK) is None
    assert world.cloud.lock_holder("tc005") == LOCK
    assert aws.free_lock("tc005", LOCK) == LOCK
    assert world.cloud.lock_holder("tc005") is None
    assert way.lost == ["PutParameter", "DeleteParameter"]
