"""A migration to another region: copies of the volumes go there, and from one moment on the node is only there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import KEY, ours
from tests.simulated.world import ENVIRONMENT, NODE, WEST, Console, Simulation, perform, settings
from transcoder import app, operate, tags
from transcoder.errors import Failed, Refused
from transcoder.layout import GETH, LIVEPEER, VOLUMES
from transcoder.recipes import attach, create_key, detach, launch, migrate, relocate, relocate_confirm, status
from transcoder.step import Event, Outcome
from transcoder.world import Lock

TARGET = "west-b"
DEAD_PROCESS = 2**22 + 1
SOMEBODY = Lock("ada", "another-machine", 4711, "2026-01-31T16:00:00+00:00", "fab migrate --to new")


class Regions:
    """A node in the east, a machine that waits for it in the west, and one clock."""

    def __init__(self, *, target: bool = True) -> None:
        self.east = Simulation()
        west = settings(WEST, aws={"region": "us-west-2", "availability_zone": "us-west-2a"})
        self.west = Simulation(west, beside=self.east)
        self.east.node()
        if target:
            self.west.instance(TARGET)
        self.old = [self.east.of(data).id for data in VOLUMES]
        for sim in (self.east, self.west):
            sim.forget()

    def go(self, to: str = TARGET, **options: object) -> operate.Operation:
        request = migrate.Request(NODE, to, **options)  # type: ignore[arg-type]
        return relocate.operation(request, self.west.world)

    def back(self) -> operate.Operation:
        return relocate.operation(migrate.Request(NODE, NODE), self.east.world)

    def confirm(self) -> operate.Operation:
        return relocate_confirm.operation(NODE, self.west.world)

    def run(self, operation: operate.Operation) -> Console:
        return perform(operation, self.east)[1]

    def through(self, cut: Cut) -> None:
        """Run it as a process that dies."""
        east, west = cut.world(self.east), cut.world(self.west)
        operate.operate(relocate.operation(migrate.Request(NODE, TARGET), west), east, Console())

    def bury(self) -> None:
        """Let every lock be one of a process of this machine that has ended."""
        for sim in (self.east, self.west):
            for node, lock in sim.cloud.locks.items():
                sim.cloud.locks[node] = replace(lock, pid=DEAD_PROCESS)

    def assert_arrived(self, name: str = TARGET) -> None:
        self.east.clock.sleep(5.0)
        self.west.assert_served_by(name)
        assert self.east.watcher.broken == []
        written = self.east.watcher.acknowledged.get(self.old[0], 0)
        assert self.west.disk(LIVEPEER).records()[:written] == list(range(1, written + 1))
        assert self.west.of(LIVEPEER).tags[tags.ADDRESS] == KEY
        assert [s.problems for s in status.observe(self.west.world)] == [()]
        assert self.east.cloud.locks == self.west.cloud.locks == {}
        assert self.east.machine(NODE).account == ""


def verbs(console: Console) -> list[set[str]]:
    return [{step.verb for step in plan.pending} for plan in console.shown]


def test_the_node_goes_on_in_the_other_region_with_every_record_and_an_address_of_its_own() -> None:
    both = Regions()
    before = both.east.disk(LIVEPEER).records()
    both.run(both.go())
    both.assert_arrived()
    assert len(both.west.disk(LIVEPEER).records()) > len(before) > 0
    assert [a.tags[tags.NODE] for a in both.east.cloud.elastic.values()] == [NODE], "the old address stays"


def test_what_is_slow_is_done_while_the_node_still_runs() -> None:
    both = Regions(target=False)
    console = both.run(both.go("new"))
    seen = verbs(console)
    stop = next(number for number, each in enumerate(seen) if "stop" in each)
    assert [{"snapshot"}, {"copy-snapshot", "launch", "allocate"}, {"reach"}] == seen[:3]
    assert {"unmount", "detach", "snapshot"} <= seen[stop]
    assert seen[stop + 1 : stop + 4] == [{"copy-snapshot", "copy"}, {"depart"}, {"tag"}]
    assert {"attach", "check", "mount", "start", "healthy"} <= seen[stop + 4]
    (target,) = both.west.cloud.machines.values()
    both.assert_arrived(target.name)
    assert both.west.cloud.machines[target.id].zone == "us-west-2a"


def test_the_copies_are_attached_to_nothing_as_long_as_the_old_volumes_are_the_nodes() -> None:
    both = Regions()
    attached: list[bool] = []

    class Watching(Console):
        def watch(self, event: Event) -> None:
            super().watch(event)
            if event.step.verb == "attach" and event.outcome is None:
                left = [both.east.cloud.blocks[old] for old in both.old]
                attached.append(all(tags.GONE_TO in v.tags and v.attachment is None for v in left))

    operate.operate(both.go(), both.east.world, Watching())
    assert attached == [True, True]


def test_the_old_volumes_stay_detached_and_say_where_the_node_is() -> None:
    both = Regions()
    both.run(both.go())
    left = [both.east.cloud.blocks[old] for old in both.old]
    assert [(v.attachment, v.tags[tags.GONE_TO], v.tags[tags.RETIRED]) for v in left] == [(None, WEST, NODE)] * 2
    assert [v.tags[tags.REPLACED_BY] for v in left] == [both.west.of(data).id for data in VOLUMES]
    assert all(tags.MOVING_TO not in v.tags for v in left)
    retired = next(i for i in both.east.cloud.machines.values() if i.name == NODE)
    assert (retired.tags[tags.RETIRED], tags.NODE in retired.tags) == (NODE, False)
    (said,) = status.observe(both.east.world)
    assert f"gone to environment {WEST}" in said.problems[0]


@pytest.mark.parametrize(
    "operation",
    [
        lambda: attach.operation(attach.Request(NODE, NODE)),
        lambda: launch.operation(launch.Request(NODE)),
        lambda: migrate.operation(migrate.Request(NODE, NODE)),
        lambda: create_key.operation(NODE),
    ],
    ids=["attach", "launch", "migrate", "create-key"],
)
def test_nothing_in_the_old_region_starts_it_again(operation: Callable[[], operate.Operation]) -> None:
    both = Regions()
    both.run(both.go())
    before = both.east.everything()
    with pytest.raises(Refused, match=f"has gone from environment {ENVIRONMENT} to {WEST}"):
        perform(operation(), both.east)
    assert both.east.everything() == before
    both.assert_arrived()


def test_the_old_machine_does_not_start_it_when_it_is_booted_again_and_can_be_terminated() -> None:
    both = Regions()
    both.run(both.go())
    source = both.east.machine(NODE).instance_id
    both.east.cloud.set_state(source, "stopped")
    both.east.clock.sleep(1.0)
    both.east.cloud.set_state(source, "running")
    both.east.clock.sleep(30.0)
    both.assert_arrived()
    perform(detach.operation(detach.Request(NODE, NODE, terminate=True)), both.east)
    assert source not in both.east.cloud.machines


def test_again_there_is_nothing_to_do() -> None:
    both = Regions()
    both.run(both.go())
    assert perform(both.go(), both.east)[0].nothing_to_do
    new = Regions(target=False)
    new.run(new.go("new"))
    assert perform(new.go("new"), new.east)[0].nothing_to_do


def test_a_dry_run_changes_nothing_and_says_what_follows() -> None:
    both = Regions()
    before = (both.east.everything(), both.west.everything())
    plan = operate.preview(both.go(), both.east.world, Console()).plan
    assert (both.east.everything(), both.west.everything()) == before
    assert [step.verb for step in plan.pending] == ["snapshot", "snapshot"]
    assert any("the node's address changes" in note for note in plan.notes)


def test_as_json_it_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    both = Regions()
    app.perform(both.east.world, both.go(), yes=True, dry_run=False, json=True)
    read = json.loads(capsys.readouterr().out)
    assert "livepeer/depart" in {step["key"].split(" ")[0] for r in read["results"] for step in r["steps"]}


# what refuses it, before anything stops


def test_every_reason_of_both_sides_is_given_before_anything_is_done() -> None:
    both = Regions()
    both.west.cloud.amis.clear()
    both.west.cloud.denied |= {"CopySnapshot"}
    both.west.machine(TARGET).programs = {"geth": "1.8.27", "livepeer": "0.2.3"}
    both.west.machine(TARGET).faults.clock_offset = 100.0
    both.west.volume(ours(LIVEPEER, NODE), LIVEPEER, zone="us-west-2a")
    both.east.rounds.current += 1
    before = (both.east.everything(), both.west.everything())
    with pytest.raises(Refused) as caught:
        both.run(both.go())
    said = "\n".join(caught.value.reasons)
    for reason in (
        "reward of round",
        "from 0.2.4 to 0.2.3",
        "clock of west-b",
        f"environment {WEST} has a node {NODE}",
    ):
        assert reason in said
    assert (both.east.everything(), both.west.everything()) == before


def test_without_an_image_there_it_is_refused_with_what_to_do() -> None:
    both = Regions(target=False)
    both.west.cloud.amis.clear()
    with pytest.raises(Refused) as caught:
        both.run(both.go("new"))
    said = "\n".join(caught.value.reasons)
    assert f"no image has been baked for environment {WEST}" in said
    assert f"give the copy the tag {tags.ENVIRONMENT}={WEST}" in said
    assert both.east.cloud.mutations == both.west.cloud.mutations == []


@pytest.mark.parametrize(
    ("side", "action"),
    [
        ("east", "CreateSnapshot"),
        ("east", "DetachVolume"),
        ("east", "CreateTags"),
        ("west", "CopySnapshot"),
        ("west", "CreateVolume"),
        ("west", "AttachVolume"),
        ("west", "AllocateAddress"),
        ("west", "AssociateAddress"),
        ("west", "CreateTags"),
    ],
)
def test_what_is_not_permitted_on_either_side_is_said_before_the_node_stops(side: str, action: str) -> None:
    both = Regions()
    getattr(both, side).cloud.denied.add(action)
    with pytest.raises((Refused, Failed), match=action):
        both.run(both.go())
    both.east.assert_served_by(NODE)
    assert not [command for command in both.east.hosts.mutations if "stop" in command.argv]


def test_an_environment_of_the_same_region_is_refused() -> None:
    both = Regions()
    with pytest.raises(Refused, match="is in us-east-1 as well"):
        perform(relocate.operation(migrate.Request(NODE, "new"), both.east.world), both.east)


@pytest.mark.parametrize("side", ["east", "west"])
def test_a_lock_on_either_side_refuses_it_with_the_holders_name(side: str) -> None:
    both = Regions()
    getattr(both, side).cloud.locks[NODE] = SOMEBODY
    with pytest.raises(Refused, match="ada on another-machine") as caught:
        both.run(both.go())
    assert f"fab unlock --node {NODE}" in caught.value.hint
    assert (f"--env {WEST}" in caught.value.hint) == (side == "west")
    assert [call.name for sim in (both.east, both.west) for call in sim.cloud.mutations] == []


def test_both_locks_are_held_at_every_step() -> None:
    both = Regions()
    held: set[tuple[bool, bool]] = set()

    class Watching(Console):
        def watch(self, event: Event) -> None:
            super().watch(event)
            held.add((NODE in both.east.cloud.locks, NODE in both.west.cloud.locks))

    operate.operate(both.go(), both.east.world, Watching())
    assert held == {(True, True)}
    both.assert_arrived()


# broken off


def _changes() -> int:
    counter = Cut(-1, after=False)
    Regions().through(counter)
    return counter.changes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(_changes()))
def test_broken_off_at_any_change_of_either_region_the_same_command_ends_it(at: int, after: bool) -> None:
    both = Regions()
    with pytest.raises(ProcessDied):
        both.through(Cut(at, after=after))
    both.bury()
    both.run(both.go())
    both.assert_arrived()


class Stopper(Console):
    """Breaks off when a step of this kind has ended."""

    def __init__(self, verb: str) -> None:
        super().__init__()
        self._verb = verb

    def watch(self, event: Event) -> None:
        super().watch(event)
        if event.step.verb == self._verb and event.outcome is Outcome.DONE:
            raise ProcessDied


def broken_off_at(both: Regions, verb: str) -> None:
    with pytest.raises(ProcessDied):
        operate.operate(both.go(), both.east.world, Stopper(verb))
    both.bury()


@pytest.mark.parametrize("verb", ["detach", "copy"])
def test_broken_off_and_gone_back_what_was_written_since_is_in_the_next_copy(verb: str) -> None:
    both = Regions()
    broken_off_at(both, verb)
    perform(migrate.operation(migrate.Request(NODE, NODE)), both.east)
    stale = {v.id for v in both.west.cloud.blocks.values() if tags.COPY_OF in v.tags}
    both.east.clock.sleep(30.0)
    both.run(both.go())
    both.assert_arrived()
    assert not stale & set(both.west.cloud.blocks)


def test_what_is_half_way_is_explained_with_both_ways_on() -> None:
    both = Regions()
    broken_off_at(both, "detach")
    (said,) = status.observe(both.east.world)
    problem = next(each for each in said.problems if "has begun and not ended" in each)
    assert f"a migration to {TARGET} in {WEST}" in problem
    assert f"--to {TARGET} --to-env {WEST}" in problem
    assert f"back again: fab migrate --node {NODE} --to {NODE}" in problem


def test_a_source_that_is_lost_is_stopped_first() -> None:
    both = Regions()
    both.east.machine(NODE).faults.unreachable = True
    with pytest.raises(Refused, match="add --source-lost"):
        both.run(both.go())
    console = both.run(both.go(source_lost=True))
    assert "stop-instance" in set.union(*verbs(console))
    both.assert_arrived()


def failing(both: Regions, verb: str) -> Console:
    """Return a console under which the cloud refuses a change as soon as a step of this kind begins."""

    class Failing(Console):
        def watch(self, event: Event) -> None:
            super().watch(event)
            if event.step.verb == verb and event.outcome is None:
                both.west.cloud.denied |= {"CreateVolume", "AttachVolume"}

    return Failing()


def test_undone_before_the_node_has_departed_it_is_back_where_it_was() -> None:
    both = Regions()
    with pytest.raises(Failed, match="undone: migrate node"):
        operate.operate(both.go(), both.east.world, failing(both, "copy"), operate.OnError.UNDO)
    both.east.clock.sleep(5.0)
    both.east.assert_served_by(NODE)
    assert both.east.cloud.locks == both.west.cloud.locks == {}
    both.west.cloud.denied.clear()
    both.run(both.go())
    both.assert_arrived()


def test_once_it_has_departed_it_is_not_undone_and_the_reason_is_said() -> None:
    both = Regions()
    with pytest.raises(Failed, match=f"could not be undone: the node belongs to environment {WEST}"):
        operate.operate(both.go(), both.east.world, failing(both, "attach"), operate.OnError.UNDO)
    assert both.east.machine(NODE).account == ""
    both.west.cloud.denied.clear()
    both.run(both.go())
    both.assert_arrived()


def test_a_volume_that_comes_to_a_machine_again_at_the_last_moment_does_not_depart() -> None:
    both = Regions()
    source = both.east.machine(NODE).instance_id

    class Meddler(Console):
        def watch(self, event: Event) -> None:
            super().watch(event)
            if event.step.verb == "depart" and event.outcome is None:
                both.east.cloud.bond(both.old[0], source, "/dev/sdg", "attached")

    with pytest.raises(Failed, match="is attached at"):
        operate.operate(both.go(), both.east.world, Meddler())
    assert tags.GONE_TO not in both.east.cloud.blocks[both.old[0]].tags


# and then


def test_confirm_deletes_what_stayed_behind_on_both_sides_and_nothing_else() -> None:
    both = Regions()
    both.run(both.go())
    both.east.clock.sleep(5.0)
    kept = set(both.west.cloud.blocks)
    both.run(both.confirm())
    assert not set(both.old) & set(both.east.cloud.blocks)
    assert both.east.cloud.copies == both.west.cloud.copies == {}
    assert set(both.west.cloud.blocks) == kept
    assert len(both.east.cloud.elastic) == 1
    assert status.observe(both.east.world) == (), "no node of that name is there any more"
    both.assert_arrived()
    assert perform(both.confirm(), both.east)[0].nothing_to_do


def test_confirm_is_refused_as_long_as_the_node_does_not_serve_there() -> None:
    both = Regions()
    broken_off_at(both, "copy")
    with pytest.raises(Refused, match="does not serve"):
        both.run(both.confirm())
    both.run(both.go())
    both.west.machine(TARGET).stop(LIVEPEER.service.unit)
    with pytest.raises(Refused, match="does not serve"):
        both.run(both.confirm())
    assert set(both.old) <= set(both.east.cloud.blocks)


def test_it_goes_back_the_same_way_with_what_was_written_there() -> None:
    both = Regions()
    both.run(both.go())
    both.east.clock.sleep(30.0)
    perform(both.back(), both.west)
    both.east.clock.sleep(5.0)
    both.east.assert_served_by(NODE)
    assert not {both.east.of(data).id for data in VOLUMES} & set(both.old), "not the volumes of before"
    assert both.east.watcher.broken == []
    assert [s.problems for s in status.observe(both.east.world)] == [()]
    both.run(both.go())
    both.assert_arrived()
    assert both.west.of(GETH).attachment is not None


def test_what_was_left_behind_before_it_came_back_can_be_confirmed_too() -> None:
    both = Regions()
    both.run(both.go())
    both.east.clock.sleep(5.0)
    perform(both.back(), both.west)
    both.east.clock.sleep(5.0)
    perform(relocate_confirm.operation(NODE, both.east.world), both.west)
    both.run(both.confirm())
    assert {v.id for v in both.east.cloud.blocks.values() if tags.GONE_TO in v.tags} == set()
    assert both.east.cloud.copies == both.west.cloud.copies == {}
    both.east.assert_served_by(NODE)


def test_a_copy_that_is_not_the_nodes_is_not_mounted() -> None:
    both = Regions()

    class Swapping(Console):
        def watch(self, event: Event) -> None:
            super().watch(event)
            if event.step.verb == "copy" and event.outcome is None:
                for snapshot in both.west.cloud.copies.values():
                    both.west.cloud.disks[snapshot.id] = ours(LIVEPEER, "another")

    with pytest.raises(Failed, match="not to be mounted"):
        operate.operate(both.go(), both.east.world, Swapping())
    assert both.west.machine(TARGET).account == both.east.machine(NODE).account == ""
