"""Where the downtime went: along the chain that really held the node up, with nothing left over."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.losses import AFTER, follow
from lab.rehearsal.report import MigrationStep

PLAN: list[dict[str, Any]] = [
    {"key": "prepare/hold", "lane": "prepare", "after": []},
    {"key": "livepeer/stop", "lane": "livepeer", "after": ["prepare/hold"]},
    {"key": "livepeer/detach", "lane": "livepeer", "after": []},
    {"key": "geth/stop", "lane": "geth", "after": ["prepare/hold"]},
    {"key": "geth/check", "lane": "geth", "after": []},
    {"key": "node/healthy", "lane": "node", "after": ["livepeer/detach", "geth/check"]},
]


def step(key: str, began: float, seconds: float, weight: float = 0.0) -> MigrationStep:
    return MigrationStep(key, key.partition("/")[0], key, "done", began, seconds, weight, critical=False)


STEPS = (
    step("prepare/hold", 0.0, 1.0),
    step("livepeer/stop", 1.0, 1.0, 0.5),
    step("livepeer/detach", 2.0, 3.0, 2.0),
    step("geth/stop", 1.0, 6.0, 5.0),
    step("geth/check", 7.5, 1.5),
    step("node/healthy", 9.0, 2.0, 1.0),
)


def test_the_chain_goes_by_the_step_that_ended_last() -> None:
    found = follow(PLAN, STEPS, 1.25, 11.5)
    assert [loss.key for loss in found] == ["geth/stop", "geth/check", "node/healthy", AFTER]


def test_gaps_and_times_add_up_to_the_downtime() -> None:
    for until in (11.5, 11.0, 10.5):
        found = follow(PLAN, STEPS, 1.25, until)
        assert sum(loss.gap + loss.within for loss in found) == pytest.approx(until - 1.25)


def test_only_the_part_of_a_step_within_the_downtime_counts() -> None:
    found = {loss.key: loss for loss in follow(PLAN, STEPS, 1.25, 11.5)}
    assert (found["geth/stop"].within, found["geth/stop"].lost) == (5.75, 0.75)
    assert (found["geth/check"].gap, found["geth/check"].lost) == (0.5, 2.0)
    assert found["node/healthy"].lost == 1.0
    assert found[AFTER].lost == 0.5


def test_a_poll_that_noticed_late_costs_no_downtime() -> None:
    found = {loss.key: loss for loss in follow(PLAN, STEPS, 1.25, 10.5)}
    assert (found["node/healthy"].within, found[AFTER].gap) == (1.5, 0.0)
