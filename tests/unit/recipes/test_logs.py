"""Logs: the journals of the nodes' services, of the right machines, in the order of time, and as they come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.simulated import fleet
from tests.simulated.world import NODE, Simulation
from transcoder.errors import Refused, Unreachable
from transcoder.layout import GETH, LIVEPEER
from transcoder.recipes import logs
from transcoder.screen import JournalTeller

UNIT = LIVEPEER.service.unit


def up() -> Simulation:
    sim = Simulation()
    sim.node()
    return sim


def read(sim: Simulation, request: logs.Request) -> tuple[logs.Piece, ...]:
    return logs.read(sim.world, request, logs.sources(sim.world, request))


def lines(pieces: Sequence[logs.Piece], *, named: bool = False) -> list[str]:
    return list(logs.merged(pieces, named=named))


def said(pieces: Sequence[logs.Piece]) -> list[str]:
    return [entry.message for piece in pieces for entry in piece.entries]


def write(sim: Simulation, name: str, text: str, unit: str = UNIT) -> None:
    sim.machine(name).journal.setdefault(unit, []).append(text)


def test_both_services_are_asked_for_since_the_time_given() -> None:
    sim = up()
    write(sim, NODE, "livepeer: hello")
    assert said(read(sim, logs.Request(NODE, since="10 min ago", lines="50"))) == ["livepeer: hello"]
    asked = sim.hosts.commands[-1].argv
    assert asked[:5] == ("journalctl", "--unit", UNIT, "--unit", "geth.service")
    at = asked.index("--since")
    assert (asked[at + 1], asked[asked.index("--lines") + 1]) == ("10 min ago", "50")


@pytest.mark.parametrize(
    ("unit", "asked"), [("chrony.service", "chrony.service"), ("geth", GETH.service.unit), ("livepeer", UNIT)]
)
def test_one_unit_can_be_named_by_its_name_or_by_what_runs_in_it(unit: str, asked: str) -> None:
    sim = up()
    read(sim, logs.Request(NODE, unit=unit, lines="5"))
    assert sim.hosts.commands[-1].argv[:3] == ("journalctl", "--unit", asked)


def test_a_machine_that_carries_nothing_can_be_named() -> None:
    sim = up()
    other = sim.instance("other")
    read(sim, logs.Request(instance="other"))
    assert sim.hosts.commands[-1].machine == other.id


@pytest.mark.parametrize("node", [NODE, ""])
def test_a_node_that_is_nowhere_is_refused_with_the_way_to_name_a_machine(node: str) -> None:
    with pytest.raises(Refused, match="fab logs --instance NAME"):
        read(Simulation(), logs.Request(node))


def test_a_number_of_lines_that_is_none_is_refused_by_its_text() -> None:
    with pytest.raises(Refused, match="'many'"):
        read(Simulation(), logs.Request(NODE, lines="many"))


def test_the_journals_of_all_nodes_are_told_in_the_order_of_time_with_their_names() -> None:
    sim = Simulation()
    fleet.furnish(sim, 2)
    write(sim, "tc001", "2026-11-22T10:00:01+0000 ip-1 livepeer[7]: panic\n    at main.go:1")
    write(sim, "tc002", "2026-11-22T10:00:00+0000 ip-2 livepeer[7]: first")
    write(sim, "tc002", "2026-11-22T10:00:02+0000 ip-2 livepeer[7]: last")
    told = lines(read(sim, logs.Request()), named=True)
    assert [line.split("  ", 1)[0] for line in told] == ["tc002", "tc001", "tc001", "tc002"]
    assert told[2] == f"tc001  {' ' * 43}    at main.go:1", "what belongs to a line stays below it"


def test_of_many_lines_the_newest_are_told() -> None:
    sim = up()
    for number in range(1, 8):
        write(sim, NODE, f"line {number}")
    assert said(read(sim, logs.Request(NODE, lines="3"))) == ["line 5", "line 6", "line 7"]


def test_following_without_old_lines_tells_what_comes() -> None:
    sim = up()
    write(sim, NODE, "old")
    told, request = Told(sim, lambda: write(sim, NODE, "new")), logs.Request(NODE, lines="0")
    logs.follow(sim.world, request, logs.sources(sim.world, request), told)
    assert told.seen == [[], ["new"]]


def test_many_machines_are_found_with_as_many_calls_as_one() -> None:
    sim = Simulation()
    fleet.furnish(sim, 5)
    read(sim, logs.Request())
    assert sorted(call.name for call in sim.cloud.calls) == ["addresses", "instances", "volumes"]


def test_a_silent_machine_is_told_of_and_the_others_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    fleet.furnish(sim, 3)
    write(sim, "tc003", "2026-11-22T10:00:00+0000 ip-3 livepeer[7]: here")
    sim.machine("tc002").faults.unreachable = True
    teller = JournalTeller(named=True, since="1 hour ago")
    teller.tell(read(sim, logs.Request()))
    captured = capsys.readouterr()
    assert captured.out == "tc003  2026-11-22T10:00:00+0000 ip-3 livepeer[7]: here\n"
    assert "tc001: nothing since 1 hour ago" in captured.err
    assert "tc002: tc002: no answer over SSH" in captured.err
    with pytest.raises(Unreachable, match="no journal of tc002"):
        teller.check()


class Told:
    """Collects what is told, does something after each look, and presses Ctrl-C after the last."""

    def __init__(self, sim: Simulation, *after: object) -> None:
        self.sim, self.after, self.seen = sim, list(after), list[list[str]]()
        self.problems: list[str] = []

    def __call__(self, pieces: Sequence[logs.Piece]) -> None:
        self.seen.append(said(pieces))
        self.problems += [piece.problem for piece in pieces if piece.problem]
        if not self.after:
            raise KeyboardInterrupt
        act = self.after.pop(0)
        assert callable(act)
        act()


def follow(sim: Simulation, *after: object) -> Told:
    told, request = Told(sim, *after), logs.Request(NODE)
    logs.follow(sim.world, request, logs.sources(sim.world, request), told)
    return told


def test_following_tells_each_line_once_and_ends_with_ctrl_c() -> None:
    sim = up()
    write(sim, NODE, "one")
    told = follow(sim, lambda: write(sim, NODE, "two"), lambda: None, lambda: write(sim, NODE, "three"))
    assert told.seen == [["one"], ["two"], [], ["three"]]


def test_following_begins_before_there_is_anything_to_tell() -> None:
    sim = up()
    assert follow(sim, lambda: write(sim, NODE, "first"), lambda: None).seen == [[], ["first"], []]


def test_following_goes_on_where_it_was_when_the_machine_answers_again() -> None:
    sim = up()
    write(sim, NODE, "one")

    def cut() -> None:
        sim.machine(NODE).faults.unreachable = True
        write(sim, NODE, "written meanwhile")

    def heal() -> None:
        sim.machine(NODE).faults.unreachable = False

    told = follow(sim, cut, lambda: None, heal)
    assert told.seen == [["one"], [], [], ["written meanwhile"]]
    assert len(told.problems) == 1, "the same problem is told once"
