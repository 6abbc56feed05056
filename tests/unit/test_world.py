"""Waiting: soon at first, then with more patience, never beyond the budget; and the simulated clock itself."""

from __future__ import annotations

import pytest

from tests.simulated.world import Simulation
from transcoder.errors import Failed, Unreachable
from transcoder.world import SILENCE, command_line, pause


def waits(budget: float, appears_after: float) -> list[float]:
    """Return the pauses until a thing appears, ``appears_after`` seconds from now."""
    sim = Simulation()
    sim.world.wait("it", lambda: sim.clock.monotonic() >= appears_after, budget)
    return sim.clock.slept


def test_what_is_there_costs_no_wait() -> None:
    assert waits(10, 0) == []


def test_it_looks_every_half_second_for_ten_seconds() -> None:
    assert waits(60, 9.9) == [0.5] * 20


def test_later_it_looks_less_often_and_at_least_every_five_seconds() -> None:
    pauses = waits(600, 300)
    assert pauses[:20] == [0.5] * 20
    assert pauses == sorted(pauses)
    assert pauses[20] == 1.0
    assert max(pauses) == pauses[-1] == 5.0


def test_the_wait_ends_with_the_budget_and_names_what_was_waited_for() -> None:
    sim = Simulation()
    with pytest.raises(Failed, match=r"vol-1 attached: not so after 3 s \(budget 3 s\)"):
        sim.world.wait("vol-1 attached", lambda: False, 3.0)
    assert sim.clock.monotonic() == 3.0


def test_it_looks_once_more_when_the_budget_is_used_up() -> None:
    assert waits(3.0, 3.0) == [0.5] * 6


def test_it_returns_what_the_probe_found() -> None:
    assert Simulation().world.wait("it", lambda: "found", 1.0) == "found"


def test_a_volume_that_takes_four_seconds_is_seen_within_half_a_second_of_it() -> None:
    assert sum(waits(120, 4.0)) - 4.0 <= 0.5


def silent(sim: Simulation, begins: float, ends: float, answer: bool = True) -> bool:
    """Probe a thing that gives no answer from ``begins`` until ``ends``, and ``answer`` afterwards."""
    if begins <= sim.clock.monotonic() < ends:
        raise Unreachable("EC2 is busy", hint="run the same command again")
    return answer and sim.clock.monotonic() >= ends


def test_a_look_without_an_answer_is_polled_over() -> None:
    sim = Simulation()
    sim.world.wait("it", lambda: silent(sim, 0, 30), 60)
    assert 30 <= sim.clock.monotonic() <= 33


def test_a_wait_that_ends_in_silence_names_it_and_is_safe_to_repeat() -> None:
    sim = Simulation()
    with pytest.raises(Unreachable, match=r"it: not so after .* the last look had no answer: EC2 is busy") as caught:
        sim.world.wait("it", lambda: silent(sim, 5, 1000), 60)
    assert caught.value.hint == "run the same command again"
    assert 60 <= sim.clock.monotonic() <= 65


def test_a_wait_that_hears_at_the_end_that_it_is_not_so_has_failed() -> None:
    sim = Simulation()
    with pytest.raises(Failed, match="not so after"):
        sim.world.wait("it", lambda: silent(sim, 5, 50, answer=False), 60)


def test_a_dead_machine_is_not_waited_for_for_hours() -> None:
    sim = Simulation()
    with pytest.raises(Unreachable):
        sim.world.wait("geth in sync", lambda: silent(sim, 1000, 1e9), 24 * 3600)
    assert sim.clock.monotonic() + 5 >= 1000 + SILENCE
    assert sim.clock.monotonic() <= 1000 + SILENCE + 10


def test_silence_that_ends_in_time_is_forgotten_however_often_it_comes() -> None:
    sim = Simulation()

    def flapping() -> bool:
        if int(sim.clock.monotonic()) % 90 < 60:
            raise Unreachable("no answer")
        return sim.clock.monotonic() > 600

    sim.world.wait("it", flapping, 1000)


@pytest.mark.parametrize(("waited", "seconds"), [(0, 0.5), (9.9, 0.5), (10, 1.0), (30, 3.0), (50, 5.0), (1000, 5.0)])
def test_the_schedule(waited: float, seconds: float) -> None:
    assert pause(waited) == seconds


def test_a_command_line_is_quoted_part_by_part() -> None:
    assert command_line(["touch", "a b", "$(reboot)"]) == "touch 'a b' '$(reboot)'"
