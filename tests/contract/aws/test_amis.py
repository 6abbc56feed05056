"""The life of AMIs against a strict EC2: thirty of them, of all kinds, and exactly the right ones go."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import LabNone
from tests.simulated.world import Console
from transcoder import operate, tags
from transcoder import settings as settings_module
from transcoder.actions.images import CopyImage, DeregisterImage
from transcoder.aws import Aws
from transcoder.aws_calls import Calls
from transcoder.errors import Failed
from transcoder.model import Image
from transcoder.operate import Operation, Outcome
from transcoder.recipes import amis, publish, retire_amis
from transcoder.settings import ROOT, Settings
from transcoder.step import run as step_run
from transcoder.world import World

WEST = "us-west-2"
CHECKED = "2026-01-01T00:01:00Z 0123456789ab"


@dataclass
class Account:
    """An account's EC2, and what a test makes in it. ``settings`` name an environment of the test's own."""

    lab: LabNone
    settings: Settings
    ec2: Any = field(init=False)
    instances: list[str] = field(default_factory=list)
    volume: str = ""

    def __post_init__(self) -> None:
        self.ec2 = self.lab.client("ec2")

    @cached_property
    def world(self) -> World:
        """The world as a recipe gets it: no machine is behind it."""
        calls = Calls(self.settings, connect=client_of(self.lab))
        return World(self.settings, Aws(self.settings, calls), lambda _: None)  # type: ignore[arg-type]

    def snapshot(self, **own: str) -> str:
        if not self.volume:
            self.volume = self.ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
            eventually(lambda: self.ec2.describe_volumes(VolumeIds=[self.volume])["Volumes"][0]["State"], "available")
        made = self.ec2.create_snapshot(VolumeId=self.volume, Description="a root")["SnapshotId"]
        eventually(lambda: self.ec2.describe_snapshots(SnapshotIds=[made])["Snapshots"][0]["State"], "completed")
        if own:
            self.ec2.create_tags(Resources=[made], Tags=[{"Key": k, "Value": v} for k, v in own.items()])
        return str(made)

    def image(
        self, number: int, *, verified: bool = True, snapshot: str = "", more: dict[str, str] | None = None
    ) -> str:
        """Register an AMI as a bake leaves it: tagged, and so is its snapshot."""
        known = {tags.ENVIRONMENT: self.settings.name, tags.DIGEST: f"{number:064x}", **(more or {})}
        root = snapshot or self.snapshot(**known)
        mapping = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": root}}
        name = f"{self.settings.name}-{number:02d}-{uuid.uuid4().hex[:8]}"
        made = self.ec2.register_image(Name=name, RootDeviceName="/dev/sda1", BlockDeviceMappings=[mapping])["ImageId"]
        own = known | ({tags.VERIFIED: CHECKED} if verified else {})
        self.ec2.create_tags(Resources=[made], Tags=[{"Key": k, "Value": v} for k, v in own.items() if v])
        return str(made)

    def settle(self) -> None:
        """Wait until no image is being made any more."""
        pending = {"Name": "state", "Values": ["pending"]}
        eventually(lambda: self.ec2.describe_images(Owners=["self"], Filters=[pending])["Images"], [])

    def launch(self, image_id: str, state: str = "running") -> str:
        launched = self.ec2.run_instances(ImageId=image_id, InstanceType="t3.nano", MinCount=1, MaxCount=1)
        made = str(launched["Instances"][0]["InstanceId"])
        self.instances.append(made)
        eventually(lambda: self.state(made), "running")
        if state == "stopped":
            self.ec2.stop_instances(InstanceIds=[made])
            eventually(lambda: self.state(made), "stopped")
        return made

    def state(self, instance_id: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        return str(found["State"]["Name"])

    def ours(self) -> set[str]:
        """The AMIs of the environment that are registered."""
        wanted = [{"Name": f"tag:{tags.ENVIRONMENT}", "Values": [self.settings.name]}]
        return {image["ImageId"] for image in self.ec2.describe_images(Owners=["self"], Filters=wanted)["Images"]}

    def snapshots(self) -> set[str]:
        """The snapshots of the environment's AMIs."""
        wanted = [{"Name": f"tag:{tags.ENVIRONMENT}", "Values": [self.settings.name]}]
        return {each["SnapshotId"] for each in self.ec2.describe_snapshots(Filters=wanted)["Snapshots"]}

    def root_of(self, image_id: str) -> str:
        """The snapshot of an AMI."""
        found = self.ec2.describe_images(ImageIds=[image_id])["Images"][0]
        return str(found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])

    def newest_first(self, ids: Sequence[str]) -> list[str]:
        """Sort AMIs as they were made; those of one moment by their ids, as the project does."""
        found = self.ec2.describe_images(ImageIds=list(ids))["Images"]
        return [i["ImageId"] for i in sorted(found, key=lambda i: (i["CreationDate"], i["ImageId"]), reverse=True)]


def client_of(lab: LabNone) -> Callable[[str], Any]:
    """Return what gives a client of a service, each made once: EC2's description takes most of a second to be read."""
    return cache(lab.client)


def eventually(look: Any, wanted: Any) -> None:
    deadline = time.monotonic() + 20
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"still {seen!r}, not {wanted!r}"
        time.sleep(0.03)


def settings_for(lab: LabNone, directory: Path, name: str, image: str = "") -> Settings:
    text = (ROOT / "environments" / "lab.toml").read_text().replace("http://127.0.0.1:5620", lab.endpoint_url)
    path = directory / f"{name}.toml"
    path.write_text(text.replace("root_size_gib = 8\n\n# To rehearse", f"root_size_gib = 8\n{image}\n\n# To rehearse"))
    return settings_module.load(str(path))


@pytest.fixture
def account(lab_none: LabNone, tmp_path: Path) -> Iterator[Account]:
    made = Account(lab_none, settings_for(lab_none, tmp_path, f"life-{uuid.uuid4().hex[:8]}"))
    yield made
    if made.instances:
        made.ec2.terminate_instances(InstanceIds=made.instances)


def run(account: Account, operation: Operation) -> Outcome:
    return operate.operate(operation, account.world, Console())


def going(account: Account, keep: int) -> set[str]:
    """What a dry run lists to be deregistered."""
    outcome = operate.preview(retire_amis.operation(keep), account.world, Console())
    return {step.image.id for step in outcome.plan.pending if isinstance(step, DeregisterImage)}


def test_of_thirty_images_exactly_the_right_ones_go_and_a_dry_run_says_which(
    account: Account, lab_none: LabNone, tmp_path: Path
) -> None:
    verified = [account.image(number) for number in range(20)]
    unverified = [account.image(number, verified=False) for number in range(20, 26)]
    stranger = Account(lab_none, settings_for(lab_none, tmp_path, "somebody"))
    foreign = [stranger.image(26), account.image(27, more={tags.DIGEST: ""})]  # another environment's, and no bake's
    account.settle()
    running, stopped = verified[2], unverified[1]
    account.launch(running)
    sleeper = account.launch(stopped, "stopped")
    template = verified[4]
    account.ec2.create_launch_template(
        LaunchTemplateName=f"for-{template}", LaunchTemplateData={"ImageId": template, "InstanceType": "t3.nano"}
    )
    shared = account.image(28, snapshot=account.root_of(verified[5]))
    untagged = account.ec2.register_image(
        Name=f"by hand {uuid.uuid4()}",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": account.root_of(verified[6])}}],
    )["ImageId"]
    account.settle()
    assert len({*verified, *unverified, *foreign, shared, untagged}) == 30

    candidates = [*verified, *unverified, shared]
    newest = account.newest_first([*verified, shared])[:4]
    expected = set(candidates) - {running, stopped, template, *newest}
    before = account.ours(), account.snapshots()
    assert going(account, 4) == expected
    assert (account.ours(), account.snapshots()) == before, "a dry run changes nothing"
    plan = operate.preview(retire_amis.operation(4), account.world, Console()).plan
    notes = "\n".join(plan.notes)
    assert f"{stopped} " in notes and f"({sleeper}, stopped)" in notes
    assert f"launch template for-{template} (version 1)" in notes
    assert plan.title == f"retire {len(expected)} of {len(candidates)} images of environment {account.settings.name}"

    roots = {image: account.root_of(image) for image in candidates}
    hand = account.root_of(untagged)
    run(account, retire_amis.operation(4))
    left = set(candidates) - expected
    assert account.ours() - set(foreign) == left
    assert set(foreign) <= account.ours() | stranger.ours()
    assert {roots[image] for image in left} | {hand} <= account.snapshots(), "what others have as well stays"
    gone = {roots[image] for image in expected} - {roots[image] for image in left} - {hand}
    assert not gone & account.snapshots()
    assert account.ec2.describe_images(ImageIds=[untagged])["Images"], "an image that is not ours is never touched"
    assert going(account, 4) == set()


def test_what_auto_scaling_would_launch_is_in_use_also_by_a_version_that_a_group_has_pinned(account: Account) -> None:
    pinned, newest, configured, free, last = (account.image(number) for number in range(1, 6))
    account.settle()
    scaling = account.lab.client("autoscaling")
    name = f"{account.settings.name}-template"
    for number, image in enumerate((pinned, newest)):
        make = account.ec2.create_launch_template_version if number else account.ec2.create_launch_template
        make(LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.nano"})
    account.ec2.modify_launch_template(LaunchTemplateName=name, DefaultVersion="2")
    assert pinned in going(account, 1), "an old version of a template alone keeps nothing"
    sizes = {"MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0, "AvailabilityZones": ["us-east-1a"]}
    chosen = {"LaunchTemplateName": name, "Version": "1"}
    scaling.create_auto_scaling_group(AutoScalingGroupName=f"{name}-group", LaunchTemplate=chosen, **sizes)
    scaling.create_launch_configuration(LaunchConfigurationName=name, ImageId=configured, InstanceType="t3.nano")
    wanted = {free, last} - set(account.newest_first([pinned, newest, configured, free, last])[:1])
    assert going(account, 1) == wanted


def test_what_a_broken_off_run_left_is_found_by_its_tags_and_deleted(account: Account) -> None:
    old, new = account.image(1), account.image(2)
    account.settle()
    root = account.root_of(old)
    account.ec2.deregister_image(ImageId=old)  # and there the process died
    plan = operate.preview(retire_amis.operation(1), account.world, Console()).plan
    assert [step.title.split(",")[0] for step in plan.pending] == [f"delete {root} in us-east-1"]
    run(account, retire_amis.operation(1))
    assert account.snapshots() == {account.root_of(new)}


def test_an_image_that_loses_its_tags_meanwhile_is_not_touched(account: Account) -> None:
    for number in (1, 2):
        account.image(number)
    account.settle()
    world = account.world
    plan = retire_amis.operation(1).plan(world)
    (step,) = [each for each in plan.pending if isinstance(each, DeregisterImage)]
    account.ec2.delete_tags(Resources=[step.image.id], Tags=[{"Key": tags.DIGEST}])
    with pytest.raises(Failed, match="no longer the tags"):
        step_run(plan, world, Console().watch)
    assert account.ec2.describe_images(ImageIds=[step.image.id])["Images"]


def test_a_snapshot_that_an_image_has_cannot_be_deleted(account: Account) -> None:
    root = account.root_of(account.image(1))
    account.image(2, snapshot=root)
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.InUse"):
        account.ec2.delete_snapshot(SnapshotId=root)


def test_the_table_takes_as_many_calls_for_one_image_as_for_five(account: Account) -> None:
    def calls() -> list[str]:
        log = account.lab.configuration.state_directory / "calls.jsonl"
        before = log.read_text().count("\n")
        amis.rows(amis.observe(account.world))
        return [line for line in log.read_text().splitlines()[before:] if '"ec2"' in line]

    account.image(1)
    one = len(calls())
    for number in range(2, 6):
        account.image(number)
    assert len(calls()) == one == 2
    rows = amis.rows(amis.observe(account.world))
    assert [row.verified for row in rows] == [CHECKED] * 5
    assert {row.size_gib for row in rows} == {1}


def test_copies_and_dates_follow_and_a_second_run_does_nothing(lab_none: LabNone, tmp_path: Path) -> None:
    wanted = f'encrypted = true\ncopy_to = ["{WEST}"]\ncopy_kms_key_ids = {{ "{WEST}" = "alias/nodes" }}\n'
    name = f"copies-{uuid.uuid4().hex[:8]}"
    account = Account(lab_none, settings_for(lab_none, tmp_path, name, wanted + "deprecate_after_days = 90"))
    image = account.image(1, more={tags.LIVEPEER_VERSION: "0.2.4"})
    account.settle()
    run(account, publish.operation(image))
    west = account.world.cloud.in_region(WEST)
    (copy,) = west.images(tags={tags.COPY_OF: image})
    assert (copy.state, copy.encrypted) == ("available", True)
    assert copy.verified and copy.tags[tags.DIGEST] == f"{1:064x}"
    assert [dict(s.tags)[tags.COPY_OF] for s in west.snapshots(ids=copy.snapshot_ids)] == [image]
    (row,) = amis.rows(amis.observe(account.world))
    assert dict(row.copies) == {WEST: copy.id}
    assert row.deprecated and copy.deprecates == row.deprecated
    assert run(account, publish.operation(image)).nothing_to_do

    # The copy in use keeps the image, and a retired image takes its copies along, also when nobody asks for them now.
    for number in (2, 3):
        account.image(number)
    account.settle()
    plain = settings_for(lab_none, tmp_path, name)
    later = Account(lab_none, plain)
    ec2 = lab_none.client("ec2", WEST)
    machine = ec2.run_instances(ImageId=copy.id, InstanceType="t3.nano", MinCount=1, MaxCount=1)["Instances"][0]
    assert going(later, 2) == set()
    ec2.terminate_instances(InstanceIds=[machine["InstanceId"]])
    gone = "terminated"
    eventually(
        lambda: ec2.describe_instances(InstanceIds=[machine["InstanceId"]])["Reservations"][0]["Instances"][0]["State"][
            "Name"
        ],
        gone,
    )
    assert going(later, 2) == {image, copy.id}
    run(later, retire_amis.operation(2))
    assert west.images(tags={tags.COPY_OF: image}) == ()
    assert west.snapshots(ids=copy.snapshot_ids) == ()


def test_a_copy_that_was_begun_is_waited_for_and_not_begun_again(lab_none: LabNone, tmp_path: Path) -> None:
    name = f"copies-{uuid.uuid4().hex[:8]}"
    account = Account(lab_none, settings_for(lab_none, tmp_path, name, f'copy_to = ["{WEST}"]'))
    image = account.image(1)
    account.settle()
    plan = publish.operation(image).plan(account.world)
    step = next(each for each in plan.pending if isinstance(each, CopyImage))
    step.do(account.world)  # and there the process died, with the copy pending
    run(account, publish.operation(image))
    found: tuple[Image, ...] = account.world.cloud.in_region(WEST).images(tags={tags.COPY_OF: image})
    assert [each.state for each in found] == ["available"]
