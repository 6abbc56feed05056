"""A node's readings arrive in CloudWatch, and the alarms on them are made, changed and removed by CloudFormation.

moto is CloudWatch, SNS and CloudFormation here. It evaluates no alarm: that one rings is not shown, but that its
metric, its dimensions and its threshold are those of what the node sends.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import moto.settings
import pytest
from instance_role import Metadata  # type: ignore[import-not-found, unused-ignore]
from moto.server import ThreadedMotoServer
from watch import cloudwatch
from watch.board import Shown
from watch.model import OK, WARN, Reading

from packer.watch import watch_configuration
from tests.contract.conftest import LabNone
from tests.simulated import metadata_service
from tests.unit.watch.machine import ALARM, UNKNOWN, Machine
from transcoder import alarms, iam, tags
from transcoder import settings as settings_module
from transcoder.alarmed import HEARTBEAT, NAMESPACE, OTHERS
from transcoder.aws import Aws
from transcoder.errors import Refused
from transcoder.layout import LIVEPEER
from transcoder.model import Instance
from transcoder.recipes import monitoring
from transcoder.settings import ROOT, Settings, load
from transcoder.stacks import Change, StackEvent
from transcoder.world import VolumeRequest, World


class Console:
    """Agrees to everything, and remembers what it was told."""

    def __init__(self) -> None:
        self.changes: list[tuple[Change, ...]] = []
        self.events: list[StackEvent] = []

    def show_changes(self, stack: str, changes: tuple[Change, ...]) -> None:
        self.changes.append(changes)

    def confirm(self, question: str) -> None:
        """Agree."""

    def tell(self, event: StackEvent) -> None:
        self.events.append(event)


def environment(directory: Path, endpoint: str, name: str, **table: object) -> Settings:
    """Return the lab's environment with CloudWatch switched on."""
    text = (ROOT / "environments" / "lab.toml").read_text()
    text = text.replace("http://127.0.0.1:5620", endpoint)
    text = text.replace('key_name = "lab"', 'key_name = "lab"\ninstance_profile = "node"')
    told = {"cloudwatch": True, "emails": ["ops@example.org"], "endpoint_url": endpoint, **table}
    lines = [f"{key} = {json.dumps(value)}" for key, value in told.items()]
    path = directory / f"{name}.toml"
    path.write_text("\n".join([text, "[monitoring]", *lines, ""]))
    return settings_module.load(str(path))


def world_of(settings: Settings) -> World:
    def no_machine(instance: Instance) -> object:
        raise AssertionError(f"{instance.id}: no machine is behind this EC2")

    return World(settings, Aws(settings), no_machine)  # type: ignore[arg-type]


def add_node(world: World, name: str) -> None:
    labels = {tags.ENVIRONMENT: world.settings.name, tags.NODE: name, tags.ROLE: LIVEPEER.role}
    world.cloud.create_volume(VolumeRequest("us-east-1a", 1, "gp2", True, f"{world.settings.name}-{name}", labels))


@pytest.fixture
def world(lab_none: LabNone, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """An environment of the test's own, with one node, and nothing of it left."""
    name = "cw-" + request.node.name.replace("_", "-")[5:45]
    made = world_of(environment(tmp_path, lab_none.endpoint_url, name))
    add_node(made, "tc001")
    yield made
    monitoring.remove(made, Console())


def alarms_of(lab: LabNone, settings: Settings) -> dict[str, dict[str, Any]]:
    found = lab.client("cloudwatch").describe_alarms(AlarmNamePrefix=alarms.stack_name(settings) + "-")
    return {each["AlarmName"]: each for each in found["MetricAlarms"]}


def shown(*states: tuple[str, int]) -> list[Shown]:
    return [Shown(level, 0.0, Reading(check, "", level, None, ""), "", "") for check, level in states]


def send(
    settings: Settings,
    directory: Path,
    states: Sequence[tuple[str, int]],
    role: Mapping[str, str] = metadata_service.CREDENTIALS,
) -> Reading:
    """Send as the machine's own watch does, configured as the image of this environment is."""
    machine = Machine(directory, settings)
    told = watch_configuration(settings)["cloudwatch"]
    identity = {"environment": settings.name, "node": "tc001"}
    with metadata_service.serving(metadata_service.items(role, zone="us-east-1a")) as service:
        sender = cloudwatch.Sender(told, lambda: shown(*states), lambda: identity, lambda: Metadata(service.address))
        (reading,) = list(sender.look(machine.node))
    assert isinstance(reading, Reading)
    return reading


def test_what_a_node_sends_is_what_its_alarms_look_at(world: World, lab_none: LabNone, tmp_path: Path) -> None:
    states = [("unit", OK), ("reward", ALARM), ("eth-balance", WARN), ("slashed", UNKNOWN), ("reboot", WARN)]
    sent = send(world.settings, tmp_path / "machine", states)
    monitoring.deploy(world, Console())

    client = lab_none.client("cloudwatch")
    dimensions = [{"Name": "environment", "Value": world.settings.name}, {"Name": "node", "Value": "tc001"}]
    metrics = client.list_metrics(Namespace=NAMESPACE, Dimensions=dimensions)["Metrics"]
    watched = {
        (alarm["Namespace"], alarm["MetricName"], str(alarm["Dimensions"]))
        for alarm in alarms_of(lab_none, world.settings).values()
    }

    assert (sent.level, sent.message) == (OK, "5 metrics are sent")
    assert {each["MetricName"] for each in metrics} == {HEARTBEAT, "unit", "reward", "eth-balance", OTHERS}
    assert {(NAMESPACE, each["MetricName"], str(each["Dimensions"])) for each in metrics} <= watched
    values = {name: _last(client, name, dimensions) for name in ("unit", "reward", "eth-balance", OTHERS, HEARTBEAT)}
    assert values == {"unit": 0.0, "reward": 2.0, "eth-balance": 1.0, OTHERS: 1.0, HEARTBEAT: 1.0}


def _last(client: Any, name: str, dimensions: list[dict[str, str]]) -> float:
    now = datetime.now(UTC)
    found = client.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=name,
        Dimensions=dimensions,
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=10),
        Period=60,
        Statistics=["Maximum"],
    )
    return float(found["Datapoints"][-1]["Maximum"])


def test_alarms_ring_when_data_are_missing_and_write_to_the_topic(world: World, lab_none: LabNone) -> None:
    console = Console()
    outcome = monitoring.deploy(world, console)

    found = alarms_of(lab_none, world.settings)
    (topic,) = [
        each["TopicArn"]
        for each in lab_none.client("sns").list_topics()["Topics"]
        if each["TopicArn"].endswith(f":{alarms.stack_name(world.settings)}")
    ]
    mails = lab_none.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    dashboards = lab_none.client("cloudwatch").list_dashboards()["DashboardEntries"]
    assert len(found) == len(alarms.own_metrics(world.settings)) + 2
    assert {alarm["TreatMissingData"] for alarm in found.values()} == {"breaching"}
    assert {str(alarm["AlarmActions"]) for alarm in found.values()} == {str([topic])}
    assert [(each["Protocol"], each["Endpoint"]) for each in mails] == [("email", "ops@example.org")]
    assert alarms.stack_name(world.settings) in [each["DashboardName"] for each in dashboards]
    assert (outcome.done, outcome.status, outcome.nodes) == (True, "CREATE_COMPLETE", ("tc001",))
    assert [event.status for event in console.events][-1] == "CREATE_COMPLETE"


def test_a_second_deployment_finds_nothing_to_change(world: World) -> None:
    monitoring.deploy(world, Console())

    console = Console()
    again = monitoring.deploy(world, console)

    assert (again.changes, again.done, again.describe()["nothing_to_do"]) == ((), False, True)
    assert console.changes == [()]


def test_a_look_changes_nothing_and_leaves_nothing(world: World, lab_none: LabNone) -> None:
    client, name = lab_none.client("cloudformation"), alarms.stack_name(world.settings)
    first = monitoring.diff(world, Console())
    assert {change.action for change in first.changes} == {"Add"}
    assert world.cloud.stacks().find_stack(name) is None, "the stack that the question was asked with is gone"

    monitoring.deploy(world, Console())
    before = client.list_change_sets(StackName=name)["Summaries"]
    add_node(world, "tc002")
    second = monitoring.diff(world, Console())

    added = [change.name for change in second.changes if change.action == "Add"]
    assert added and all("tc002" in name for name in added)
    assert client.list_change_sets(StackName=name)["Summaries"] == before
    assert not any("tc002" in each for each in alarms_of(lab_none, world.settings))


def test_a_node_more_and_a_check_less_are_changed_in_place(world: World, lab_none: LabNone, tmp_path: Path) -> None:
    monitoring.deploy(world, Console())
    add_node(world, "tc002")
    fewer = environment(tmp_path, lab_none.endpoint_url, world.settings.name, checks=["unit", "reward"], minutes=9)

    outcome = monitoring.deploy(world_of(fewer), Console())

    found = alarms_of(lab_none, fewer)
    begin = alarms.stack_name(fewer)
    assert outcome.status == "UPDATE_COMPLETE"
    names = {f"{begin}-{node}-{name}" for node in ("tc001", "tc002") for name in (HEARTBEAT, "unit", "reward", OTHERS)}
    assert set(found) == names
    assert {alarm["EvaluationPeriods"] for alarm in found.values()} == {9}


def test_removing_leaves_nothing_and_again_is_nothing(world: World, lab_none: LabNone) -> None:
    monitoring.deploy(world, Console())
    looked = monitoring.remove(world, Console(), dry_run=True)
    assert (looked.done, len(looked.changes)) == (False, 1)
    assert alarms_of(lab_none, world.settings)

    removed = monitoring.remove(world, Console())

    assert (removed.done, alarms_of(lab_none, world.settings)) == (True, {})
    assert monitoring.remove(world, Console()).changes == ()


def test_a_stack_of_that_name_that_is_not_ours_is_left_alone(world: World, lab_none: LabNone) -> None:
    client, name = lab_none.client("cloudformation"), alarms.stack_name(world.settings)
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))
    try:
        for task in (monitoring.deploy, monitoring.diff, monitoring.remove):
            with pytest.raises(Refused, match="is not of environment"):
                task(world, Console())
    finally:
        client.delete_stack(StackName=name)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A CloudWatch that looks at signatures and at the policies of who calls."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    monkeypatch.undo()
    server.stop()


def role_with(endpoint: str, policy: dict[str, Any]) -> dict[str, str]:
    """Make a role with this policy; return its credentials as the metadata service words them."""

    def client(service: str) -> Any:
        own = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        return boto3.client(service, region_name="us-east-1", endpoint_url=endpoint, **own)

    name = f"node-{uuid.uuid4()}"
    arn = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    # moto goes by the name that a call is signed for, which is "monitoring"; IAM's own name of it is "cloudwatch".
    text = json.dumps(policy).replace("cloudwatch:PutMetricData", "monitoring:PutMetricData")
    client("iam").put_role_policy(RoleName=name, PolicyName="node", PolicyDocument=text)
    given = client("sts").assume_role(RoleArn=arn, RoleSessionName="i-1")["Credentials"]
    return {
        "AccessKeyId": given["AccessKeyId"],
        "SecretAccessKey": given["SecretAccessKey"],
        "Token": given["SessionToken"],
    }


def test_a_node_signs_as_its_role_and_may_what_the_printed_policy_says(
    strict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = environment(tmp_path, strict, "signed")
    may = role_with(strict, iam.render("instance", settings, "123456789012"))
    may_not = role_with(strict, iam.render("instance", load("lab"), "123456789012"))
    monkeypatch.setattr(moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)

    def sent_as(role: dict[str, str]) -> str:
        return send(settings, tmp_path / "machine", [("unit", OK)], role).message

    assert sent_as(may) == "2 metrics are sent"
    assert "SignatureDoesNotMatch" in sent_as({**may, "SecretAccessKey": "another"})
    assert "the role of this instance may not cloudwatch:PutMetricData" in sent_as(may_not)
