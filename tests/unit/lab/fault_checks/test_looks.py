"""When a check turned red, by what the watch said look by look."""

from __future__ import annotations

import json

import pytest

from lab.fault_checks.looks import Look, State, is_green, parse, strangers, turned


def looks(*states: str, check: str = "geth-head") -> list[Look]:
    """Return looks a second apart: each ``SHOWN`` or ``SHOWN/NOW``."""
    found = []
    for second, text in enumerate(states):
        shown, _, now = text.partition("/")
        found.append(Look(100.0 + second, float(second), {check: State(shown, now or shown, f"at {second}")}))
    return found


def test_the_wait_is_counted_from_the_last_better_look() -> None:
    found = turned(looks("ok", "ok", "ok/alarm", "ok/alarm", "ok/alarm", "alarm"), "geth-head", "alarm")
    assert found is not None
    assert (found.at, found.patience, found.message) == (105.0, 4.0, "at 5")


def test_a_better_look_in_between_begins_the_count_anew() -> None:
    found = turned(looks("ok", "ok/alarm", "ok/alarm", "ok", "ok/alarm", "alarm"), "geth-head", "alarm")
    assert found is not None
    assert found.patience == 2.0


def test_a_warning_is_better_than_an_alarm_and_no_answer_is_not_better() -> None:
    found = turned(
        looks("ok", "ok/warn", "warn", "warn/alarm", "warn/unknown", "warn/alarm", "alarm"), "geth-head", "alarm"
    )
    assert found is not None
    assert found.patience == 4.0, "from the second 2 on, where it was a warning"


def test_what_is_red_at_once_has_waited_for_no_longer_than_a_look() -> None:
    found = turned(looks("ok", "alarm"), "geth-head", "alarm")
    assert found is not None
    assert found.patience == 1.0


def test_an_alarm_is_a_warning_too_and_a_warning_no_alarm() -> None:
    assert turned(looks("ok", "alarm"), "geth-head", "warn") is not None
    assert turned(looks("ok", "warn"), "geth-head", "alarm") is None
    assert turned(looks("ok", "unknown"), "geth-head", "warn") is None
    assert turned(looks("ok", "alarm"), "geth-peers", "alarm") is None


def test_what_is_red_without_being_expected_is_told_in_its_own_words() -> None:
    seen = looks("ok", "warn", "ok") + looks("alarm", check="clock")
    assert strangers(seen, lambda check: check == "clock") == ("geth-head: at 1",)
    assert strangers(seen, lambda _: True) == ()


@pytest.mark.parametrize(("state", "green"), [("ok", True), ("unknown", False), ("warn", False), ("alarm", False)])
def test_green_is_when_nothing_is_red_and_what_was_wanted_is_ok(state: str, green: bool) -> None:
    look = looks(state)[0]
    assert is_green(look, ["geth-head"]) is green
    assert is_green(look, []) is (state in ("ok", "unknown")), "what nobody knows is not red"


def test_a_watch_that_does_not_answer_is_not_green() -> None:
    assert not is_green(Look(0.0, 0.0, {}), [])


def test_a_line_of_the_sampler_is_read() -> None:
    line = json.dumps({"at": 12.5, "checks": {"unit/geth": ["ok", "alarm", "geth.service is failed"]}})
    look = parse(line, 1.0)
    assert (look.at, look.node) == (1.0, 12.5)
    assert look.checks == {"unit/geth": State("ok", "alarm", "geth.service is failed")}
    assert look.red == frozenset()
