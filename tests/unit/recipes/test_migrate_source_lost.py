"""A source that does not answer: it is stopped through EC2 before anything of it is taken."""

from __future__ import annotations

import pytest

from tests.simulated.world import NODE, Simulation, perform
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.layout import LIVEPEER
from transcoder.operate import Outcome
from transcoder.recipes import migrate


def lost(*, cut_off: bool) -> Simulation:
    """A node whose machine has no power any more, or (``cut_off``) runs on where nobody reaches it."""
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    faults = sim.machine(NODE).faults
    faults.unreachable, faults.powered_off = cut_off, not cut_off
    sim.clock.sleep(3.0)
    sim.forget()
    return sim


def go(sim: Simulation, **options: object) -> Outcome:
    request = migrate.Request(NODE, "tc001-b", **options)  # type: ignore[arg-type]
    outcome, _ = perform(migrate.operation(request), sim)
    sim.clock.sleep(5.0)
    return outcome


@pytest.mark.parametrize("cut_off", [True, False], ids=["cut off", "without power"])
def test_without_the_option_it_is_refused_and_the_option_is_named(cut_off: bool) -> None:
    sim = lost(cut_off=cut_off)
    with pytest.raises(Refused, match="--source-lost"):
        go(sim)
    assert sim.cloud.mutations == []


@pytest.mark.parametrize("cut_off", [True, False], ids=["cut off", "without power"])
def test_the_node_comes_back_with_every_record_that_was_synced(cut_off: bool) -> None:
    sim = lost(cut_off=cut_off)
    go(sim, source_lost=True)
    sim.assert_served_by("tc001-b")
    sim.assert_nothing_lost()
    names = [call.name for call in sim.cloud.mutations]
    assert names.index("stop") < names.index("detach")


def test_what_the_file_system_check_found_is_in_the_result() -> None:
    sim = lost(cut_off=False)
    outcome = go(sim, source_lost=True)
    remarks = {event.step.key: event.reason for result in outcome.results for event in result.events}
    assert "recovering journal" in remarks["livepeer/check"]
    assert ("e2fsck", "-p", "-f") in {command.argv[:3] for command in sim.hosts.commands}


def test_a_machine_that_does_not_stop_is_stopped_by_force_after_its_budget() -> None:
    sim = lost(cut_off=True)
    source = sim.machine(NODE).instance_id
    sim.cloud.faults.hanging.add(source)
    outcome = go(sim, source_lost=True)
    remarks = {event.step.verb: event.reason for result in outcome.results for event in result.events}
    assert "power was cut" in remarks["stop-instance"]
    assert [call.name for call in sim.cloud.mutations].count("stop") == 2
    sim.assert_served_by("tc001-b")
    sim.assert_nothing_lost()


def test_a_source_that_answers_is_not_lost() -> None:
    sim = lost(cut_off=True)
    sim.machine(NODE).faults.unreachable = False
    with pytest.raises(Refused, match="answers: leave --source-lost out"):
        go(sim, source_lost=True)
    assert sim.cloud.mutations == []


def test_the_lost_machine_does_not_run_the_node_when_it_is_started_again() -> None:
    sim = lost(cut_off=False)
    go(sim, source_lost=True)
    source = sim.machine(NODE)
    source.faults.powered_off = False
    sim.cloud.set_state(source.instance_id, "running")
    sim.clock.sleep(60.0)
    assert source.account == ""
    sim.assert_served_by("tc001-b")


def test_a_volume_that_ec2_does_not_let_go_of_is_forced_only_when_it_is_named() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    stuck = sim.of(LIVEPEER).id
    sim.cloud.faults.stuck_detaching.add(stuck)
    with pytest.raises(Failed, match=f"--force-detach {stuck}"):
        go(sim)
    assert "force_detach" not in {call.name for call in sim.cloud.mutations}
    go(sim, force_detach=(stuck,))
    assert [call.arguments[0] for call in sim.cloud.mutations if call.name == "force_detach"] == [stuck]
    sim.assert_served_by("tc001-b")
    sim.assert_nothing_lost()


def test_a_source_that_falls_silent_half_way_is_told_with_the_way_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    source = sim.machine(NODE)
    stop = source.stop

    def stop_and_die(unit: str) -> None:
        stop(unit)
        source.faults.powered_off = True

    monkeypatch.setattr(source, "stop", stop_and_die)
    with pytest.raises(Unreachable) as caught:
        go(sim)
    assert "the same command with --source-lost" in caught.value.hint
    go(sim, source_lost=True)
    sim.assert_served_by("tc001-b")
    sim.assert_nothing_lost()
