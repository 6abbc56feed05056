from __future__ import annotations

from pathlib import Path

import pytest

from lab.matrix.results import Result, append, read, totals
from tests.unit.lab.matrix.made_up import result


def test_a_cell_passes_when_it_ends_healthy_after_at_most_one_more_run() -> None:
    assert result().passed
    assert result().verdict == "ok, run again"
    assert result(reruns=0).verdict == "ok"


@pytest.mark.parametrize(
    ("wrong", "verdict"),
    [
        (result(reruns=2), "2 more runs"),
        (result(healthy=False), "not healthy"),
        (result(lost=("missing: 7",)), "records lost"),
        (result(writers=("both",)), "two writers"),
        (result(hit=False), "missed"),
    ],
)
def test_a_cell_fails_with_its_reason(wrong: Result, verdict: str) -> None:
    assert not wrong.passed
    assert wrong.verdict == verdict


def test_results_are_kept_and_the_last_of_a_cell_counts(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "results.jsonl"
    append(file, result(reruns=2))
    append(file, result("geth/stop:slow_stop"))
    append(file, result())
    assert read(file) == (result(), result("geth/stop:slow_stop"))
    assert read(tmp_path / "none.jsonl") == ()


def test_totals_count_what_must_be_nought() -> None:
    sums = totals([result(), result("a:b", reruns=0, seconds=40.0), result("c:d", reruns=2, writers=("x", "y"))])
    assert (sums["cells"], sums["passed"], sums["moments_with_two_writers"]) == (3, 2, 2)
    assert (sums["healthy_without_another_run"], sums["healthy_after_one_more_run"]) == (1, 1)
    assert sums["not_healthy_after_one_more_run"] == 1
    assert sums["longest_seconds"] == 40.0
