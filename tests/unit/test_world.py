"""Waiting: soon at first, then with more patience, never beyond the budget; and the simulated clock itself."""

from __future__ import annotations

import pytest

from tests.simulated.world import Simulation
from transcoder.errors import Failed
from transcoder.world import command_line, pause


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


@pytest.mark.parametrize(("waited", "seconds"), [(0, 0.5), (9.9, 0.5), (10, 1.0), (30, 3.0), (50, 5.0), (1000, 5.0)])
def test_the_schedule(waited: float, seconds: float) -> None:
    assert pause(waited) == seconds


def test_a_command_line_is_quoted_part_by_part() -> None:
    assert command_line(["touch", "a b", "$(reboot)"]) == "touch 'a b' '$(reboot)'"
