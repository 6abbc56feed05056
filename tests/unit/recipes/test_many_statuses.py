"""Status of many nodes: as many calls of EC2 as for one, silent machines side by side, one screen."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulated import fleet
from tests.simulated.process import Act, reached_through
from tests.simulated.world import Simulation
from transcoder import parallel, screen, tags
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.layout import LIVEPEER
from transcoder.recipes import status
from transcoder.world import Lock


@pytest.fixture(scope="module")
def many() -> tuple[Simulation, tuple[str, ...]]:
    sim = Simulation()
    return sim, fleet.furnish(sim, 60)


def calls(sim: Simulation, count: int) -> Counter[str]:
    names = fleet.furnish(sim, count)
    statuses, _ = status.survey(sim.world)
    assert [found.node.name for found in statuses] == list(names)
    assert status.is_healthy(statuses), [found.problems for found in statuses]
    return Counter(call.name for call in sim.cloud.calls)


def test_many_nodes_need_no_more_calls_of_ec2_than_one() -> None:
    one = calls(Simulation(), 1)
    assert one == {"volumes": 1, "instances": 1, "addresses": 1, "lock_holders": 1}
    assert calls(Simulation(), 25) == one


def test_the_lock_of_each_node_is_its_own(many: tuple[Simulation, tuple[str, ...]]) -> None:
    sim, names = many
    sim.cloud.locks[names[3]] = Lock("ann", "bastion", 1, "2026-11-22T10:00:00+00:00", "fab detach")
    statuses = status.observe(sim.world)
    sim.cloud.locks.clear()
    assert [found.node.name for found in statuses if found.lock] == [names[3]]


def test_silent_machines_wait_beside_each_other_and_say_what_to_type(many: tuple[Simulation, tuple[str, ...]]) -> None:
    sim, names = many
    silent = {node: name_of(sim, node) for node in names[:20]}

    def door(act: Act, do: Callable[[], Any]) -> Any:
        if act.machine in silent.values():
            time.sleep(0.2)
            raise Unreachable(f"{act.machine}: no answer over SSH: timed out")
        return do()

    begun = time.monotonic()
    statuses = status.observe(reached_through(sim.world, door))
    assert time.monotonic() - begun < 20 * 0.2, "one after the other"
    bad = [found for found in statuses if found.problems]
    assert [found.node.name for found in bad] == list(silent)
    assert all(f"fab migrate --node {found.node.name} --to new" in found.problems[0] for found in bad)


def name_of(sim: Simulation, node: str) -> str:
    return next(i.name for i in sim.cloud.machines.values() if i.tags.get(tags.NODE) == node)


def test_no_more_machines_are_asked_at_once_than_the_bound() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def act(number: int) -> int:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        time.sleep(0.005)
        with lock:
            now -= 1
        return number

    assert parallel.all_of(act, range(100)) == tuple(range(100))
    assert 1 < most <= parallel.AT_ONCE


def test_a_machine_that_answers_ever_so_slowly_costs_its_own_time_and_no_more() -> None:
    sim = Simulation()
    fleet.furnish(sim, 1)

    def slow(act: Act, do: Callable[[], Any]) -> Any:
        if act.machine:
            sim.clock.sleep(25.0)
        return do()

    (found,) = status.observe(reached_through(sim.world, slow))
    assert "has not answered everything within 90 s" in found.problems[0]


def shown(capsys: pytest.CaptureFixture[str], statuses: tuple[status.NodeStatus, ...]) -> str:
    screen.show(statuses, (("spare-1", "i-9", "running, spare"),))
    return capsys.readouterr().out


def test_a_few_nodes_have_a_row_each_those_in_trouble_first(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    fleet.furnish(sim, 3)
    sim.machine("tc002").stop(LIVEPEER.service.unit)
    out = shown(capsys, status.observe(sim.world))
    assert "2 of 3 nodes healthy: not tc002" in out
    assert out.index("✗") < out.index("✓")
    assert "! tc002: livepeer-transcoder.service is inactive" in out
    assert "fab logs --unit livepeer-transcoder.service --node tc002" in out
    assert "since" in out
    assert "also here: spare-1" in out
    assert "1340, reward called in 1340" in out


def test_of_very_many_nodes_those_in_trouble_have_rows_and_the_others_names(
    many: tuple[Simulation, tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    sim, names = many
    sim.machine(names[7]).faults.geth_finds_no_peers = True
    out = shown(capsys, status.observe(sim.world))
    sim.machine(names[7]).faults.geth_finds_no_peers = False
    assert f"59 of 60 nodes healthy: not {names[7]}" in out
    assert out.count("✗") == 1
    assert "✓" not in out
    assert f"healthy: {names[0]}, {names[1]}" in out
    assert len(out.splitlines()) < 24, "more than one screen"


def test_the_same_trouble_of_many_is_said_once() -> None:
    sim = Simulation()
    fleet.furnish(sim, 3)
    for name in ("tc001", "tc003"):
        sim.machine(name).faults.geth_finds_no_peers = True
    assert screen.problem_lines(status.observe(sim.world)) == ["  ! tc001, tc003: geth has no peers"]


def test_a_unit_that_is_down_says_since_when() -> None:
    sim = Simulation()
    fleet.furnish(sim, 1)
    sim.clock.sleep(60.0)
    sim.machine("tc001").stop(LIVEPEER.service.unit)
    (found,) = status.observe(sim.world)
    assert found.machine is not None
    assert found.machine.guest is not None
    state = found.machine.guest.service(LIVEPEER.service.unit)
    assert state.changed
    assert f"since {state.changed}" in "\n".join(found.problems)


def test_a_script_is_told_by_the_exit_code_whether_all_is_well() -> None:
    sim = Simulation()
    with pytest.raises(Failed, match="no node"):
        screen.check(status.observe(sim.world))
    fleet.furnish(sim, 2)
    screen.check(status.observe(sim.world))
    sim.machine("tc002").stop(LIVEPEER.service.unit)
    with pytest.raises(Failed, match="1 of 2 nodes healthy: not tc002") as caught:
        screen.check(status.observe(sim.world))
    assert caught.value.exit_code == 4


class Stopper:
    """Sleeps some times, and then Ctrl-C comes."""

    def __init__(self, sim: Simulation, times: int) -> None:
        self.sim, self.left, self.slept = sim, times, list[float]()

    def now(self) -> float:
        return self.sim.clock.now()

    def monotonic(self) -> float:
        return self.sim.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.sim.clock.sleep(seconds)


def test_a_watch_looks_again_until_ctrl_c_and_says_when_it_looked(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    fleet.furnish(sim, 2)
    clock = Stopper(sim, 2)
    screen.watch(lambda: status.survey(sim.world), clock, 30.0, json_output=False)
    out = capsys.readouterr().out
    assert out.count("2 of 2 nodes healthy") == 3
    assert out.count("Ctrl-C") == 3
    assert "\x1b" not in out, "control characters off a terminal"
    assert clock.slept == [30.0] * 3


def test_a_watch_for_programs_writes_one_line_a_look(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    fleet.furnish(sim, 2)
    screen.watch(lambda: status.survey(sim.world), Stopper(sim, 1), 10.0, json_output=True)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [node["healthy"] for node in first["nodes"]] == [True, True]
    assert first["at"] < second["at"]


def test_a_watch_outlives_a_look_without_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    fleet.furnish(sim, 1)
    answers = iter([Unreachable("no answer from EC2"), None])

    def look() -> Any:
        if error := next(answers):
            raise error
        return status.survey(sim.world)

    screen.watch(look, Stopper(sim, 1), 10.0, json_output=False)
    captured = capsys.readouterr()
    assert "no answer from EC2" in captured.err
    assert "healthy" in captured.out


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(Refused, match="at least 1 second"):
        screen.refuse_never_ending(0.1, check=False)
    with pytest.raises(Refused, match="never ends"):
        screen.refuse_never_ending(10.0, check=True)
