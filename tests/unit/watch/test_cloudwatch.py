"""What a node tells CloudWatch, and what it says of itself when it cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import instance_role  # type: ignore[import-not-found, unused-ignore]
import pytest
from transcoder_node import NotYet, Refusal  # type: ignore[import-not-found, unused-ignore]
from watch import cloudwatch, main, show
from watch.board import Board, Shown
from watch.loop import Loop, Timing, observe
from watch.model import NoAnswer, Reading

from tests.unit.watch.machine import ALARM, OK, UNKNOWN, WARN, Machine
from transcoder import alarmed, alarms
from transcoder.checks import BY_NAME
from transcoder.settings import load

ROLE = instance_role.Credentials("ASIAEXAMPLE", "secret", "token")
TOLD = {"namespace": "Transcoder", "endpoint": "", "checks": ["unit", "reward"], "others": ["clock", "reboot"]}


class Role:
    """A metadata service that answers, or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    def region(self) -> str:
        return "eu-central-1"

    def credentials(self) -> Any:
        if self.failure:
            raise self.failure
        return ROLE


class Amazon:
    """Takes what is posted, or refuses it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failure: Exception | None = None
        self.posts: list[tuple[Any, ...]] = []
        monkeypatch.setattr(instance_role, "post", self.post)

    def post(self, *arguments: Any) -> bytes:
        self.posts.append(arguments)
        if self.failure:
            raise self.failure
        return b""

    @property
    def fields(self) -> dict[str, str]:
        """The last request's."""
        return dict(parse_qsl(self.posts[-1][3].decode()))


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Amazon:
    return Amazon(monkeypatch)


def shown(*states: tuple[str, int]) -> list[Shown]:
    """Return states by ``check`` or ``check/subject``."""
    found = []
    for name, level in states:
        check, _, subject = name.partition("/")
        found.append(Shown(level, 0.0, Reading(check, subject, level, None, ""), "", ""))
    return found


def sender(states: Sequence[tuple[str, int]] = (), role: Role | None = None, name: str = "tc001") -> cloudwatch.Sender:
    identity = {"environment": "lab", "node": name}
    return cloudwatch.Sender(TOLD, lambda: shown(*states), lambda: identity, lambda: role or Role())


def test_levels_go_as_numbers_with_environment_and_node(tmp_path: Path, amazon: Amazon) -> None:
    found = Machine(tmp_path).look(sender([("unit/geth", OK), ("reward", ALARM)]).look)

    service, region, role, _, headers, endpoint = amazon.posts[0]
    assert (service, region, role, endpoint) == ("monitoring", "eu-central-1", ROLE, "")
    assert headers == {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    fields = amazon.fields
    assert (fields["Action"], fields["Version"], fields["Namespace"]) == ("PutMetricData", "2010-08-01", "Transcoder")
    assert [fields[f"MetricData.member.{n}.MetricName"] for n in (1, 2, 3)] == ["heartbeat", "reward", "unit"]
    assert [fields[f"MetricData.member.{n}.Value"] for n in (1, 2, 3)] == ["1", "2", "0"]
    for number in (1, 2, 3):
        begin = f"MetricData.member.{number}.Dimensions.member."
        found_dimensions = {fields[f"{begin}{n}.Name"]: fields[f"{begin}{n}.Value"] for n in (1, 2)}
        assert found_dimensions == {"environment": "lab", "node": "tc001"}
    assert "Timestamp" not in str(fields)
    assert (found["cloudwatch"].level, found["cloudwatch"].message) == (OK, "3 metrics are sent")


@pytest.mark.parametrize(
    ("states", "values"),
    [
        ([], {}),
        ([("unit/geth", WARN), ("unit/livepeer", ALARM), ("unit/chrony", OK)], {"unit": 2}),
        ([("unit/geth", UNKNOWN), ("unit/livepeer", OK)], {}),  # not enough is known to call it well
        ([("unit/geth", UNKNOWN), ("unit/livepeer", WARN)], {"unit": 1}),
        ([("reward", UNKNOWN)], {}),
        ([("clock", OK), ("reboot", WARN)], {"others": 1}),
        ([("clock", UNKNOWN), ("reboot", OK)], {"others": 0}),
        ([("clock", UNKNOWN)], {}),
        ([("cloudwatch", WARN), ("space/geth", ALARM)], {}),  # neither its own nor among the others
    ],
)
def test_what_is_unknown_is_not_sent_and_the_worst_counts(
    states: list[tuple[str, int]], values: dict[str, int]
) -> None:
    assert cloudwatch.values_of(TOLD, shown(*states)) == {"heartbeat": 1, **values}


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Refusal("this instance has no IAM role: give it an instance profile"), "has no IAM role"),
        (NotYet("the instance metadata service does not answer"), "does not answer"),
    ],
)
def test_a_node_without_a_role_says_so(tmp_path: Path, amazon: Amazon, failure: Exception, words: str) -> None:
    found = Machine(tmp_path).look(sender(role=Role(failure)).look)["cloudwatch"]

    assert (found.level, words in found.message) == (WARN, True)
    assert amazon.posts == []


def test_a_role_without_the_permission_is_told_which_and_where_it_is_printed(tmp_path: Path, amazon: Amazon) -> None:
    amazon.failure = instance_role.Denied("AccessDenied", "User: x is not authorized")
    found = Machine(tmp_path).look(sender().look)["cloudwatch"]
    assert found.level == WARN
    assert "may not cloudwatch:PutMetricData (AccessDenied: User: x is not authorized)" in found.message
    assert "`invoke iam --policy instance`" in found.message

    amazon.failure = instance_role.Denied("SignatureDoesNotMatch", "Signature expired")
    assert "CloudWatch refuses it (SignatureDoesNotMatch: Signature expired)" in (
        Machine(tmp_path).look(sender().look)["cloudwatch"].message
    )


def test_what_cannot_be_sent_is_in_the_line_of_systemctl_and_takes_no_node_out_of_service(
    tmp_path: Path, amazon: Amazon
) -> None:
    machine, board = Machine(tmp_path), Board(Machine(tmp_path).config["checks"], "docs/runbooks/")
    role = Role(Refusal("this instance has no IAM role: give it an instance profile"))
    board.take("units", [Reading("unit", "geth", OK, None, "")], 0)
    for steady in (0, BY_NAME["cloudwatch"].warn):
        board.take("cloudwatch", observe(sender(role=role).look, machine.node)[0], steady)

    line = show.status_line(board.shown(60, 0))
    status, _ = show.health(board.shown(60, 0), {}, 0)

    assert line.startswith("1 of 2 ok; warn cloudwatch: nothing is sent: this instance has no IAM role")
    assert status == 200


def test_who_is_no_node_or_is_being_moved_sends_nothing(tmp_path: Path, amazon: Amazon) -> None:
    machine = Machine(tmp_path)
    spare = machine.look(sender(name="").look)["cloudwatch"]
    machine.write(f"/run/transcoder/hold/{machine.config['units']['livepeer']}", "")
    moved = machine.look(sender().look)["cloudwatch"]

    assert {(each.level, each.message) for each in (spare, moved)} == {
        (OK, "no node is on this machine, or it is being moved: nothing is sent")
    }
    assert amazon.posts == []


def test_both_sides_mean_the_same_by_names_and_numbers() -> None:
    assert (cloudwatch.HEARTBEAT, cloudwatch.OTHERS) == (alarmed.HEARTBEAT, alarmed.OTHERS)
    assert cloudwatch.CHECK == alarmed.UNSENT
    assert (cloudwatch.LEVELS[WARN], cloudwatch.LEVELS[ALARM]) == (alarms.LEVELS["warn"], alarms.LEVELS["alarm"])
    assert cloudwatch.INTERVAL == alarms.PERIOD


def test_a_watch_that_is_told_to_sends_and_others_do_not(tmp_path: Path, amazon: Amazon) -> None:
    settings = load("lab")
    on = settings.monitoring.model_copy(update={"cloudwatch": True})
    told = alarms.sending(settings.model_copy(update={"monitoring": on}))
    machine = Machine(tmp_path / "root")
    machine.config["listen"]["port"] = 0
    assert machine.config["cloudwatch"] is None
    quiet = main.Watch(machine.config, str(machine.root), "")
    quiet.server.server_close()

    machine.config["cloudwatch"] = {**(told or {}), "endpoint": "http://127.0.0.1:1"}
    speaking = main.Watch(machine.config, str(machine.root), "")
    speaking.server.server_close()

    assert "cloudwatch" not in main.timings_of(machine.config, main.probes_of(machine.config))
    assert _runners(quiet) | {"cloudwatch"} == _runners(speaking)


def _runners(watch: main.Watch) -> set[str]:
    return {runner.name for runner in watch.loop._runners}


def test_a_sending_that_hangs_hangs_alone(tmp_path: Path, amazon: Amazon) -> None:
    machine, free = Machine(tmp_path), threading.Event()

    class Hanging(Role):
        def region(self) -> str:
            free.wait(30)
            return "eu-central-1"

    def quick(_node: Any) -> Any:
        yield Reading("clock", "", OK, None, "")

    board = Board(machine.config["checks"], "docs/runbooks/")
    timing = Timing(60, 60)
    probes = {"cloudwatch": sender(role=Hanging()).look, "quick": quick}
    loop = Loop(machine.node, board, probes, {"cloudwatch": timing, "quick": timing})
    loop.tick(lambda: 0.0)
    deadline = time.monotonic() + 30
    while not any(item.reading.check == "clock" for item in board.shown(0, 0)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    loop.tick(lambda: 61.0)
    states = {f"{i.reading.check}/{i.reading.subject}": i.reading.level for i in board.shown(61, 0)}
    free.set()

    assert states["watch/cloudwatch"] == ALARM
    assert states["clock/"] == OK


def test_an_error_of_another_kind_is_a_look_without_an_answer(tmp_path: Path, amazon: Amazon) -> None:
    amazon.failure = NoAnswer("odd")
    assert Machine(tmp_path).look(sender().look)[""].message == "odd"
