"""States turn red only after their time, green again only after theirs, and never flap."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from watch.hysteresis import Patience, Track, advance, begin
from watch.model import ALARM, OK, UNKNOWN, WARN

PATIENCE = Patience(warn=60, alarm=120, unknown=300, clear=60)
LEVELS = st.sampled_from([OK, UNKNOWN, WARN, ALARM])
LOOKS = st.lists(st.tuples(st.floats(1, 100), LEVELS), min_size=1, max_size=60)


def after(*looks: tuple[float, int], patience: Patience = PATIENCE) -> Track:
    """Return the track after looks, each at a time."""
    track = begin(0)
    for now, level in looks:
        track = advance(track, level, now, patience)
    return track


def test_nothing_is_known_until_the_first_reading_and_a_good_one_counts_at_once() -> None:
    assert begin(0).shown == UNKNOWN
    assert after((5, OK)) == Track(OK, 5)


def test_a_bad_reading_is_shown_once_it_has_lasted_and_not_a_second_earlier() -> None:
    assert after((0, OK), (10, WARN), (69, WARN)).shown == OK
    found = after((0, OK), (10, WARN), (70, WARN))
    assert (found.shown, found.since) == (WARN, 70)


def test_an_alarm_takes_its_own_time_and_shows_warn_meanwhile() -> None:
    assert after((0, OK), (10, ALARM), (70, ALARM)).shown == WARN
    assert after((0, OK), (10, ALARM), (70, ALARM), (130, ALARM)).shown == ALARM


def test_one_good_reading_begins_the_count_anew() -> None:
    assert after((0, OK), (10, WARN), (50, OK), (60, WARN), (110, WARN)).shown == OK


def test_a_missing_reading_neither_turns_red_nor_ends_the_count() -> None:
    assert after((0, OK), (10, WARN), (100, UNKNOWN)).shown == OK
    assert after((0, OK), (10, WARN), (50, UNKNOWN), (70, WARN)).shown == WARN


def test_what_was_red_stays_red_while_nothing_is_known() -> None:
    assert after((0, OK), (1, ALARM), (200, ALARM), (900, UNKNOWN), (2000, UNKNOWN)).shown == ALARM


def test_what_was_green_is_unknown_after_long_silence() -> None:
    assert after((0, OK), (10, UNKNOWN), (309, UNKNOWN)).shown == OK
    assert after((0, OK), (10, UNKNOWN), (310, UNKNOWN)).shown == UNKNOWN


def test_green_again_takes_its_time() -> None:
    red = ((0, OK), (1, ALARM), (200, ALARM))
    assert after(*red, (210, OK), (269, OK)).shown == ALARM
    assert after(*red, (210, OK), (230, ALARM), (270, OK)).shown == ALARM
    assert after(*red, (210, OK), (270, OK)).shown == OK


def test_a_threshold_of_no_time_is_shown_at_once() -> None:
    assert after((0, OK), (1, ALARM), patience=Patience(0, 0, 300, 60)).shown == ALARM


def timeline(looks: list[tuple[float, int]]) -> list[tuple[float, int, int]]:
    """Return time, reading and what is shown, look by look."""
    track, now, found = begin(0), 0.0, []
    for pause, level in looks:
        now += pause
        track = advance(track, level, now, PATIENCE)
        found.append((now, level, track.shown))
    return found


@settings(max_examples=60, deadline=None)
@given(LOOKS)
def test_red_is_only_ever_shown_after_readings_that_bad_for_that_long(looks: list[tuple[float, int]]) -> None:
    shown = UNKNOWN
    history: list[tuple[float, int]] = []
    for now, level, state in timeline(looks):
        history.append((now, level))
        if state > max(shown, UNKNOWN):
            wait = {WARN: PATIENCE.warn, ALARM: PATIENCE.alarm}[state]
            known = [(time, seen) for time, seen in history if seen != UNKNOWN]
            run = [time for index, (time, _) in enumerate(known) if all(s >= state for _, s in known[index:])]
            assert level >= state
            assert now - run[0] >= wait
        shown = state


@settings(max_examples=60, deadline=None)
@given(LOOKS)
def test_a_state_gets_better_only_after_better_readings_for_that_long(looks: list[tuple[float, int]]) -> None:
    shown = UNKNOWN
    history: list[tuple[float, int]] = []
    for now, level, state in timeline(looks):
        history.append((now, level))
        if shown in (WARN, ALARM) and state < shown:
            known = [(time, seen) for time, seen in history if seen != UNKNOWN]
            run = [time for index, (time, _) in enumerate(known) if all(s < shown for _, s in known[index:])]
            assert level != UNKNOWN
            assert now - run[0] >= PATIENCE.clear
        shown = state


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 29), st.sampled_from([OK, WARN, ALARM])), max_size=80))
def test_readings_that_go_to_and_fro_never_change_what_is_shown(pairs: list[tuple[float, int]]) -> None:
    looks = [look for pause, level in pairs for look in ((pause, level), (1.0, OK))]
    assert {state for _, _, state in timeline([(1.0, OK), *looks])} == {OK}


@settings(max_examples=60, deadline=None)
@given(LOOKS, st.sampled_from([OK, WARN, ALARM]))
def test_what_lasts_is_shown_in_the_end(looks: list[tuple[float, int]], level: int) -> None:
    steady = [(10.0, level)] * 40
    assert timeline([*looks, *steady])[-1][2] == level
