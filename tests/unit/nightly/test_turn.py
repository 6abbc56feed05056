"""The node restarts itself: geth, in sync, livepeer, healthy; and each thing that leaves livepeer as it is."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from nightly.main import guarded, main
from nightly.model import Night

from tests.unit.nightly.conftest import GETH, LIVEPEER, Node, no_answer
from tests.unit.watch.machine import ADDRESS

OTHER = "0x" + "11" * 20


def test_geth_comes_first_and_livepeer_when_it_is_in_sync(node: Node) -> None:
    assert node.turn() == 0

    assert node.restarts == [GETH, LIVEPEER]
    kept = [line for line in node.said if "restarting" in line or "in sync" in line or "answers as" in line]
    assert kept == [f"restarting {GETH}", "geth is in sync", f"restarting {LIVEPEER}", f"livepeer answers as {ADDRESS}"]


def test_in_sync_takes_a_block_that_came_after_the_restart(node: Node) -> None:
    node.after[GETH] = lambda: setattr(node, "blocks_come", False)
    node.events[100.0] = lambda: setattr(node, "blocks_come", True)

    assert node.turn() == 0
    assert 100 <= node.slept < 150


def test_a_geth_that_never_gets_in_sync_leaves_livepeer_alone_and_ends_with_4(node: Node) -> None:
    node.after[GETH] = node.stall

    assert node.turn() == 4

    assert node.restarts == [GETH]
    assert node.started[LIVEPEER] < node.started[GETH]
    assert "geth is not in sync after 10 min" in node.last
    assert "old, wanted at most 5 min; block" in node.last
    assert "livepeer is left as it is" in node.last
    assert "docs/runbooks/geth-advancing.md" in node.last


def test_a_geth_that_syncs_by_its_own_word_but_has_no_peers_is_not_in_sync(node: Node) -> None:
    node.after[GETH] = lambda: node.rig.answers.results.__setitem__("net_peerCount", "0x0")

    assert (node.turn(), node.restarts) == (4, [GETH])
    assert "0 peers, at least 1 wanted" in node.last


def test_a_stalled_geth_is_cured_though_the_reward_is_pending_since_nobody_could_call_it(node: Node) -> None:
    node.reward(99)
    node.stall()
    node.after[GETH] = node.recover
    node.events[20.0] = lambda: node.reward(100)

    assert (node.turn(), node.restarts) == (0, [GETH, LIVEPEER])
    assert "geth has lost the chain" in node.said[0]


def test_a_geth_that_does_not_answer_is_restarted(node: Node) -> None:
    answers = node.rig.answers.results
    peers = answers.pop("net_peerCount")
    node.active[GETH] = "failed"
    node.after[GETH] = lambda: answers.__setitem__("net_peerCount", peers)

    assert (node.turn(), node.restarts) == (0, [GETH, LIVEPEER])


def test_it_waits_for_the_reward_before_anything_is_stopped(node: Node) -> None:
    node.reward(99)
    node.events[600.0] = lambda: node.reward(100)

    assert (node.turn(), node.restarts) == (0, [GETH, LIVEPEER])
    assert node.started[GETH] >= 1000.0 + 600
    assert node.said[0] == "the reward of round 100 is still to be called: waiting up to 1 h"


def test_the_night_is_skipped_when_the_reward_does_not_come(node: Node) -> None:
    node.reward(99)

    assert (node.turn(), node.restarts) == (3, [])
    assert node.last.startswith("refused: the reward of round 100 is still to be called after 1 h")
    assert "fab reward" in node.last


def test_a_round_that_begins_while_geth_restarts_keeps_livepeer_running(node: Node) -> None:
    node.after[GETH] = lambda: node.reward(99)

    assert (node.turn(), node.restarts) == (3, [GETH])
    assert "livepeer is left as it is" in node.last


def test_it_waits_for_the_end_of_the_sessions(node: Node) -> None:
    node.sessions(2)
    node.events[300.0] = lambda: node.sessions(0)

    assert (node.turn(), node.restarts) == (0, [GETH, LIVEPEER])
    assert node.started[LIVEPEER] >= 1000.0 + 300
    assert not any("cut" in line for line in node.said)


def test_sessions_that_do_not_end_are_cut_after_the_budget_and_that_is_told(node: Node) -> None:
    node.sessions(2)

    assert node.turn() == 0
    assert "2 session(s) had not ended: they are cut" in node.said
    assert 600 <= node.started[LIVEPEER] - node.started[GETH] < 700


def test_what_was_started_lately_is_left_alone(node: Node) -> None:
    node.started[GETH] = node.started[LIVEPEER] = 990.0

    assert (node.turn(), node.restarts) == (0, [])
    assert node.said[0] == f"{GETH} was started 10 s ago: left alone"


def test_a_geth_that_has_stalled_is_restarted_however_young_it_is(node: Node) -> None:
    node.started[GETH] = node.started[LIVEPEER] = 990.0
    node.stall()
    node.after[GETH] = node.recover

    assert (node.turn(), node.restarts) == (0, [GETH, LIVEPEER])


def test_livepeer_is_not_stopped_beside_a_young_geth_that_stands_still(node: Node) -> None:
    node.started[GETH] = 990.0
    node.blocks_come = False

    assert (node.turn(), node.restarts) == (4, [])
    assert "livepeer is left as it is" in node.last


def test_a_second_night_restarts_what_the_first_has_not(node: Node) -> None:
    node.after[GETH] = node.stall
    assert (node.turn(), node.restarts) == (4, [GETH])
    node.rig.machine.write("/proc/uptime", f"{1000 + node.slept - 550:.2f} 900.00\n")
    node.recover()

    assert (node.turn(), node.restarts) == (0, [GETH, LIVEPEER])


@pytest.mark.parametrize("unit", [GETH, LIVEPEER, "d1.mount", "d2.mount"])
def test_a_node_that_is_being_moved_is_left_to_the_move(node: Node, unit: str) -> None:
    node.hold(unit)

    assert (node.turn(), node.restarts) == (3, [])
    assert f"{unit} is held" in node.last


def test_a_move_that_begins_while_geth_restarts_gets_livepeer_as_it_is(node: Node) -> None:
    node.after[GETH] = lambda: node.hold(LIVEPEER)

    assert (node.turn(), node.restarts) == (3, [GETH])
    assert node.active[LIVEPEER] == "active"


def test_a_machine_without_volumes_has_nothing_to_restart_and_that_is_no_failure_of_the_unit(node: Node) -> None:
    for unit in ("d1.mount", "d2.mount", GETH, LIVEPEER):
        node.active[unit] = "inactive"

    assert (node.turn(), node.restarts) == (3, [])
    assert "/d1 is not mounted" in node.last
    assert "/d2 is not mounted" in node.last


def test_a_volume_without_a_key_has_no_livepeer_to_restart(node: Node) -> None:
    node.rig.machine.account("")

    assert (node.turn(), node.restarts) == (3, [])
    assert "names no address yet" in node.last


def test_a_geth_that_does_not_start_again_is_told_with_what_to_type(node: Node) -> None:
    node.after[GETH] = lambda: no_answer("systemctl ends with 1: Job for geth.service failed")

    assert (node.turn(), node.restarts) == (4, [GETH])
    assert "Job for geth.service failed" in node.last
    assert "to type: journalctl --unit geth.service" in node.last


def test_a_unit_that_is_held_in_the_last_moment_is_not_taken_for_restarted(node: Node) -> None:
    node.after[LIVEPEER] = lambda: node.active.__setitem__(LIVEPEER, "inactive")

    assert node.turn() == 4
    assert f"{LIVEPEER} is inactive after its restart" in node.last


def test_a_livepeer_with_another_account_fails_the_night(node: Node) -> None:
    node.after[LIVEPEER] = lambda: node.rig.answers.page(node.rig.machine.config["livepeer"]["address"], OTHER)

    assert node.turn() == 4
    assert f"livepeer runs as {OTHER}, not as {ADDRESS}" in node.last


def test_a_livepeer_that_does_not_answer_fails_the_night_after_its_budget(node: Node) -> None:
    node.after[LIVEPEER] = lambda: node.rig.answers.page(node.rig.machine.config["livepeer"]["address"], "")

    assert node.turn() == 4
    assert f"livepeer does not answer as {ADDRESS} after 2 min" in node.last


def test_a_node_without_geth_restarts_its_livepeer(without_geth: Node) -> None:
    assert (without_geth.turn(), without_geth.restarts) == (0, [LIVEPEER])


def test_a_dry_run_stops_nothing(node: Node) -> None:
    assert (node.turn(dry_run=True), node.restarts) == (0, [])
    assert node.said == [f"would restart {GETH}, {LIVEPEER}", "done"]


def test_a_systemd_that_does_not_answer_is_a_failure_and_no_traceback(node: Node) -> None:
    silent = node.rig.machine.node._replace(run=lambda _: "")

    assert guarded(Night(silent, lambda: 0.0, node.sleep, node.control, node.said.append), dry_run=False) == 4
    assert "systemctl says nothing of" in node.last


def test_two_turns_at_once_are_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "watch.json"
    config.write_text("{}")
    with config.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert main(["--config", str(config)]) == 3
    assert "another nightly restart is under way" in capsys.readouterr().out
