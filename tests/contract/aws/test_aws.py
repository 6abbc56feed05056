"""`transcoder.aws` holds the promises of the `Cloud` protocol against a strict EC2."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import LabNone
from transcoder import settings as settings_module
from transcoder import tags
from transcoder.aws import Aws
from transcoder.errors import Failed, NameTaken, NotReady, Refused, Unreachable
from transcoder.model import Instance, Snapshot, Volume
from transcoder.settings import ROOT, Settings
from transcoder.world import ApiCall, LaunchRequest, Lock, SystemClock, VolumeRequest, World

LOCK = Lock("ada", "laptop", 4711, "2026-01-31T16:00:00+00:00", "fab migrate --to new")


@pytest.fixture(scope="module")
def settings(lab_none: LabNone, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    path = tmp_path_factory.mktemp("environment") / "contract.toml"
    text = (ROOT / "environments" / "lab.toml").read_text()
    path.write_text(text.replace("http://127.0.0.1:5620", lab_none.endpoint_url))
    return settings_module.load(str(path))


@pytest.fixture(scope="module")
def world(settings: Settings) -> World:
    def no_machine(instance: Instance) -> object:
        raise AssertionError(f"{instance.id}: no machine is behind this EC2")

    return World(settings, Aws(settings), no_machine)  # type: ignore[arg-type]


def launched(world: World, name: str, zone: str = "us-east-1a") -> Instance:
    image = world.cloud.stock_image()
    group = world.cloud.ensure_security_group()
    wanted = {tags.NAME: name, tags.ENVIRONMENT: world.settings.name}
    instance = world.cloud.launch(LaunchRequest(image.id, zone, group, "#!/bin/sh\n", str(uuid.uuid4()), wanted))

    def running() -> Instance | None:
        return next((i for i in world.cloud.instances(ids=[instance.id]) if i.state == "running"), None)

    return world.wait("running", running, 30)


def created(world: World, zone: str = "us-east-1a", token: str = "") -> Volume:
    volume = world.cloud.create_volume(VolumeRequest(zone, 1, "gp2", True, token or str(uuid.uuid4()), {"who": "me"}))

    def available() -> Volume | None:
        return next((v for v in world.cloud.volumes(ids=[volume.id]) if v.state == "available"), None)

    return world.wait("available", available, 30)


@pytest.fixture(scope="module")
def instance(world: World) -> Iterator[Instance]:
    made = launched(world, "contract-a")
    yield made
    world.cloud.terminate(made.id)


def test_the_security_group_is_made_once(world: World) -> None:
    assert world.cloud.ensure_security_group() == world.cloud.ensure_security_group()


def test_an_instance_carries_its_tags_and_its_root_device(world: World, instance: Instance) -> None:
    assert instance.name == "contract-a"
    assert instance.tags[tags.ENVIRONMENT] == world.settings.name
    assert list(instance.devices) == ["/dev/sda1"]
    assert world.cloud.instances(tags={tags.NAME: "contract-a"}) == (instance,)


def test_the_same_token_gives_the_same_volume(world: World) -> None:
    token = str(uuid.uuid4())
    assert created(world, token=token).id == created(world, token=token).id


def test_a_volume_is_attached_when_ec2_says_so_for_this_instance(world: World, instance: Instance) -> None:
    volume = created(world)
    world.cloud.attach(volume.id, instance.id, "/dev/sdg")

    def attached() -> bool:
        return world.cloud.volumes(ids=[volume.id])[0].attached_to(instance.id)

    assert not attached(), "attaching is not attached"
    world.wait("attached", attached, 30)
    world.cloud.detach(volume.id, instance.id)
    world.wait("free", lambda: world.cloud.volumes(ids=[volume.id])[0].attachment is None, 30)


def test_detaching_what_is_detached_is_fine(world: World, instance: Instance) -> None:
    world.cloud.detach(created(world).id, instance.id)


def test_a_volume_of_another_zone_is_an_error_with_ec2s_code(world: World, instance: Instance) -> None:
    volume = created(world, "us-east-1b")
    with pytest.raises(Failed, match=r"InvalidVolume\.ZoneMismatch"):
        world.cloud.attach(volume.id, instance.id, "/dev/sdh")


def test_what_is_attached_already_is_not_ready_and_its_name_is_taken(world: World, instance: Instance) -> None:
    volume, other = created(world), created(world)
    world.cloud.attach(volume.id, instance.id, "/dev/sdk")
    world.cloud.attach(volume.id, instance.id, "/dev/sdk")  # on its way there: fine
    world.wait("attached", lambda: world.cloud.volumes(ids=[volume.id])[0].attached_to(instance.id), 30)
    with pytest.raises(NotReady, match="VolumeInUse"):
        world.cloud.attach(volume.id, instance.id, "/dev/sdl")
    with pytest.raises(NameTaken, match="/dev/sdk is already in use"):
        world.cloud.attach(other.id, instance.id, "/dev/sdk")
    with pytest.raises(NotReady, match="VolumeInUse"):
        world.cloud.delete_volume(volume.id)
    world.cloud.force_detach(volume.id, instance.id)
    world.wait("free", lambda: world.cloud.volumes(ids=[volume.id])[0].attachment is None, 30)
    world.cloud.force_detach(volume.id, instance.id)  # detached already: fine
    for each in (volume, other):
        world.cloud.delete_volume(each.id)
        world.wait("deleted", lambda: not world.cloud.volumes(ids=[each.id]), 30)  # noqa: B023 - called at once
        world.cloud.delete_volume(each.id)  # deleted already: fine


def snapshot_of(world: World, volume: Volume) -> Snapshot:
    mark = {tags.NODE: "tc009", "contract": str(uuid.uuid4())}
    begun = world.cloud.create_snapshot(volume.id, mark)
    assert (begun.volume_id, begun.size_gib, dict(begun.tags)) == (volume.id, volume.size_gib, mark)

    def completed() -> Snapshot | None:
        return next((each for each in world.cloud.snapshots(tags=mark) if each.state == "completed"), None)

    made = world.wait("completed", completed, 30)
    assert (made.id, made.progress) == (begun.id, 100)
    return made


def test_a_volume_comes_from_a_snapshot_in_another_zone(world: World) -> None:
    snapshot = snapshot_of(world, created(world))
    wanted = VolumeRequest("us-east-1b", 2, "gp2", False, str(uuid.uuid4()), {}, snapshot.id)
    volume = world.cloud.create_volume(wanted)
    assert (volume.snapshot_id, volume.zone, volume.size_gib) == (snapshot.id, "us-east-1b", 2)
    world.cloud.delete_snapshot(snapshot.id)
    assert world.cloud.snapshots(ids=[snapshot.id]) == ()
    world.cloud.delete_snapshot(snapshot.id)  # deleted already: fine


def test_a_volume_is_never_smaller_than_its_snapshot(world: World) -> None:
    big = world.cloud.create_volume(VolumeRequest("us-east-1a", 2, "gp2", False, str(uuid.uuid4()), {}))
    world.wait("available", lambda: world.cloud.volumes(ids=[big.id])[0].state == "available", 30)
    snapshot = snapshot_of(world, big)
    with pytest.raises(Failed, match="smaller than snapshot"):
        world.cloud.create_volume(VolumeRequest("us-east-1a", 1, "gp2", False, "t", {}, snapshot.id))


def test_a_snapshot_is_copied_and_carries_its_tags(world: World) -> None:
    original, mark = snapshot_of(world, created(world)), {"contract": str(uuid.uuid4())}
    copy = world.cloud.copy_snapshot(original.id, world.settings.aws.region, mark)
    assert copy.id != original.id

    def completed() -> bool:
        return any(each.state == "completed" for each in world.cloud.snapshots(ids=[copy.id], tags=mark))

    world.wait("completed", completed, 30)


def test_an_instance_is_stopped_and_stopping_it_again_is_fine(world: World) -> None:
    made = launched(world, "contract-stop")
    world.cloud.stop(made.id)
    world.wait("stopped", lambda: world.cloud.instances(ids=[made.id])[0].state == "stopped", 30)
    world.cloud.stop(made.id, force=True)
    assert world.cloud.instances(ids=[made.id])[0].state == "stopped"
    world.cloud.terminate(made.id)


def calls_of_a_migration(world: World, volume: Volume, instance: Instance, snapshot: Snapshot) -> list[ApiCall]:
    """Return the calls that plans are made of, as boto3 takes them."""
    attachment = {"VolumeId": volume.id, "InstanceId": instance.id}
    tag = {"Resources": [volume.id], "Tags": [{"Key": "a", "Value": "b"}]}
    return [
        ApiCall("AttachVolume", {**attachment, "Device": "/dev/sdm"}),
        ApiCall("DetachVolume", attachment),
        ApiCall("CreateVolume", {"AvailabilityZone": "us-east-1a", "Size": 1, "VolumeType": "gp2"}),
        ApiCall("DeleteVolume", {"VolumeId": volume.id}),
        ApiCall("CreateSnapshot", {"VolumeId": volume.id}),
        ApiCall("CopySnapshot", {"SourceRegion": "us-east-1", "SourceSnapshotId": snapshot.id}),
        ApiCall("DeleteSnapshot", {"SnapshotId": snapshot.id}),
        ApiCall("CreateTags", tag),
        ApiCall("DeleteTags", tag),
        ApiCall("StopInstances", {"InstanceIds": [instance.id]}),
        ApiCall("TerminateInstances", {"InstanceIds": [instance.id]}),
        ApiCall("AllocateAddress", {"Domain": "vpc"}),
        ApiCall("AssociateAddress", {"AllocationId": "eipalloc-0123456789abcdef0", "InstanceId": instance.id}),
        ApiCall("CreateSecurityGroup", {"GroupName": "trial", "Description": "trial"}),
        ApiCall("RunInstances", {"ImageId": instance.image_id, "MinCount": 1, "MaxCount": 1}),
    ]


def test_trying_a_call_changes_nothing_and_finds_nothing_against_it(world: World, instance: Instance) -> None:
    volume = created(world)
    snapshot = snapshot_of(world, volume)

    def state() -> tuple[object, ...]:
        cloud = world.cloud
        return cloud.instances(), cloud.volumes(), cloud.addresses(), cloud.snapshots()

    before = state()
    for call in calls_of_a_migration(world, volume, instance, snapshot):
        assert world.cloud.denial(call) == "", call.action
        assert state() == before, call.action


def test_actions_of_ssm_cannot_be_tried_and_are_not_denied(world: World) -> None:
    assert world.cloud.denial(ApiCall("PutParameter", {"Name": "x", "Value": "y", "Type": "String"})) == ""
    assert world.cloud.lock_holder("x") is None


def test_tags_are_set_and_removed(world: World) -> None:
    volume = created(world)
    world.cloud.tag(volume.id, {tags.NODE: "tc009", tags.ROLE: "geth"})
    assert world.cloud.volumes(tags={tags.NODE: "tc009"})[0].id == volume.id
    world.cloud.untag(volume.id, [tags.NODE])
    assert world.cloud.volumes(tags={tags.NODE: "tc009"}) == ()


def test_an_address_moves_away_from_its_holder(world: World, instance: Instance, lab_none: LabNone) -> None:
    other = launched(world, "contract-b")
    address = world.cloud.allocate_address({tags.NODE: "tc008"})

    def holder() -> str:
        return world.cloud.addresses(tags={tags.NODE: "tc008"})[0].instance_id

    world.cloud.associate(address.allocation_id, instance.id)
    world.wait("first holder", lambda: holder() == instance.id, 30)
    world.cloud.associate(address.allocation_id, other.id)
    world.wait("second holder", lambda: holder() == other.id, 30)
    world.cloud.terminate(other.id)
    world.wait("terminated", lambda: not world.cloud.instances(ids=[other.id]), 30)
    lab_none.client("ec2").release_address(AllocationId=address.allocation_id)  # other tests count addresses


def test_a_lock_has_one_holder_and_says_who(world: World) -> None:
    other = Lock("bob", "desk", 1, "2026-01-31T16:01:00+00:00", "fab detach")
    assert world.cloud.take_lock("tc007", LOCK) is None
    assert world.cloud.take_lock("tc007", other) == LOCK
    assert world.cloud.free_lock("tc007", other) is None, "only the holder's own lock is freed"
    assert world.cloud.lock_holder("tc007") == LOCK
    assert world.cloud.free_lock("tc007") == LOCK
    assert world.cloud.lock_holder("tc007") is None


def test_all_locks_are_told_at_once_beyond_one_page(world: World) -> None:
    """SSM gives ten parameters a page."""
    nodes = [f"tc1{number:02}" for number in range(12)]
    for node in nodes:
        assert world.cloud.take_lock(node, LOCK) is None
    held = world.cloud.lock_holders()
    for node in nodes:
        world.cloud.free_lock(node)
    assert held == dict.fromkeys(nodes, LOCK)
    assert world.cloud.lock_holders() == {}


def test_a_missing_stock_image_is_refused_by_its_name(settings: Settings) -> None:
    image = settings.image.model_copy(
        update={"source_ami": settings.image.source_ami.model_copy(update={"name": "no/such/*"})}
    )
    with pytest.raises(Refused, match="no/such"):
        Aws(settings.model_copy(update={"image": image})).stock_image()


def test_an_ec2_that_does_not_answer_is_unreachable(settings: Settings) -> None:
    nowhere = settings.aws.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        Aws(settings.model_copy(update={"aws": nowhere})).volumes()


def test_waiting_has_a_budget_and_says_what_for(world: World) -> None:
    assert isinstance(world.clock, SystemClock)
    with pytest.raises(Failed, match="the moon"):
        world.wait("the moon", lambda: False, 0)


def test_the_environment_file_is_found_by_its_path(settings: Settings) -> None:
    assert settings.path.suffix == ".toml"
    assert Path(settings.path).is_file()
