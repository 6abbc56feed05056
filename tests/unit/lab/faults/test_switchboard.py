"""Who may switch faults, and how an error travels back to who asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import reconcile
from lab.cloud import Cloud
from lab.configuration import LabConfiguration
from lab.drivers.none import NoMachines
from lab.faults import client
from lab.faults.site import Operator
from lab.faults.switchboard import Switchboard, describe_error
from lab.hooks import Hooks
from transcoder.errors import Failed, NotReady, Refused, TranscoderError, Unreachable


@pytest.fixture
def board(tmp_path: Path) -> Switchboard:
    """Return the switchboard of a lab that has nothing in it."""
    cloud = Cloud(LabConfiguration(machines="none", state_root=tmp_path), NoMachines("none"))
    hooks = Hooks()
    reconciler = reconcile.install(cloud, hooks)
    hooks.undo()
    return Switchboard(cloud, reconciler)


def test_a_machine_of_the_lab_may_not_switch_faults(board: Switchboard) -> None:
    status, answer = board.answer("POST", "172.31.210.10", b'{"name": "api_throttle", "on": true}')
    assert status.startswith("403")
    assert "not for machines" in json.loads(answer)["error"]["message"]
    assert board.active() == []


def test_on_and_off_twice_is_as_good_as_once(board: Switchboard) -> None:
    nobody = Operator()
    board.on("api_throttle", {}, nobody)
    assert "already" in board.on("api_throttle", {"share": "1"}, nobody)
    assert len(board.active()) == 1
    board.off("api-throttle", {}, nobody)
    assert "already" in board.off("api_throttle", {}, nobody)
    assert board.active() == []


def test_off_without_a_subject_ends_all_of_that_name(board: Switchboard) -> None:
    for action in ("A", "B"):
        board.on("api_error", {"action": action}, Operator())
    board.off("api_error", {}, Operator())
    assert board.active() == []


@pytest.mark.parametrize(
    "error",
    [Refused("no", reasons=("a", "b"), hint="h"), Failed("broke", hint="h"), NotReady("later"), Unreachable("silent")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_daemon_is_the_same_error_for_who_asked(error: TranscoderError) -> None:
    back = client._error(json.dumps({"error": describe_error(error)}).encode())
    assert (back.exit_code, back.lines()) == (error.exit_code, error.lines())


def test_a_lab_that_is_too_old_to_know_faults_says_what_to_do() -> None:
    assert "invoke lab.down" in str(client._error(b"<html>"))
