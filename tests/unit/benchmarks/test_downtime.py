"""When a node counts as down, whoever moved it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.downtime import PROGRAM, AccountWatch, Said, covered, node_down
from lab.rehearsal.watch import Downtime, Outage
from transcoder.errors import Failed

ACCOUNT = "0xAbc0000000000000000000000000000000000001"
STRANGER = "0x0000000000000000000000000000000000000002"
NEVER = (Said(0.0, ""),)


def seen(*spans: tuple[float, float]) -> Downtime:
    """Return what the outside saw: no good answer in these spans."""
    return Downtime(tuple(Outage(began, ended, ("refused",)) for began, ended in spans), asked=100, good=50)


def test_a_node_is_up_when_the_port_answers_and_livepeer_has_its_account() -> None:
    down = node_down(seen((10.0, 30.0)), (*NEVER, Said(29.0, ACCOUNT.lower())), ACCOUNT)
    assert (down.began, down.ended, down.seconds) == (10.0, 30.0, 20.0)


def test_an_open_port_does_not_count_before_livepeer_has_unlocked_its_account() -> None:
    assert node_down(seen((10.0, 30.0)), (*NEVER, Said(34.0, ACCOUNT)), ACCOUNT).seconds == 24.0


def test_the_account_in_quotes_is_the_same_account() -> None:
    assert node_down(seen((10.0, 30.0)), (Said(31.0, f'"{ACCOUNT}"'),), ACCOUNT).ended == 31.0


def test_a_second_outage_after_the_move_is_added() -> None:
    assert node_down(seen((10.0, 30.0), (40.0, 43.0)), (Said(29.0, ACCOUNT),), ACCOUNT).seconds == 23.0


def test_an_outage_while_livepeer_was_not_healthy_yet_is_not_counted_twice() -> None:
    assert node_down(seen((10.0, 30.0), (31.0, 33.0)), (Said(35.0, ACCOUNT),), ACCOUNT).seconds == 25.0


def test_a_stranger_with_another_key_is_not_the_node() -> None:
    with pytest.raises(Failed, match=STRANGER):
        node_down(seen((10.0, 30.0)), (*NEVER, Said(20.0, STRANGER)), ACCOUNT)


def test_a_node_that_was_never_away_has_not_moved() -> None:
    with pytest.raises(Failed, match="cannot have moved"):
        node_down(seen(), (Said(0.0, ACCOUNT),), ACCOUNT)


def test_seconds_in_several_spans_count_once() -> None:
    assert covered([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5)]) == 4.0
    assert covered([]) == 0.0


def test_the_machine_says_when_livepeer_does_not_answer_and_stops_when_nobody_listens_any_more() -> None:
    pipe = subprocess.PIPE
    command = (sys.executable, "-u", "-c", PROGRAM.replace("8935", "9"))  # nobody listens at the discard port
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return started[0]

    with AccountWatch(start) as watch:
        assert [said.account for said in watch.said] == [""]
        with pytest.raises(Failed, match="does not answer"):
            watch.wait_for(ACCOUNT, 0.01)
    assert started[0].returncode == 0
    assert started[0].stdout is not None
    started[0].stdout.close()
