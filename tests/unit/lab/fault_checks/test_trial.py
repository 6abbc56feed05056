"""A fault on a node whose watch does what it must, and on others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.fault_checks import report
from lab.fault_checks.environment import CLEAR, QUICK, write_lab_time
from lab.fault_checks.looks import Look, State
from lab.fault_checks.report import Calm
from lab.fault_checks.table import Felt, Red
from lab.fault_checks.trial import Row, Trial
from lab.matrix.environment import OwnLab
from tests.simulated.clock import SimulatedClock
from transcoder.settings import Settings, load

PEERS = Felt("geth_no_peers", (Red("geth-peers"),), also=("reward",), restart=("geth.service",))
STALL = Felt("geth_stall", (Red("geth-head", head_ages=2),))


class Node:
    """A node whose watch shows a check ``after`` seconds of the fault as red, and ``clear`` seconds after it as ok."""

    def __init__(self, check: str, after: float = QUICK + 1, clear: float = CLEAR) -> None:
        self.clock = SimulatedClock()
        self.check, self.after, self.clear = check, after, clear
        self.bad_after = 0.0
        self.begun: float | None = None
        self.ended: float | None = None
        self.others: dict[str, tuple[float, float]] = {}
        self.done: list[str] = []
        self.looks: list[Look] = []
        self.clock.listen(self.look)

    def look(self) -> None:
        now = self.clock.monotonic()
        bad = self.begun is not None and now >= self.begun + self.bad_after and self.ended is None
        red = self.begun is not None and now >= self.begun + self.after
        if self.ended is not None:
            red = red and now < self.ended + self.clear
        checks = {self.check: State("alarm" if red else "ok", "alarm" if bad else "ok", "no peers")}
        for name, (begin, end) in self.others.items():
            checks[name] = State("warn" if begin <= now < end else "ok", "ok", "for no reason")
        self.looks.append(Look(now, now + 1000.0, checks))

    def since(self, begun: float) -> tuple[Look, ...]:
        first = next((number for number, look in enumerate(self.looks) if look.at >= begun), len(self.looks))
        return tuple(self.looks[max(first - 1, 0) :])

    def switch(self, felt: Felt, on: bool) -> None:
        self.done.append(f"{felt.fault} {'on' if on else 'off'}")
        if on:
            self.begun = self.clock.monotonic()
        else:
            self.ended = self.clock.monotonic()

    def restart(self, unit: str) -> None:
        self.done.append(f"restart {unit}")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load(str(write_lab_time(tmp_path_factory.mktemp("checks"), OwnLab("checks", "172.31.218", 5618))))


def perform(settings: Settings, node: Node, felt: Felt = PEERS) -> Row:
    (row,) = Trial(settings, node, node.switch, node.restart, node.clock).perform(felt)
    return row


def test_red_after_its_threshold_and_green_again(settings: Settings) -> None:
    node = Node("geth-peers")

    row = perform(settings, node)

    assert row.passed, row.problem
    assert row.threshold == QUICK
    assert row.after == pytest.approx(QUICK + 1, abs=1)
    assert row.back == pytest.approx(CLEAR, abs=1)
    assert node.done == ["geth_no_peers on", "geth_no_peers off", "restart geth.service"]


def early(node: Node) -> None:
    node.after = QUICK - 3


def too_soon_after_the_fault(node: Node) -> None:
    """Sees the head as old before it can be old."""
    node.after = QUICK + 2


def never(node: Node) -> None:
    node.after = 1e9


def for_ever(node: Node) -> None:
    node.clear = 1e9


def another(node: Node) -> None:
    node.others["clock"] = (5.0, 8.0)


def red_before(node: Node) -> None:
    node.others["clock"] = (0.0, 1e9)


@pytest.mark.parametrize(
    ("broken", "felt", "said"),
    [
        (early, PEERS, f"before its {QUICK} s"),
        (too_soon_after_the_fault, STALL, "s after the fault, before 35 s"),
        (never, PEERS, "it did not turn alarm"),
        (for_ever, PEERS, "it was not green again"),
        (another, PEERS, "not expected: clock: for no reason"),
        (red_before, PEERS, "the node was not green before"),
    ],
)
def test_a_watch_that_does_otherwise_is_found_out(
    settings: Settings, broken: Callable[[Node], None], felt: Felt, said: str
) -> None:
    node = Node(felt.red[0].check)
    broken(node)

    row = perform(settings, node, felt)

    assert said in row.problem
    assert not row.passed
    assert node.done[-1:] != [f"{felt.fault} on"], "it is off in the end"


def test_what_follows_from_a_fault_may_be_red_too(settings: Settings) -> None:
    node = Node("geth-peers")
    node.others["reward"] = (5.0, 8.0)

    assert perform(settings, node).passed


def test_a_fault_that_cannot_be_switched_on_is_switched_off(settings: Settings) -> None:
    node = Node("geth-peers")

    def refuse(felt: Felt, on: bool) -> None:
        node.switch(felt, on)
        if on:
            raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        Trial(settings, node, refuse, node.restart, node.clock).perform(PEERS)
    assert "geth_no_peers off" in node.done


GOOD = Row("geth_no_peers", "geth-peers", "alarm", 10.0, 10.6, 12.4, 7.2)
BAD = Row("geth_stall", "geth-head", "alarm", 10.0, problem="it did not turn alarm")


def test_the_table_has_seconds_and_says_what_is_wrong() -> None:
    text = report.render([GOOD, BAD], Calm(1800.0, 3600, 28, 0.7, ()))

    assert "healthy node: 30.0 min, 3600 looks at 28 checks (at most 0.7 s apart): nothing red" in text
    assert "geth_no_peers  geth-peers  alarm  10.0       10.6    12.4   7.2   ok" in text
    assert "! geth_stall, geth-head: it did not turn alarm" in text
    assert "1 of 2 checks right" in text


def test_one_wrong_row_or_one_red_look_at_a_healthy_node_fails_all(tmp_path: Path) -> None:
    calm, red = Calm(60.0, 120, 28, 0.7, ()), Calm(60.0, 120, 28, 0.7, ("clock: off",))
    assert report.passed([GOOD], calm)
    assert report.passed([], calm)
    assert not report.passed([GOOD, BAD], calm)
    assert not report.passed([GOOD], red)
    assert not report.passed([], None), "nothing was looked at"
    assert '"passed": true' in report.write(tmp_path / "new", [GOOD], None).read_text()
