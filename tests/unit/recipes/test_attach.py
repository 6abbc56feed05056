"""Attach: a node's volumes come to a machine; whatever is not the node's own is refused and keeps every byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulated import disk
from tests.simulated.cloud import ROOT
from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import KEY, Disk, blank, ours
from tests.simulated.world import NODE, OTHER_ZONE, Console, Simulation, add_blank, perform, settings
from transcoder import operate, tags
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.layout import GETH, LIVEPEER, VOLUMES
from transcoder.recipes import attach, detach, status
from transcoder.step import Plan

DEAD_PROCESS = 2**22 + 1
FOREIGN: dict[str, tuple[Callable[[], Disk], str]] = {
    "ext4": (disk.with_ext4, "holds ext4 and no marker"),
    "xfs": (disk.with_xfs, "holds xfs and no marker"),
    "partition table": (disk.with_partitions, "holds a partition table (gpt)"),
    "random bytes": (disk.with_noise, "holds data without a file system"),
}


def request(livepeer_volume: str = "", geth_volume: str = "") -> attach.Request:
    return attach.Request(NODE, "tc001", livepeer_volume, geth_volume)


def attached(sim: Simulation) -> set[str]:
    bonds = {volume.id: volume.attachment for volume in sim.cloud.blocks.values()}
    return {volume_id for volume_id, bond in bonds.items() if bond is not None and bond.device != ROOT}


def fresh() -> Simulation:
    sim = Simulation()
    sim.instance("tc001")
    sim.forget()
    return sim


def ready(sim: Simulation, address: str = KEY) -> None:
    """Both of the node's own volumes, free."""
    sim.volume(ours(GETH, NODE), GETH)
    sim.volume(ours(LIVEPEER, NODE, address), LIVEPEER, {tags.ADDRESS: address} if address else {})


def assert_empty(sim: Simulation, wanted: attach.Request | None = None) -> None:
    plan = attach.plan(attach.observe(sim.world, wanted or request()))
    assert plan.empty, [step.title for step in plan.pending]


def test_a_fresh_node_gets_two_volumes_formatted_labelled_mounted_marked_and_laid_out() -> None:
    sim = fresh()
    perform(attach.operation(request()), sim)
    for data in VOLUMES:
        volume, content = sim.of(data), sim.disk(data).needed()
        assert volume.tags.get(tags.BLANK) is None
        assert content.label == data.label
        assert sim.machine("tc001").mounts[data.mount] == volume.id
        for directory in data.directories:
            entry = content.tree[directory.path[len(data.mount) :]]
            assert (entry.uid, entry.gid, entry.mode) == (data.service.id, data.service.id, int(directory.mode, 8))
    assert sim.machine("tc001").unit(GETH.service.unit).active == "active"
    assert sim.machine("tc001").unit(LIVEPEER.service.unit).active != "active"
    assert sim.machine("tc001").held == set()
    assert_empty(sim)


def test_the_nodes_own_volumes_are_mounted_unchanged_and_the_node_runs() -> None:
    sim = fresh()
    ready(sim)
    perform(attach.operation(request()), sim)
    machine = sim.machine("tc001")
    assert machine.account == KEY
    assert machine.held == set()
    assert not [command for command in sim.hosts.commands if command.argv[0] in ("mkfs.ext4", "e2label", "install")]
    assert [s.problems for s in status.observe(sim.world)] == [()]
    assert_empty(sim)


def test_attaching_twice_has_nothing_to_do() -> None:
    sim = fresh()
    ready(sim)
    perform(attach.operation(request()), sim)
    outcome, console = perform(attach.operation(request()), sim)
    assert outcome.nothing_to_do
    assert console.questions == []


def test_nothing_is_looked_at_by_mounting_it_first() -> None:
    """A volume with our label and somebody else's marker must not be mounted by its arrival."""
    sim = fresh()
    sim.volume(ours(GETH, NODE), GETH)
    stranger = sim.volume(ours(LIVEPEER, "tc009", KEY))
    before = stranger, sim.cloud.disks[stranger.id].digest()
    with pytest.raises(Refused, match="belongs to node tc009"):
        perform(attach.operation(request(livepeer_volume=stranger.id)), sim)
    assert (sim.cloud.blocks[stranger.id], sim.cloud.disks[stranger.id].digest()) == before
    assert sim.machine("tc001").mounts == {}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_not_proven_blank_is_refused_unchanged_and_given_back(kind: str) -> None:
    make, reason = FOREIGN[kind]
    sim = fresh()
    content = make()
    volume = sim.volume(content)
    before = content.digest(), content.changes
    with pytest.raises(Refused) as caught:
        perform(attach.operation(request(livepeer_volume=volume.id)), sim)
    assert [text for text in caught.value.reasons if volume.id in text and reason in text]
    assert (content.digest(), content.changes) == before
    assert volume.id not in attached(sim)
    assert sim.machine("tc001").held == set()
    assert sim.cloud.locks == {}


def test_two_bad_volumes_give_two_reasons_in_one_refusal_and_both_are_given_back() -> None:
    sim = fresh()
    one, two = sim.volume(disk.with_xfs()), sim.volume(disk.with_noise())
    digests = [sim.cloud.disks[volume.id].digest() for volume in (one, two)]
    with pytest.raises(Refused) as caught:
        perform(attach.operation(request(livepeer_volume=one.id, geth_volume=two.id)), sim)
    assert any(one.id in reason and "xfs" in reason for reason in caught.value.reasons)
    assert any(two.id in reason and "without a file system" in reason for reason in caught.value.reasons)
    assert attached(sim) == set()
    assert [sim.cloud.disks[volume.id].digest() for volume in (one, two)] == digests


def test_all_that_ec2_knows_against_two_volumes_is_told_at_once_and_nothing_is_done() -> None:
    sim = fresh()
    other = sim.instance("other")
    busy = sim.volume(ours(LIVEPEER, "tc009", KEY), more={tags.NODE: "tc009"})
    far = sim.volume(ours(GETH, NODE), zone=OTHER_ZONE)
    sim.plug(busy, other, "/dev/sdf")
    sim.plug(sim.volume(blank()), sim.cloud.instances()[0], "/dev/sdh")
    before = sim.everything()
    with pytest.raises(Refused) as caught:
        perform(attach.operation(request(livepeer_volume=busy.id, geth_volume=far.id)), sim)
    text = "\n".join(caught.value.reasons)
    for part in (
        f"{busy.id} is tagged for node tc009",
        f"in use (attached) by instance {other.id}",
        f"{far.id} is in zone {OTHER_ZONE}",
    ):
        assert part in text
    assert sim.everything() == before
    assert sim.cloud.mutations == []


def test_a_second_volume_for_a_role_that_has_one_is_refused() -> None:
    sim = fresh()
    ready(sim)
    second = sim.volume(blank())
    with pytest.raises(Refused, match="has a livepeer volume already"):
        perform(attach.operation(request(livepeer_volume=second.id)), sim)


def test_a_blank_volume_of_somebody_else_is_refused_until_it_is_named_to_be_formatted() -> None:
    sim = fresh()
    volume = sim.volume(blank())
    with pytest.raises(Refused, match=f"--format {volume.id}"):
        perform(attach.operation(request(livepeer_volume=volume.id)), sim)
    assert sim.cloud.disks[volume.id].changes == 0
    named = attach.Request(NODE, "tc001", volume.id, "", (volume.id,))
    perform(attach.operation(named), sim)
    assert sim.of(LIVEPEER).id == volume.id
    assert sim.disk(LIVEPEER).needed().label == LIVEPEER.label
    assert_empty(sim)


def test_naming_it_to_be_formatted_does_not_make_a_file_system_blank() -> None:
    sim = fresh()
    content = disk.with_ext4()
    volume = sim.volume(content)
    named = attach.Request(NODE, "tc001", volume.id, "", (volume.id,))
    with pytest.raises(Refused, match="holds ext4"):
        perform(attach.operation(named), sim)
    assert content.changes == 0


def test_a_volume_made_from_a_snapshot_is_not_blank_however_it_looks() -> None:
    sim = fresh()
    volume = sim.cloud.add_volume(blank(), "us-east-1a", {tags.BLANK: "yes"}, snapshot="snap-1")
    with pytest.raises(Refused, match="made from snapshot snap-1"):
        perform(attach.operation(request(livepeer_volume=volume.id)), sim)
    assert sim.cloud.disks[volume.id].changes == 0


def test_the_nodes_own_volume_is_taken_by_name_although_its_tags_were_lost() -> None:
    sim = fresh()
    sim.volume(ours(GETH, NODE), GETH)
    found = sim.volume(ours(LIVEPEER, NODE, KEY))
    perform(attach.operation(request(livepeer_volume=found.id)), sim)
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY
    assert sim.machine("tc001").account == KEY
    assert_empty(sim)


def test_a_volume_that_turns_out_not_blank_right_before_the_format_is_not_formatted() -> None:
    sim = fresh()
    volume = add_blank(sim, LIVEPEER)
    sim.volume(ours(GETH, NODE), GETH)

    class SomebodyWrites(Console):
        """Between the plan and its run."""

        def show(self, plan: Plan) -> None:
            if sim.cloud.blocks[volume.id].attachment is not None:
                sim.cloud.disks[volume.id].noise = True

    with pytest.raises(Failed, match="not blank any more"):
        operate.operate(attach.operation(request()), sim.world, SomebodyWrites())
    assert sim.cloud.disks[volume.id].changes == 0


def test_a_dry_run_of_a_fresh_node_changes_nothing() -> None:
    sim = fresh()
    before = sim.everything()
    outcome = operate.preview(attach.operation(request()), sim.world, Console())
    assert [step.verb for step in outcome.plan.pending] == ["create", "create"]
    assert sim.everything() == before
    assert sim.cloud.mutations == []
    assert sim.hosts.mutations == []


def test_a_machine_that_is_stopped_is_refused() -> None:
    sim = fresh()
    sim.cloud.set_state(sim.cloud.instances()[0].id, "stopped")
    with pytest.raises(Refused, match="stopped, not running"):
        perform(attach.operation(request()), sim)


def test_without_a_machine_the_way_to_one_is_named() -> None:
    with pytest.raises(Refused) as caught:
        perform(attach.operation(attach.Request(NODE)), Simulation())
    assert "invoke launch --node tc001" in caught.value.hint


def test_a_volume_that_is_still_leaving_this_machine_is_waited_for_and_attached_again() -> None:
    sim = fresh()
    ready(sim)
    perform(attach.operation(request()), sim)
    machine, volume = sim.machine("tc001"), sim.of(LIVEPEER)
    machine.stop(LIVEPEER.mount_unit)
    sim.cloud.detach(volume.id, machine.instance_id)
    perform(attach.operation(request()), sim)
    assert sim.of(LIVEPEER).attached_to(machine.instance_id)
    assert machine.account == KEY
    sim.assert_nothing_lost()


def test_when_the_machine_falls_silent_after_the_mount_nothing_is_torn_from_under_it() -> None:
    """The last look fails: what has been attached is in use by then and is not given back."""
    sim = fresh()
    ready(sim)
    machine = sim.machine("tc001")
    sim.clock.listen(lambda: setattr(machine.faults, "unreachable", bool(machine.account)))
    with pytest.raises(Unreachable):
        perform(attach.operation(request()), sim)
    assert [call for call in sim.cloud.calls if call.name == "detach"] == []
    assert sim.watcher.broken == []


def test_a_refusal_after_the_mount_does_not_detach_what_is_in_use() -> None:
    sim = fresh()
    ready(sim)
    operation = attach.operation(request())
    perform(operation, sim)
    undo = operation.give_back(sim.world)
    assert undo is not None
    assert "detach" not in [step.verb for step in undo.steps]


def test_a_volume_of_another_size_than_ec2_says_is_not_the_same_volume() -> None:
    sim = fresh()
    volume = add_blank(sim, LIVEPEER)
    sim.volume(ours(GETH, NODE), GETH)
    sim.cloud.disks[volume.id] = Disk(2 * disk.GIB)
    with pytest.raises(Failed, match=f"see {volume.id}"):
        perform(attach.operation(request()), sim)
    assert sim.cloud.disks[volume.id].changes == 0


def _changes(sim: Simulation) -> int:
    counter = Cut(-1, after=False)
    operate.operate(attach.operation(request()), counter.world(sim), Console())
    return counter.changes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(_changes(fresh())))
def test_a_fresh_node_broken_off_at_any_change_is_finished_by_the_same_command(at: int, after: bool) -> None:
    sim = fresh()
    cut = Cut(at, after=after)
    with pytest.raises(ProcessDied):
        operate.operate(attach.operation(request()), cut.world(sim), Console())
    sim.cloud.locks = {node: replace(lock, pid=DEAD_PROCESS) for node, lock in sim.cloud.locks.items()}
    perform(attach.operation(request()), sim)
    assert len(sim.cloud.blocks) == 3, "the root and two data volumes"
    machine = sim.machine("tc001")
    assert set(machine.mounts) == {"/d1", "/d2"}
    assert machine.held == set()
    assert machine.unit(GETH.service.unit).active == "active"
    assert sim.cloud.locks == {}
    for data in VOLUMES:
        assert tags.BLANK not in sim.of(data).tags
    assert_empty(sim)


def test_a_whole_launch_of_two_volumes_makes_one_of_each_even_when_ec2_is_slow() -> None:
    sim = Simulation(settings(geth={"in_sync_budget_seconds": 600}))
    sim.instance("tc001")
    perform(attach.operation(request()), sim)
    roles = [volume.tags[tags.ROLE] for volume in sim.cloud.blocks.values() if tags.ROLE in volume.tags]
    assert sorted(roles) == ["geth", "livepeer"]


def test_nothing_goes_on_at_the_machine_while_its_address_may_change() -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    perform(detach.operation(detach.Request(NODE)), sim)
    _, console = perform(attach.operation(attach.Request(NODE, "tc001-b")), sim)
    (plan,) = [plan for plan in console.shown if any(step.verb == "associate" for step in plan.steps)]
    (associate,) = [step for step in plan.steps if step.verb == "associate"]
    assert set(associate.after) == {"geth/in-sync", "livepeer/layout"}
    (start,) = [step for step in plan.steps if step.key == "node/start"]
    assert associate.key in start.after
