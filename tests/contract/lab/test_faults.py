"""Faults of EC2's API, as clients of a lab without machines meet them, and what switches them."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from invoke.program import Program

import tasks
from lab import commands, faults
from lab.faults import client as lab_faults
from lab.faults.seams import OBSERVER
from lab.faults.switchboard import FAULTS_PATH
from tests.contract.conftest import LATENCIES, REAL, free_port
from tests.contract.ec2.conftest import Ec2, eventually, refused
from tests.unit.lab.standins.programs import geth
from transcoder import settings as settings_module
from transcoder.errors import Refused
from transcoder.settings import ROOT, Settings

pytestmark = pytest.mark.skipif(REAL, reason="EC2 itself has no switch for what goes wrong")
NO_RETRIES = Config(retries={"total_max_attempts": 1, "mode": "standard"})


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Bring a lab without machines up by its own commands, and down again with a fault on."""
    directory = tmp_path_factory.mktemp("faults")
    latencies = "".join(f"{name} = {seconds}\n" for name, seconds in LATENCIES.items())
    text = (ROOT / "environments" / "lab.toml").read_text(encoding="utf-8")
    port = str(free_port())
    own = f'\nstate_root = "{directory}/state"\ncache_directory = "{directory}/cache"\n'
    text = text.replace("5620", port).replace('machines = "uml"', 'machines = "none"')
    text = text.replace("/var/lib/transcoder-lab/lab/operations.jsonl", f"{directory}/operations.jsonl")
    text = re.sub(r'\nname = "lab"', '\nname = "faults"', text).replace('latency = "fast"', 'latency = "test"')
    path = directory / "faults.toml"
    path.write_text(f"{text}{own}[lab.latencies.test]\n{latencies}", encoding="utf-8")
    loaded = settings_module.load(str(path))
    commands.up(loaded, lambda _: None)
    try:
        yield loaded
        lab_faults.set_fault(loaded, "api_throttle", on=True)
    finally:
        commands.down(loaded)


def client_of(settings: Settings, service: str = "ec2", key: str = "lab") -> Any:
    """Return a boto3 client that asks once and never again."""
    return boto3.client(
        service,
        region_name=settings.aws.region,
        endpoint_url=settings.aws.endpoint_url,
        aws_access_key_id=key,
        aws_secret_access_key="lab",
        config=NO_RETRIES,
    )


@pytest.fixture
def world(settings: Settings) -> Iterator[Ec2]:
    """Return EC2, and switch everything off and remove everything afterwards."""
    ready = commands.read_ready(commands.configuration_of(settings))
    assert ready is not None
    made = Ec2(client_of(settings), ("us-east-1a", "us-east-1b"), ready.stock_image_id, "t3.nano")
    yield made
    for each in lab_faults.active(settings):
        lab_faults.set_fault(settings, each.name, on=False)
    assert lab_faults.active(settings) == ()
    made.remove_everything()


def names_on(settings: Settings) -> list[str]:
    """Return the names of the faults that are on."""
    return [each.name for each in lab_faults.active(settings)]


def test_every_fault_is_found_and_has_a_summary() -> None:
    for name in faults.NAMES:
        assert faults.find(name).SUMMARY


def test_throttling_hits_every_call_until_it_is_off_but_not_the_observer(settings: Settings, world: Ec2) -> None:
    lab_faults.set_fault(settings, "api_throttle", on=True)
    with refused("RequestLimitExceeded"):
        world.client.describe_volumes()
    assert "Volumes" in client_of(settings, key=OBSERVER).describe_volumes()
    assert commands.status(settings).faults[0]["name"] == "api_throttle"
    lab_faults.set_fault(settings, "api_throttle", on=False)
    world.client.describe_volumes()


def test_a_counted_throttle_ends_by_itself(settings: Settings, world: Ec2) -> None:
    lab_faults.set_fault(settings, "api_throttle", on=True, count=2, action="DescribeVolumes")
    world.client.describe_instances()
    for _ in range(2):
        with refused("RequestLimitExceeded"):
            world.client.describe_volumes()
    world.client.describe_volumes()
    assert names_on(settings) == []


def test_the_nth_call_of_an_action_fails_and_does_nothing(settings: Settings, world: Ec2) -> None:
    lab_faults.set_fault(settings, "api_error", on=True, action="CreateVolume", nth=2, code="InternalError")
    first = world.volume()
    with refused("InternalError"):
        world.client.create_volume(Size=1, AvailabilityZone=world.zones[0])
    assert [v["VolumeId"] for v in world.client.describe_volumes()["Volumes"]] == [first]
    world.volume()


def test_a_denied_action_is_denied_to_a_dry_run_too(settings: Settings, world: Ec2) -> None:
    volume = world.volume()
    lab_faults.set_fault(settings, "api_error", on=True, action="DeleteVolume", code="UnauthorizedOperation", count=0)
    with refused("UnauthorizedOperation"):
        world.client.delete_volume(VolumeId=volume, DryRun=True)
    with refused("UnauthorizedOperation"):
        world.client.delete_volume(VolumeId=volume)
    lab_faults.set_fault(settings, "api_error", on=False, action="DeleteVolume")
    with refused("DryRunOperation"):
        world.client.delete_volume(VolumeId=volume, DryRun=True)


def test_an_internal_error_spares_the_dry_run_that_comes_first(settings: Settings, world: Ec2) -> None:
    volume = world.volume()
    lab_faults.set_fault(settings, "api_error", on=True, action="DeleteVolume")
    with refused("DryRunOperation"):
        world.client.delete_volume(VolumeId=volume, DryRun=True)
    with refused("InternalError"):
        world.client.delete_volume(VolumeId=volume)


def test_a_lost_answer_closes_the_connection_and_the_call_has_taken_effect(settings: Settings, world: Ec2) -> None:
    lab_faults.set_fault(settings, "api_error", on=True, action="CreateVolume", code="ConnectionReset")
    with pytest.raises(ConnectionClosedError):
        world.client.create_volume(Size=1, AvailabilityZone=world.zones[0])
    made = world.client.describe_volumes()["Volumes"]
    assert len(made) == 1
    world.volumes.append(made[0]["VolumeId"])
    log = (commands.configuration_of(settings).state_directory / "calls.jsonl").read_text().splitlines()
    calls = [call for call in map(json.loads, log) if call["action"] == "CreateVolume"]
    assert "AnswerLost" in calls[-1]["error"]


def test_an_ssm_call_gets_the_error_in_the_form_that_its_sdk_reads(settings: Settings, world: Ec2) -> None:
    lab_faults.set_fault(settings, "api_error", on=True, action="PutParameter", code="ThrottlingException")
    ssm = client_of(settings, "ssm")
    with pytest.raises(ClientError) as caught:
        ssm.put_parameter(Name="/x", Value="1", Type="String")
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"


def test_reads_lag_behind_and_flap_and_every_answer_was_true_once(settings: Settings, world: Ec2) -> None:
    volume, instance = world.volume(), world.instance()
    lab_faults.set_fault(settings, "lagging_reads", on=True, seconds=1.5, share=0.5)
    observer = client_of(settings, key=OBSERVER)
    world.client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdg")
    seen, deadline = [], time.monotonic() + 1.2
    while time.monotonic() < deadline:
        seen.append((world.describe_volume(volume)["State"], world.attachment(volume)))
    assert observer.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"][0]["State"] == "attached"
    states = [state for state, _ in seen]
    turns = sum(a != b for a, b in itertools.pairwise(states))
    assert set(states) == {"available", "in-use"}
    assert turns >= 3, "it must flap in both directions"
    assert {attachment for _, attachment in seen} <= {"", "attaching", "attached"}
    time_is_up = time.monotonic() + 5
    while {world.attachment(volume) for _ in range(20)} != {"attached"}:
        assert time.monotonic() < time_is_up, "what has been so for longer than the lag is seen by all"


def test_a_volume_that_was_just_created_is_not_found_by_an_old_read(settings: Settings, world: Ec2) -> None:
    lab_faults.set_fault(settings, "lagging_reads", on=True, seconds=30, share=1)
    made = world.client.create_volume(Size=1, AvailabilityZone=world.zones[0])["VolumeId"]
    world.volumes.append(made)
    with refused("InvalidVolume.NotFound"):
        world.describe_volume(made)
    lab_faults.set_fault(settings, "lagging_reads", on=False)
    assert world.describe_volume(made)["VolumeId"] == made


def test_an_old_read_of_an_address_and_of_tags_is_of_its_time(settings: Settings, world: Ec2) -> None:
    instance = world.instance()
    address = world.client.allocate_address(Domain="vpc")
    try:
        lab_faults.set_fault(settings, "lagging_reads", on=True, seconds=30, share=1)
        world.client.associate_address(InstanceId=instance, AllocationId=address["AllocationId"])
        world.client.create_tags(Resources=[instance], Tags=[{"Key": "new", "Value": "yes"}])
        assert not world.client.describe_addresses()["Addresses"][0].get("InstanceId")
        assert "PublicIpAddress" not in world.describe(instance)
        assert world.describe(instance).get("Tags", []) == []
        lab_faults.set_fault(settings, "lagging_reads", on=False)
        assert world.client.describe_addresses()["Addresses"][0]["InstanceId"] == instance
        assert world.describe(instance)["PublicIpAddress"] == address["PublicIp"]
        assert world.describe(instance)["Tags"] == [{"Key": "new", "Value": "yes"}]
        world.client.disassociate_address(PublicIp=address["PublicIp"])
    finally:
        world.client.release_address(AllocationId=address["AllocationId"])


def test_an_attachment_hangs_until_it_is_given_up_and_another_name_works(settings: Settings, world: Ec2) -> None:
    volume, instance = world.volume(), world.instance()
    lab_faults.set_fault(settings, "stuck_attaching", on=True, volume=volume)
    for _ in range(2):
        world.client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdg")
        time.sleep(0.6)  # three times as long as an attachment of this lab takes
        assert world.attachment(volume) == "attaching"
        world.client.detach_volume(VolumeId=volume)
        world.await_volume(volume, "available")
    world.attach(volume, instance, "/dev/sdh")


def test_an_attachment_that_hangs_is_completed_when_the_fault_goes(settings: Settings, world: Ec2) -> None:
    volume, instance = world.volume(), world.instance()
    lab_faults.set_fault(settings, "stuck_attaching", on=True, device="/dev/sdg")
    world.client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdg")
    time.sleep(0.6)
    assert world.attachment(volume) == "attaching"
    lab_faults.set_fault(settings, "stuck_attaching", on=False)
    eventually(lambda: world.attachment(volume), "attached")


@pytest.mark.parametrize("way", ["force", "off"])
def test_a_detachment_hangs_until_it_is_forced_or_the_fault_goes(settings: Settings, world: Ec2, way: str) -> None:
    volume, instance = world.volume(), world.instance()
    world.attach(volume, instance)
    lab_faults.set_fault(settings, "stuck_detaching", on=True, volume=volume)
    world.client.detach_volume(VolumeId=volume)
    time.sleep(0.8)
    assert world.attachment(volume) == "detaching"
    if way == "force":
        world.client.detach_volume(VolumeId=volume, Force=True)
    else:
        lab_faults.set_fault(settings, "stuck_detaching", on=False)
    world.await_volume(volume, "available")


def test_ec2_goes_on_saying_running_of_a_machine_without_power(settings: Settings, world: Ec2) -> None:
    instance = world.instance()
    world.client.create_tags(Resources=[instance], Tags=[{"Key": "Name", "Value": "tc001"}])
    lab_faults.set_fault(settings, "power_off", on=True, instance="tc001")
    assert "already" in lab_faults.set_fault(settings, "power_off", on=True, instance=instance)
    assert world.describe(instance)["State"]["Name"] == "running"
    eventually(lambda: commands.status(settings).machines[0].running, False)
    lab_faults.set_fault(settings, "power_off", on=False, instance="tc001")
    assert commands.status(settings).machines[0].running
    assert "already" in lab_faults.set_fault(settings, "power_off", on=False)


def test_a_stop_through_ec2_ends_a_power_cut(settings: Settings, world: Ec2) -> None:
    instance = world.instance()
    lab_faults.set_fault(settings, "power_off", on=True)
    assert names_on(settings) == ["power_off"]
    world.client.stop_instances(InstanceIds=[instance])
    world.await_instance(instance, "stopped")
    assert names_on(settings) == []


def test_an_elastic_ip_is_lost_and_comes_back(settings: Settings, world: Ec2) -> None:
    instance = world.instance()
    address = world.client.allocate_address(Domain="vpc")
    try:
        world.client.associate_address(InstanceId=instance, AllocationId=address["AllocationId"])
        lab_faults.set_fault(settings, "lost_elastic_ip", on=True)
        assert not world.client.describe_addresses()["Addresses"][0].get("InstanceId")
        lab_faults.set_fault(settings, "lost_elastic_ip", on=False, instance=instance)
        assert world.client.describe_addresses()["Addresses"][0]["InstanceId"] == instance
        world.client.disassociate_address(PublicIp=address["PublicIp"])
    finally:
        world.client.release_address(AllocationId=address["AllocationId"])


def line(step: str, pid: int) -> str:
    """Return a line of an operator's journal: this process begins this step."""
    return json.dumps({"time": time.time(), "pid": pid, "step": step, "outcome": None}) + "\n"


def test_an_operator_is_killed_when_its_step_begins_and_only_once(settings: Settings, world: Ec2) -> None:
    journal = Path(settings.operator.journal)
    sleepers = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
    try:
        journal.write_text(line("livepeer/detach", sleepers[1].pid))  # of an earlier operation
        lab_faults.set_fault(settings, "kill_operator", on=True, step="livepeer/detach")
        with journal.open("a") as file:
            file.write(line("livepeer/stop", sleepers[0].pid))
            file.flush()
            time.sleep(0.2)
            assert sleepers[0].poll() is None
            file.write(line("livepeer/detach", sleepers[0].pid))
            file.flush()
            assert sleepers[0].wait(5) == -9
            eventually(lambda: names_on(settings), [])
            file.write(line("livepeer/detach", sleepers[1].pid))
            file.flush()
            time.sleep(0.2)
        assert sleepers[1].poll() is None
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def test_a_geth_that_runs_can_be_made_slow_to_stop(tmp_path: Path) -> None:
    word = tmp_path / "stop-seconds"
    with geth(tmp_path, GETH_STANDIN_STOP_FILE=str(word)) as node:
        word.write_text("1.5")
        began = time.monotonic()
        assert node.program.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began >= 1.5


def test_a_fault_of_limited_time_ends_by_itself(settings: Settings, world: Ec2) -> None:
    lab_faults.set_fault(settings, "api_throttle", on=True, lasts=0.3)
    assert names_on(settings) == ["api_throttle"]
    eventually(lambda: names_on(settings), [])
    world.client.describe_volumes()


def test_two_faults_of_a_name_with_different_subjects_are_two(settings: Settings, world: Ec2) -> None:
    for action in ("DescribeVolumes", "DescribeInstances", "DescribeVolumes"):
        lab_faults.set_fault(settings, "api_throttle", on=True, action=action)
    assert len(lab_faults.active(settings)) == 2
    lab_faults.set_fault(settings, "api_throttle", on=False, action="DescribeVolumes")
    assert [each.options["action"] for each in lab_faults.active(settings)] == ["DescribeInstances"]


def test_on_with_other_options_replaces_what_is_on(settings: Settings, world: Ec2) -> None:
    for count in (1, 2):
        lab_faults.set_fault(settings, "api_throttle", on=True, count=count)
    assert [each.options["count"] for each in lab_faults.active(settings)] == [2]


@pytest.mark.parametrize(
    ("name", "options", "saying"),
    [
        ("earthquake", {}, "there is no fault 'earthquake'"),
        ("power_off", {"instance": "tc999"}, "no instance 'tc999'"),
        ("api_error", {}, "action: is missing"),
        ("api_throttle", {"share": 2}, "2.0 is more than 1"),
        ("stuck_detaching", {"volume": "geth"}, "no volume 'geth'"),
        ("stuck_attaching", {"device": "sdg"}, "not a device name"),
        ("lost_elastic_ip", {}, "0 Elastic IPs are associated"),
        ("corrupt_filesystem", {"volume": "geth", "severity": "terrible"}, "not one of severe, mild"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    settings: Settings, world: Ec2, name: str, options: dict[str, Any], saying: str
) -> None:
    with pytest.raises(Refused, match=re.escape(saying)):
        lab_faults.set_fault(settings, name, on=True, **options)
    assert names_on(settings) == []


def test_what_happens_inside_a_machine_is_refused_where_there_is_none(settings: Settings, world: Ec2) -> None:
    world.instance()
    with pytest.raises(Refused, match="this lab has none"):
        lab_faults.set_fault(settings, "clock_skew", on=True, seconds=60)


def test_the_switch_understands_only_what_it_is_told_properly(settings: Settings, world: Ec2) -> None:
    request = urllib.request.Request(f"{settings.aws.endpoint_url}{FAULTS_PATH}", b'{"name": 1}')  # noqa: S310 - the lab
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)  # noqa: S310
    assert caught.value.code == 409
    assert "not a request to switch a fault" in json.loads(caught.value.read())["error"]["message"]


def test_the_command_line_switches_and_lists(
    settings: Settings, world: Ec2, capsys: pytest.CaptureFixture[str]
) -> None:
    def invoke(*words: str) -> str:
        Program(namespace=tasks.namespace).run(["invoke", *words, "--env", str(settings.path)], exit=False)
        return capsys.readouterr().out

    assert "CreateVolume" in invoke("lab.fault", "api_error", "on", "--action", "CreateVolume", "--nth", "3")
    listed = json.loads(invoke("lab.faults", "--json"))
    assert set(listed["faults"]) == set(faults.NAMES)
    assert listed["active"][0]["options"]["nth"] == 3
    assert "--action CreateVolume" in invoke("lab.faults")
    assert "api_error" in invoke("lab.status")
    assert "is off" in invoke("lab.fault", "api_error", "off")
