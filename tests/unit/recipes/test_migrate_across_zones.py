"""A migration to another zone: copies of the volumes go there, the old ones stay until the operator has confirmed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import KEY
from tests.simulated.world import NODE, OTHER_ZONE, ZONE, Console, Simulation, perform
from transcoder import operate, tags
from transcoder.errors import Refused
from transcoder.layout import GETH, LIVEPEER, VOLUMES
from transcoder.model import Volume
from transcoder.recipes import attach, confirm, migrate, status

DEAD_PROCESS = 2**22 + 1


def world_of_two_zones() -> Simulation:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b", zone=OTHER_ZONE)
    sim.forget()
    return sim


def go(to: str = "tc001-b") -> operate.Operation:
    return migrate.operation(migrate.Request(NODE, to))


def retired(sim: Simulation) -> list[Volume]:
    return [volume for volume in sim.cloud.blocks.values() if volume.tags.get(tags.RETIRED) == NODE]


def assert_arrived(sim: Simulation) -> None:
    sim.clock.sleep(5.0)
    sim.assert_served_by("tc001-b")
    assert sim.watcher.broken == []
    assert {sim.of(data).zone for data in VOLUMES} == {OTHER_ZONE}
    assert [s.problems for s in status.observe(sim.world)] == [()]


def test_the_node_goes_on_in_the_other_zone_with_every_record_and_its_address() -> None:
    sim = world_of_two_zones()
    old = sim.of(LIVEPEER)
    perform(go(), sim)
    assert_arrived(sim)
    before, after = sim.cloud.disks[old.id].records(), sim.disk(LIVEPEER).records()
    assert after[: len(before)] == before
    assert len(before) >= sim.watcher.acknowledged[old.id] > 0
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY


def test_the_old_volumes_stay_as_they_were_detached_and_retired() -> None:
    sim = world_of_two_zones()
    old = [sim.of(data).id for data in VOLUMES]
    _, console = perform(go(), sim)
    (said,) = [note for plan in console.shown for note in plan.notes if "fab migrate --confirm" in note]
    assert all(volume in said for volume in old), "the operator is told what stays, and until when"
    assert sorted(volume.id for volume in retired(sim)) == sorted(old)
    assert [volume.attachment for volume in retired(sim)] == [None, None]
    assert {volume.tags[tags.REPLACED_BY] for volume in retired(sim)} == {sim.of(data).id for data in VOLUMES}


def test_the_first_copy_is_stored_while_the_node_still_runs() -> None:
    sim = world_of_two_zones()
    _, console = perform(go(), sim)
    verbs = [[step.verb for step in plan.pending] for plan in console.shown]
    assert verbs[0] == ["snapshot", "snapshot"]
    assert "stop" in verbs[1]
    assert "copy" in verbs[1]
    assert verbs[2].count("attach") == 2
    assert "start" in verbs[3]


def test_to_new_in_a_named_zone_launches_the_target_there() -> None:
    sim = Simulation()
    sim.node()
    perform(migrate.operation(migrate.Request(NODE, "new", zone=OTHER_ZONE)), sim)
    (target,) = [i for i in sim.cloud.machines.values() if i.name != NODE]
    assert target.zone == OTHER_ZONE
    sim.clock.sleep(5.0)
    sim.assert_served_by(target.name)


def test_again_there_is_nothing_to_do() -> None:
    sim = world_of_two_zones()
    perform(go(), sim)
    assert perform(go(), sim)[0].nothing_to_do


def test_confirm_deletes_what_stayed_behind_and_nothing_else() -> None:
    sim = world_of_two_zones()
    perform(go(), sim)
    sim.clock.sleep(5.0)
    perform(confirm.operation(NODE), sim)
    assert retired(sim) == []
    assert [s for s in sim.cloud.snapshots() if tags.SNAPSHOT_OF in s.tags] == []
    assert_arrived(sim)
    assert perform(confirm.operation(NODE), sim)[0].nothing_to_do


def test_confirm_is_refused_as_long_as_the_node_does_not_serve() -> None:
    sim = world_of_two_zones()
    perform(go(), sim)
    sim.machine("tc001-b").stop(LIVEPEER.service.unit)
    with pytest.raises(Refused, match="does not serve"):
        perform(confirm.operation(NODE), sim)
    assert len(retired(sim)) == 2


def test_a_replaced_volume_is_not_attached_again() -> None:
    sim = world_of_two_zones()
    old = sim.of(LIVEPEER).id
    perform(go(), sim)
    with pytest.raises(Refused, match="was replaced by"):
        perform(attach.operation(attach.Request(NODE, NODE, livepeer_volume=old)), sim)


def test_the_old_machine_does_not_start_the_node_when_it_is_booted_again() -> None:
    sim = world_of_two_zones()
    perform(go(), sim)
    source = sim.machine(NODE).instance_id
    sim.cloud.set_state(source, "stopped")
    sim.clock.sleep(1.0)
    sim.cloud.set_state(source, "running")
    sim.clock.sleep(30.0)
    assert sim.machine(NODE).account == ""
    assert_arrived(sim)


def _changes() -> int:
    sim = world_of_two_zones()
    counter = Cut(-1, after=False)
    operate.operate(go(), counter.world(sim), Console())
    return counter.changes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(_changes()))
def test_broken_off_at_any_change_the_same_command_ends_it(at: int, after: bool) -> None:
    sim = world_of_two_zones()
    old = sim.of(LIVEPEER).id
    with pytest.raises(ProcessDied):
        operate.operate(go(), Cut(at, after=after).world(sim), Console())
    for node, lock in sim.cloud.locks.items():
        sim.cloud.locks[node] = replace(lock, pid=DEAD_PROCESS)
    perform(go(), sim)
    assert_arrived(sim)
    written = sim.watcher.acknowledged[old]
    assert sim.disk(LIVEPEER).records()[:written] == list(range(1, written + 1))


def test_broken_off_and_gone_back_what_was_written_since_is_in_the_next_copy() -> None:
    """A final snapshot of an earlier try must not be used when the node has run on its volume since."""
    sim = world_of_two_zones()
    old = sim.of(LIVEPEER).id
    snapshots = 4
    seen = 0

    class Stop(Console):
        def watch(self, event: object) -> None:
            nonlocal seen
            super().watch(event)  # type: ignore[arg-type]
            seen = len(sim.cloud.snapshots())
            if seen == snapshots and any(volume.tags.get(tags.COPY_OF) for volume in sim.cloud.blocks.values()):
                raise ProcessDied

    with pytest.raises(ProcessDied):
        operate.operate(go(), sim.world, Stop())
    for node, lock in sim.cloud.locks.items():
        sim.cloud.locks[node] = replace(lock, pid=DEAD_PROCESS)
    perform(go(NODE), sim)  # back to where it was, where it goes on writing
    sim.clock.sleep(30.0)
    perform(go(), sim)
    assert_arrived(sim)
    written = sim.watcher.acknowledged[old]
    assert sim.disk(LIVEPEER).records()[:written] == list(range(1, written + 1))
    assert sim.of(GETH).zone != ZONE
