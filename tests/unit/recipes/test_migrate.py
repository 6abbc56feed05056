"""Migration: the node arrives whole, whatever happens on the way, and nobody ever writes beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import ours, with_ext4
from tests.simulated.world import NODE, OTHER_ZONE, Console, Simulation, perform, settings
from transcoder import operate, tags
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.layout import GETH, LIVEPEER
from transcoder.recipes import migrate, status
from transcoder.step import Outcome

DEAD_PROCESS = 2**22 + 1
"""Beyond the kernel's largest process id."""


def to(target: str) -> operate.Operation:
    return migrate.operation(migrate.Request(NODE, target))


def targets(sim: Simulation) -> list[str]:
    return [instance.name for instance in sim.cloud.machines.values() if instance.name != NODE]


def assert_arrived(sim: Simulation, name: str) -> None:
    """The whole end state: served there, nothing lost, source retired and empty, status healthy, nothing left to do."""
    sim.clock.sleep(5.0)
    sim.assert_served_by(name)
    sim.assert_nothing_lost()
    source = next(i for i in sim.cloud.machines.values() if i.name == NODE)
    assert source.tags[tags.RETIRED] == NODE
    assert tags.NODE not in source.tags
    assert list(source.devices) == ["/dev/sda1"]
    assert [s.problems for s in status.observe(sim.world)] == [()]
    assert migrate.plan(migrate.observe(sim.world, migrate.Request(NODE, name))).empty


@pytest.mark.parametrize("nitro", [True, False], ids=["nitro", "xen"])
def test_the_node_goes_to_a_named_machine_with_volumes_services_and_address(nitro: bool) -> None:
    sim = Simulation(nitro=nitro)
    sim.node()
    sim.instance("tc001-b")
    written = len(sim.disk(LIVEPEER).records())
    perform(to("tc001-b"), sim)
    assert_arrived(sim, "tc001-b")
    assert len(sim.disk(LIVEPEER).records()) > written > 0


def test_to_the_same_name_twice_has_nothing_to_do_the_second_time() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    perform(to("tc001-b"), sim)
    before = sim.everything()
    outcome, console = perform(to("tc001-b"), sim)
    assert outcome.nothing_to_do
    assert outcome.plan.empty
    assert console.questions == []
    assert sim.cloud.state() == before[0]


def test_there_and_back_again() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    perform(to("tc001-b"), sim)
    perform(to(NODE), sim)
    sim.assert_served_by(NODE)
    sim.assert_nothing_lost()
    assert tags.RETIRED not in sim.cloud.machines[sim.machine(NODE).instance_id].tags


def test_to_new_launches_one_target_and_moves_the_node_there() -> None:
    sim = Simulation()
    sim.node()
    _, console = perform(to("new"), sim)
    (target,) = targets(sim)
    assert target.startswith(f"{NODE}-20")
    assert_arrived(sim, target)
    assert [call.name for call in sim.cloud.calls].count("launch") == 1
    assert len(console.questions) == 1


def test_a_dry_run_changes_nothing_and_makes_no_changing_call() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.forget()
    before = sim.everything()
    outcome = operate.preview(to("tc001-b"), sim.world, Console())
    assert not outcome.plan.empty
    assert sim.everything() == before
    assert sim.cloud.mutations == []
    assert sim.hosts.mutations == []


def _changes_of_a_whole_run() -> int:
    sim = Simulation()
    sim.node()
    counter = Cut(-1, after=False)
    operate.operate(to("new"), counter.world(sim), Console())
    return counter.changes


def _break_off(sim: Simulation, at: int, *, after: bool) -> None:
    """Run until the process dies, and leave its lock behind as a dead process does."""
    cut = Cut(at, after=after)
    with pytest.raises(ProcessDied):
        operate.operate(to("new"), cut.world(sim), Console())
    assert cut.dead
    for node, lock in sim.cloud.locks.items():
        sim.cloud.locks[node] = replace(lock, pid=DEAD_PROCESS)


CHANGES = _changes_of_a_whole_run()
LAST = {CHANGES - 1, CHANGES - 2}
"""The target's tag as a target is taken off, and the lock is freed: after that the migration is over."""


def test_a_whole_run_has_the_changes_that_the_broken_ones_are_cut_at() -> None:
    assert CHANGES > 30


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(CHANGES))
def test_broken_off_at_any_change_and_run_again_it_ends_at_the_same_target(at: int, after: bool) -> None:
    sim = Simulation()
    sim.node()
    _break_off(sim, at, after=after)
    launched = targets(sim)
    sim.clock.sleep(30.0)
    over = at in LAST and (after or at == CHANGES - 1)
    perform(to(launched[0] if over else "new"), sim)
    assert len(targets(sim)) == 1
    assert targets(sim)[: len(launched)] == launched
    assert_arrived(sim, targets(sim)[0])


@pytest.mark.parametrize("at", range(0, CHANGES, 4))
def test_broken_off_twice_it_still_arrives(at: int) -> None:
    sim = Simulation()
    sim.node()
    _break_off(sim, at, after=True)
    second = Cut(4, after=True)
    try:
        operate.operate(to(targets(sim)[0] if targets(sim) else "new"), second.world(sim), Console())
    except ProcessDied:
        sim.cloud.locks = {node: replace(lock, pid=DEAD_PROCESS) for node, lock in sim.cloud.locks.items()}
    perform(to(targets(sim)[0]), sim)
    assert_arrived(sim, targets(sim)[0])


def test_a_failed_step_names_what_was_done_and_the_next_run_goes_on() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.machine("tc001-b").faults.geth_finds_no_peers = True
    with pytest.raises(Failed) as caught:
        perform(to("tc001-b"), sim)
    assert "0 peers" in caught.value.message
    assert any("umount" in done or "unmount /d1" in done for done in caught.value.done)
    assert sim.cloud.locks == {}
    sim.machine("tc001-b").faults.geth_finds_no_peers = False
    perform(to("tc001-b"), sim)
    assert_arrived(sim, "tc001-b")


def test_while_the_node_is_nowhere_yet_livepeer_runs_nowhere() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.machine("tc001-b").faults.geth_finds_no_peers = True
    with pytest.raises(Failed):
        perform(to("tc001-b"), sim)
    assert sim.watcher.writers == {}
    sim.clock.sleep(60.0)
    assert sim.watcher.writers == {}


def test_a_stopped_source_is_left_by_detaching_alone() -> None:
    sim = Simulation()
    source = sim.node()
    sim.instance("tc001-b")
    sim.cloud.set_state(source.id, "stopped")
    sim.clock.sleep(1.0)
    perform(to("tc001-b"), sim)
    assert_arrived(sim, "tc001-b")


def test_a_source_that_does_not_answer_is_refused_with_the_reason() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.machine(NODE).faults.unreachable = True
    before = sim.cloud.state()
    with pytest.raises(Refused) as caught:
        perform(to("tc001-b"), sim)
    assert any("tc001" in reason and "does not answer" in reason for reason in caught.value.reasons)
    assert sim.cloud.state() == before


@pytest.mark.parametrize("left", range(3, 8))
def test_a_source_that_died_after_the_node_left_does_not_stop_the_migration(left: int) -> None:
    sim = Simulation()
    sim.node()
    _break_off(sim, CHANGES - left, after=False)
    [target] = targets(sim)
    at = {found.instance_id for data in sim.parts if (found := sim.of(data).attachment)}
    assert [sim.cloud.machines[machine].name for machine in at] == [target]
    sim.machine(NODE).faults.unreachable = True
    perform(to(target), sim)
    assert_arrived(sim, target)


def test_a_source_that_was_terminated_leaves_the_node_to_be_picked_up() -> None:
    sim = Simulation()
    source = sim.node()
    sim.instance("tc001-b")
    sim.cloud.terminate(source.id)
    sim.clock.sleep(10.0)
    perform(to("tc001-b"), sim)
    sim.clock.sleep(5.0)
    sim.assert_served_by("tc001-b")
    sim.assert_nothing_lost()


def test_every_reason_is_told_at_once() -> None:
    sim = Simulation()
    sim.node()
    other = sim.instance("other", {tags.NODE: "tc009"}, zone=OTHER_ZONE)
    sim.plug(sim.volume(with_ext4(), zone=OTHER_ZONE), other, "/dev/sdg")
    sim.plug(sim.volume(ours(GETH, "tc009"), zone=OTHER_ZONE), other, "/dev/sdp")
    sim.machine("other").faults.without_our_units = True
    before = sim.everything()
    with pytest.raises(Refused) as caught:
        perform(to("other"), sim)
    text = "\n".join(caught.value.reasons)
    for part in ("carries node tc009", "labelled geth-data", "has no geth.service"):
        assert part in text
    assert "has no livepeer-transcoder.service" in text
    assert sim.everything()[0] == before[0]


def test_an_unknown_target_is_refused_and_the_known_machines_are_named() -> None:
    sim = Simulation()
    sim.node()
    with pytest.raises(Refused, match=r"no such instance.*\n.*tc001"):
        perform(to("tc002"), sim)


def test_a_target_that_is_still_booting_is_waited_for_before_anything_stops() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b", booted=False)
    _, console = perform(to("tc001-b"), sim)
    assert console.shown[0].title == "wait for tc001-b"
    stops = [event.at for event in console.events if event.step.verb == "stop" and event.outcome is None]
    reached = [event.at for event in console.events if event.step.verb == "reach" and event.outcome is Outcome.DONE]
    assert stops
    assert max(reached) <= min(stops)
    assert_arrived(sim, "tc001-b")


def test_a_node_without_a_key_moves_and_livepeer_stays_off() -> None:
    sim = Simulation()
    sim.node(address="")
    sim.instance("tc001-b")
    perform(to("tc001-b"), sim)
    machine = sim.machine("tc001-b")
    assert set(machine.mounts) == {"/d1", "/d2"}
    assert machine.unit(GETH.service.unit).active == "active"
    assert machine.unit(LIVEPEER.service.unit).active != "active"
    assert machine.held == set()
    assert migrate.plan(migrate.observe(sim.world, migrate.Request(NODE, "tc001-b"))).empty


def test_a_node_whose_address_tag_was_lost_is_started_all_the_same() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.cloud.untag(sim.of(LIVEPEER).id, [tags.ADDRESS])
    perform(to("tc001-b"), sim)
    assert_arrived(sim, "tc001-b")


def test_a_livepeer_that_comes_up_as_somebody_else_is_an_error_at_once() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.machine("tc001-b").faults.runs_as = "0x" + "9" * 40
    with pytest.raises(Failed, match="runs as 0x9999"):
        perform(to("tc001-b"), sim)
    with pytest.raises(Failed, match="runs as 0x9999"):
        perform(to("tc001-b"), sim)


def test_a_damaged_file_system_is_not_mounted() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.disk(LIVEPEER).damaged = True
    with pytest.raises(Failed, match="e2fsck ended with 4"):
        perform(to("tc001-b"), sim)
    assert "/d1" not in sim.machine("tc001-b").mounts


@pytest.mark.parametrize(
    ("address", "after"),
    [("private", {"livepeer/detach", "geth/detach"}), ("public", {"livepeer/mount", "geth/in-sync"})],
)
def test_the_address_moves_only_when_no_machine_is_cut_off_by_it(address: str, after: set[str]) -> None:
    sim = Simulation(settings(ssh={"address": address}))
    sim.node()
    sim.instance("tc001-b")
    plan = migrate.plan(migrate.observe(sim.world, migrate.Request(NODE, "tc001-b")))
    (associate,) = [step for step in plan.steps if step.verb == "associate"]
    assert set(associate.after) == after


def test_everything_slow_that_needs_no_downtime_comes_before_the_first_stop() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    plan = migrate.plan(migrate.observe(sim.world, migrate.Request(NODE, "tc001-b")))
    first = [plan.before(step) for step in plan.steps if step.verb == "stop"]
    volume = sim.of(LIVEPEER).id
    ready = frozenset({f"prepare/tag {volume}", "source/hold"})
    assert first == [ready | {"geth/stop"}, ready]
    assert [step.verb for step in plan.lanes()["prepare"]] == ["hold", "warm", "clock", "tag"]


def test_geth_that_answers_late_is_waited_for_within_its_budget() -> None:
    sim = Simulation(settings(geth={"in_sync_budget_seconds": 1}))
    sim.node()
    sim.instance("tc001-b")
    with pytest.raises(Failed, match=r"geth in sync on tc001-b: not so after"):
        perform(to("tc001-b"), sim)


def test_a_target_that_stops_answering_half_way_says_that_trying_again_is_safe() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    target = sim.machine("tc001-b")
    sim.clock.listen(lambda: setattr(target.faults, "unreachable", bool(target.devices)))
    with pytest.raises(Unreachable) as caught:
        perform(to("tc001-b"), sim)
    assert "done before it: " in caught.value.message
    assert "run the same command again" in caught.value.hint


def test_a_migration_turned_round_leaves_no_target_to_go_on_with() -> None:
    sim = Simulation()
    sim.node()
    target = sim.instance("tc001-b")
    perform(to("tc001-b"), sim)
    sim.cloud.tag(target.id, {tags.TARGET_FOR: NODE})
    perform(to(NODE), sim)
    assert tags.TARGET_FOR not in sim.cloud.instances(ids=[target.id])[0].tags


@pytest.mark.parametrize(("address", "ended"), [("private", []), ("public", ["tc001-b"])])
def test_a_connection_is_ended_only_where_the_address_behind_it_changes(address: str, ended: list[str]) -> None:
    # Over private addresses other lanes are in the middle of a command at the target when the Elastic IP moves.
    sim = Simulation(settings(ssh={"address": address}))
    sim.node()
    sim.instance("tc001-b")
    sim.hosts.forgotten.clear()
    perform(to("tc001-b"), sim)
    assert sim.hosts.forgotten == ended
