"""What the benchmark says in the end, to people, to programs and by its exit code."""

from __future__ import annotations

import json

import pytest

from benchmarks.calls import Calls
from benchmarks.downtime import DEFINITION
from benchmarks.losses import Loss
from benchmarks.migrate import TOO_SLOW, parse, verdict
from benchmarks.results import OURS, THEIRS, Results, Turn, render, with_bounds
from lab.rehearsal.bound import RULE, Bound
from lab.rehearsal.report import Program


def turn(number: int, downtime: float | None, who: str = OURS, *problems: str) -> Turn:
    """Return a turn; ours have a bound of 10 s."""
    bound = Bound(10.0, ("geth/stop",)) if who == OURS else None
    losses = (Loss("geth/check", 0.1, 1.5, 0.0),) if who == OURS else ()
    calls = Calls(ec2=30 + number, re_reads=number)
    return Turn(number, who, "a", "b", 20.0, downtime, calls, bound=bound, losses=losses, problems=tuple(problems))


def results(*turns: Turn) -> Results:
    return Results(
        environment="bench",
        started="2026-01-31T16:00:00+00:00",
        profile="ec2",
        latencies={"detach": 2.0, "attach": 2.0, "stop": 0.0},
        processors=2,
        load=0.1,
        programs=(Program("geth", True, "1.8.27"),),
        compared="./by-hand",
        turns=with_bounds(turns),
    )


def test_the_median_ratio_is_that_of_the_turns_not_of_the_medians() -> None:
    medians = results(turn(1, 11.0), turn(2, 30.0), turn(3, 12.0)).medians(OURS)
    assert medians.ratio == pytest.approx(1.2)
    assert (medians.downtime, medians.turns) == (12.0, 3)
    assert (medians.ec2, medians.re_reads) == (32, 2)


def test_another_command_is_held_against_the_bound_of_our_move_in_the_same_round() -> None:
    found = results(turn(1, 11.0), turn(1, 60.0, THEIRS))
    assert [each.ratio for each in found.turns] == [pytest.approx(1.1), pytest.approx(6.0)]


def test_a_turn_that_left_no_healthy_node_is_shown_with_its_reason_and_not_averaged() -> None:
    found = results(turn(1, 11.0), turn(1, 60.0, THEIRS), turn(2, 12.0), turn(2, 5.0, THEIRS, "the key is gone"))
    assert found.medians(THEIRS).downtime == 60.0
    text = render(found)
    assert "the key is gone" in text
    assert "median of 1 of 2" in text


def test_the_text_states_the_rules_and_what_it_was_measured_on() -> None:
    text = render(results(turn(1, 11.0)))
    for told in (RULE, DEFINITION, "latency profile ec2 (seconds: detach 2, attach 2)", "stand-in", "geth/check"):
        assert told in text


def test_the_json_holds_turns_medians_and_rules() -> None:
    data = json.loads(json.dumps(results(turn(1, 11.0), turn(1, None, THEIRS, "broken")).describe()))
    assert data["rule"] == RULE
    assert data["medians"]["ours"]["ratio"] == pytest.approx(1.1)
    assert data["medians"]["theirs"]["downtime"] is None
    assert data["turns"][0]["losses"][0]["lost"] == pytest.approx(1.6)
    assert data["turns"][1]["problems"] == ["broken"]


def test_the_exit_code_tells_too_slow_from_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    good, slow = results(turn(1, 11.0)), results(turn(1, 11.6))
    assert (verdict(good, 1.15), verdict(slow, 1.15), verdict(slow, None)) == (0, TOO_SLOW, 0)
    assert "1.16" in capsys.readouterr().err
    assert verdict(results(turn(1, None, OURS, "broken")), None) == 4
    assert verdict(results(turn(1, 11.0), turn(1, None, THEIRS, "broken")), 1.15) == 0


def test_at_least_one_run_is_wanted() -> None:
    assert parse([]).runs == 5
    with pytest.raises(SystemExit):
        parse(["--runs", "0"])
