"""Detach and terminate: the node stops in order, the machine goes, the data stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import blank
from tests.simulated.world import ENVIRONMENT, NODE, Console, Simulation, perform
from transcoder import operate, tags
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.layout import GETH, LIVEPEER, VOLUMES
from transcoder.recipes import attach, detach

DEAD_PROCESS = 2**22 + 1


def off(**more: object) -> operate.Operation:
    return detach.operation(detach.Request(NODE, **more))  # type: ignore[arg-type] # a table of options


def test_the_node_stops_and_its_volumes_are_free_with_all_their_data() -> None:
    sim = Simulation()
    sim.node()
    perform(off(), sim)
    assert [sim.of(data).state for data in VOLUMES] == ["available", "available"]
    assert sim.watcher.writers == {}
    assert sim.machine(NODE).held == set()
    sim.assert_nothing_lost()
    assert len(sim.disk(LIVEPEER).records()) > 0


def test_nothing_is_detached_while_it_is_mounted() -> None:
    sim = Simulation()
    sim.node()
    _, console = perform(off(), sim)
    order = [event.step.key for event in console.events if event.outcome is not None]
    for data in VOLUMES:
        ends = [order.index(f"{data.role}/{verb}") for verb in ("stop", "unmount", "detach")]
        assert ends == sorted(ends)


def test_somebody_who_looks_into_a_volume_for_a_moment_does_not_stop_the_unmount() -> None:
    sim = Simulation()
    sim.node()
    sim.machine(NODE).faults.in_use = {LIVEPEER.mount: 3}
    perform(off(), sim)
    assert sim.of(LIVEPEER).state == "available"


def test_a_volume_that_stays_in_use_stays_attached_and_the_way_to_find_out_is_told() -> None:
    sim = Simulation()
    sim.node()
    sim.machine(NODE).faults.in_use = {LIVEPEER.mount: 1000}
    with pytest.raises(Failed, match="somebody has it open") as caught:
        perform(off(), sim)
    assert "fuser -vm /d1" in caught.value.hint
    assert sim.of(LIVEPEER).state == "in-use"
    sim.machine(NODE).faults.in_use = {}
    perform(off(), sim)
    assert sim.of(LIVEPEER).state == "available"


def test_the_plan_that_is_printed_has_the_release_that_is_run() -> None:
    sim = Simulation()
    sim.node()
    outcome, console = perform(off(), sim)
    assert len(outcome.results) == 1
    assert len(console.shown) == 1
    assert outcome.plan.pending[-1].verb == "release"


def test_detaching_twice_has_nothing_to_do() -> None:
    sim = Simulation()
    sim.node()
    perform(off(), sim)
    outcome, _ = perform(off(), sim)
    assert outcome.nothing_to_do


def test_detached_and_attached_again_the_node_is_as_before() -> None:
    sim = Simulation()
    sim.node()
    perform(off(), sim)
    perform(attach.operation(attach.Request(NODE)), sim)
    sim.assert_served_by(NODE)
    sim.assert_nothing_lost()


def test_terminate_keeps_the_volumes_and_ends_the_machine() -> None:
    sim = Simulation()
    sim.node()
    perform(off(terminate=True), sim)
    assert sim.cloud.machines == {}
    assert [sim.of(data).state for data in VOLUMES] == ["available", "available"]
    sim.assert_nothing_lost()


def test_terminate_twice_has_nothing_to_do() -> None:
    sim = Simulation()
    sim.node()
    perform(off(terminate=True), sim)
    outcome, _ = perform(off(terminate=True), sim)
    assert outcome.nothing_to_do


def test_a_machine_that_carries_another_nodes_volume_is_not_terminated_and_the_error_is_no_refusal() -> None:
    """The node's own volumes have left by then: `Refused` would say that nothing was done."""
    sim = Simulation()
    machine = sim.node()
    others = {tags.ENVIRONMENT: ENVIRONMENT, tags.ROLE: "livepeer", tags.NODE: "tc009"}
    sim.plug(sim.volume(blank(), more=others), machine, "/dev/sdp")
    with pytest.raises(Failed, match="data volumes are still attached") as caught:
        perform(off(terminate=True), sim)
    assert any("detach" in done for done in caught.value.done)
    assert machine.id in sim.cloud.machines


def test_a_spare_machine_is_terminated_by_its_name_and_the_node_is_left_alone() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    before = sim.watcher.writers
    perform(off(instance="tc001-b", terminate=True), sim)
    assert [i.name for i in sim.cloud.machines.values()] == [NODE]
    assert sim.watcher.writers == before


def test_a_machine_that_does_not_answer_is_not_detached_blindly() -> None:
    sim = Simulation()
    sim.node()
    sim.machine(NODE).faults.unreachable = True
    with pytest.raises(Unreachable):
        perform(off(), sim)
    assert sim.cloud.mutations == []


def test_a_stopped_machine_lets_its_volumes_go() -> None:
    sim = Simulation()
    machine = sim.node()
    sim.cloud.set_state(machine.id, "stopped")
    sim.clock.sleep(1.0)
    perform(off(), sim)
    assert sim.of(GETH).attachment is None


def test_a_machine_on_its_way_down_is_refused() -> None:
    sim = Simulation()
    machine = sim.node()
    sim.cloud.set_state(machine.id, "stopping")
    with pytest.raises(Refused, match="is stopping"):
        perform(off(), sim)


def test_a_dry_run_stops_nothing() -> None:
    sim = Simulation()
    sim.node()
    before = sim.everything()
    outcome = operate.preview(off(terminate=True), sim.world, Console())
    assert outcome.plan.pending[-1].verb == "terminate"
    assert sim.everything() == before
    assert (sim.cloud.mutations, sim.hosts.mutations) == ([], [])


def _changes() -> int:
    sim = Simulation()
    sim.node()
    counter = Cut(-1, after=False)
    operate.operate(off(), counter.world(sim), Console())
    return counter.changes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(_changes()))
def test_broken_off_at_any_change_it_is_finished_by_the_same_command(at: int, after: bool) -> None:
    sim = Simulation()
    sim.node()
    with pytest.raises(ProcessDied):
        operate.operate(off(), Cut(at, after=after).world(sim), Console())
    sim.cloud.locks = {node: replace(lock, pid=DEAD_PROCESS) for node, lock in sim.cloud.locks.items()}
    perform(off(), sim)
    assert [sim.of(data).state for data in VOLUMES] == ["available", "available"]
    assert sim.machine(NODE).held == set()
    sim.assert_nothing_lost()
