"""The bound: the heaviest chain of waits in the plan's own order, nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from lab.rehearsal.bound import RULE, WAITS, compute_bound
from transcoder.errors import Failed


def planned(*steps: tuple[str, str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Return steps of a plan as its JSON has them: lane, verb, what they come after."""
    return [{"key": f"{lane}/{verb}", "lane": lane, "after": list(after)} for lane, verb, after in steps]


def result(**seconds: float) -> list[dict[str, Any]]:
    """Return results of steps that were done; ``lane__verb`` is ``lane/verb``."""
    return [
        {"key": name.replace("__", "/").replace("_", "-"), "outcome": "done", "seconds": taken}
        for name, taken in seconds.items()
    ]


TWO_LANES = planned(
    ("livepeer", "stop", ()),
    ("livepeer", "detach", ()),
    ("geth", "stop", ()),
    ("geth", "detach", ()),
    ("geth", "in-sync", ()),
    ("node", "start", ("livepeer/detach", "geth/in-sync")),
    ("node", "healthy", ()),
)


def test_the_longest_lane_and_what_waits_for_all_lanes_make_the_bound() -> None:
    took = result(
        livepeer__stop=1,
        livepeer__detach=2,
        geth__stop=4,
        geth__detach=2,
        geth__in_sync=3,
        node__start=1,
        node__healthy=2,
    )
    bound = compute_bound(TWO_LANES, took)
    assert bound.seconds == pytest.approx(4 + 2 + 3 + 1 + 2)
    assert bound.path == ("geth/stop", "geth/detach", "geth/in-sync", "node/start", "node/healthy")


def test_the_other_lane_counts_when_it_takes_longer() -> None:
    took = result(livepeer__stop=30, livepeer__detach=2, geth__stop=4, geth__detach=2, geth__in_sync=3, node__start=1)
    assert compute_bound(TWO_LANES, took).path == ("livepeer/stop", "livepeer/detach", "node/start")


def test_what_the_project_does_on_its_own_account_does_not_count() -> None:
    plan = planned(
        ("prepare", "hold", ()),
        ("livepeer", "stop", ("prepare/hold",)),
        ("livepeer", "check", ()),
        ("tags", "tag i-1", ("livepeer/check",)),
    )
    took = [*result(prepare__hold=5, livepeer__stop=1, livepeer__check=7)]
    took.append({"key": "tags/tag i-1", "outcome": "done", "seconds": 9})
    bound = compute_bound(plan, took)
    assert (bound.seconds, bound.path) == (1, ("livepeer/stop",))


def test_a_step_that_was_skipped_weighs_nothing() -> None:
    took = [*result(livepeer__stop=1), {"key": "geth/stop", "outcome": "skipped", "seconds": 50}]
    assert compute_bound(TWO_LANES, took).seconds == 1


def test_steps_of_one_lane_add_up_although_they_name_no_predecessor() -> None:
    plan = planned(("geth", "stop", ()), ("geth", "hold", ()), ("geth", "detach", ()))
    assert compute_bound(plan, result(geth__stop=1, geth__hold=1, geth__detach=1)).seconds == 2


def test_a_result_of_another_plan_is_refused() -> None:
    with pytest.raises(Failed, match="elsewhere/stop"):
        compute_bound(TWO_LANES, result(elsewhere__stop=1))


def test_nothing_done_bounds_nothing() -> None:
    assert compute_bound(TWO_LANES, []).seconds == 0


def test_the_report_says_which_steps_count() -> None:
    assert all(verb in RULE for verb in WAITS)
