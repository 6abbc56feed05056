"""A node without a geth: one volume, one service, a chain that somebody else serves. Every operation knows it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import KEY, KEYSTORE, by_hand, ours
from tests.simulated.faults import Error
from tests.simulated.world import NODE, OTHER_ZONE, WEST, Console, Simulation, perform, settings, without_geth
from transcoder import operate, tags
from transcoder.errors import Failed, Refused
from transcoder.layout import GETH, LIVEPEER
from transcoder.operate import OnError
from transcoder.recipes import (
    adopt,
    attach,
    confirm,
    create_key,
    detach,
    launch,
    logs,
    migrate,
    relocate,
    relocate_confirm,
    status,
)
from transcoder.recipes.create_key import NEW_ACCOUNT

TARGET = "tc001-b"
DEAD_PROCESS = 2**22 + 1


def node(*, nitro: bool = True, zone: str = "") -> Simulation:
    """A node that serves, and a machine beside it."""
    sim = Simulation(without_geth(), nitro=nitro)
    sim.node()
    sim.instance(TARGET, zone=zone)
    sim.forget()
    return sim


def go(to: str = TARGET, **options: object) -> operate.Operation:
    return migrate.operation(migrate.Request(NODE, to, **options))  # type: ignore[arg-type]  # a table of options


def assert_arrived(sim: Simulation, name: str = TARGET) -> None:
    sim.clock.sleep(5.0)
    sim.assert_served_by(name)
    sim.assert_nothing_lost()
    assert [seen.problems for seen in status.observe(sim.world)] == [()]
    assert sim.cloud.locks == {}


def all_that_was_said(sim: Simulation, console: Console) -> str:
    """Return every step that was shown and every command that was run."""
    steps = [step.title for plan in console.shown for step in plan.steps]
    return "\n".join([*steps, *(" ".join(command.argv) for command in sim.hosts.commands)])


# From nothing to a node


def test_a_node_from_nothing_to_healthy_with_the_commands_of_the_readme() -> None:
    sim = Simulation(without_geth())
    for operation in (
        launch.operation(launch.Request(NODE)),
        attach.operation(attach.Request(NODE, NODE)),
        create_key.operation(NODE),
        attach.operation(attach.Request(NODE)),
    ):
        perform(operation, sim)
    assert_arrived(sim, NODE)
    made = [v for v in sim.cloud.blocks.values() if v.tags.get(tags.ROLE) in (LIVEPEER.role, GETH.role)]
    assert [volume.tags[tags.ROLE] for volume in made] == [LIVEPEER.role]


def test_the_key_is_made_on_the_machine_by_the_tool_that_stands_for_geth() -> None:
    sim = Simulation(without_geth())
    sim.node(address="")
    perform(create_key.operation(NODE), sim)
    (made,) = [command for command in sim.hosts.commands if command.argv[0] == "runuser"]
    assert made.argv[-2:] == (NEW_ACCOUNT, KEYSTORE_PATH)
    assert made.stdin == ""
    assert [path for path in sim.disk(LIVEPEER).needed().tree if path.startswith(KEYSTORE + "/")]
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY


KEYSTORE_PATH = "/d1/livepeer/.lpData/keystore"


def test_an_image_without_the_tool_makes_no_key_and_says_what_to_type() -> None:
    sim = Simulation(without_geth())
    sim.node(address="")
    sim.machine(NODE).faults.lacks.add(NEW_ACCOUNT)
    with pytest.raises(Failed, match="has no /usr/local/lib/transcoder/new-account") as caught:
        perform(create_key.operation(NODE), sim)
    assert "invoke bake-ami" in caught.value.hint
    assert KEYSTORE_PATH in caught.value.hint


def test_a_volume_of_the_reference_is_adopted_and_runs_with_its_key() -> None:
    sim = Simulation(without_geth())
    sim.instance(NODE)
    volume = sim.volume(by_hand(LIVEPEER))
    perform(adopt.operation(adopt.Request(NODE, volume.id, "livepeer", NODE)), sim)
    perform(attach.operation(attach.Request(NODE, NODE)), sim)
    assert sim.machine(NODE).account == KEY
    assert sim.machine(NODE).held == set()


def test_a_geth_volume_has_no_place_here() -> None:
    sim = Simulation(without_geth())
    sim.instance(NODE)
    volume = sim.volume(by_hand(GETH))
    with pytest.raises(Refused, match=r"has no geth volume: environment simulated has geth\.enabled = false"):
        perform(adopt.operation(adopt.Request(NODE, volume.id, "geth", NODE)), sim)
    with pytest.raises(Refused, match="--geth-volume vol-0"):
        perform(attach.operation(attach.Request(NODE, NODE, geth_volume=volume.id)), sim)
    assert sim.cloud.mutations == []


# A look at it


def test_what_is_not_there_is_no_problem_and_no_row() -> None:
    sim = node()
    (seen,) = status.observe(sim.world)
    told = json.loads(json.dumps(seen.describe()))
    assert told["healthy"]
    assert list(told["volumes"]) == ["livepeer"]
    assert list(told["services"]) == ["d1.mount", "livepeer-transcoder.service"]
    assert told["chain"] is None
    assert told["round"]["current"] == sim.rounds.current
    assert "geth" not in json.dumps(told)


def test_a_chain_that_does_not_answer_is_told_by_livepeer() -> None:
    sim = node()
    sim.machine(NODE).faults.rpc_is_away = True
    (seen,) = status.observe(sim.world)
    assert any("livepeer gets no round from its RPC" in problem for problem in seen.problems)


def test_logs_are_those_of_livepeer_alone() -> None:
    sim = node()
    sim.machine(NODE).journal["livepeer-transcoder.service"] = ["Called reward for round 7"]
    request = logs.Request(NODE)
    (piece,) = logs.read(sim.world, request, logs.sources(sim.world, request))
    assert [entry.message for entry in piece.entries] == ["Called reward for round 7"]
    assert "geth.service" not in [part for command in sim.hosts.commands for part in command.argv[:5]]


# It moves


@pytest.mark.parametrize("nitro", [True, False], ids=["nitro", "xen"])
def test_the_node_goes_to_another_machine_and_no_step_speaks_of_geth(nitro: bool) -> None:
    sim = node(nitro=nitro)
    _, console = perform(go(), sim)
    assert_arrived(sim)
    (plan,) = console.shown
    assert list(plan.lanes()) == ["prepare", "source", "livepeer", "address", "node", "tags"]
    acted = [command for command in sim.hosts.commands if command.argv[:2] != ("systemctl", "show")]
    sim.hosts.commands[:] = acted
    assert "geth" not in all_that_was_said(sim, console)
    assert "/d2" not in all_that_was_said(sim, console)


@pytest.mark.parametrize("runs", ["v0.6.0", "v0.9.1"], ids=["round in bytes", "round as text"])
def test_a_reward_that_is_still_to_be_called_stops_it_also_when_the_machine_is_of_an_older_image(runs: str) -> None:
    sim = Simulation(without_geth(livepeer={"version": "v0.9.1"}))
    sim.node()
    sim.machine(NODE).programs["livepeer"] = runs
    sim.instance(TARGET)
    sim.rounds.current += 1
    sim.forget()
    with pytest.raises(Refused, match="the reward of round 1341 has not been called yet"):
        perform(go(), sim)
    assert sim.cloud.mutations == []
    perform(go(ignore_round=True), sim)
    assert_arrived(sim)


def _changes_of_a_whole_run() -> int:
    sim, counter = Simulation(without_geth()), Cut(-1, after=False)
    sim.node()
    operate.operate(go("new"), counter.world(sim), Console())
    return counter.changes


CHANGES = _changes_of_a_whole_run()


def _bury(*sims: Simulation) -> None:
    for sim in sims:
        sim.cloud.locks = {name: replace(lock, pid=DEAD_PROCESS) for name, lock in sim.cloud.locks.items()}


@pytest.mark.parametrize("at", range(CHANGES - 2))
def test_broken_off_at_any_change_and_run_again_it_ends_at_the_same_target(at: int) -> None:
    sim = Simulation(without_geth())
    sim.node()
    with pytest.raises(ProcessDied):
        operate.operate(go("new"), Cut(at, after=bool(at % 2)).world(sim), Console())
    _bury(sim)
    launched = [i.name for i in sim.cloud.machines.values() if i.name != NODE]
    perform(go("new"), sim)
    (target,) = [i.name for i in sim.cloud.machines.values() if i.name != NODE]
    assert launched in ([], [target])
    assert_arrived(sim, target)


def test_where_machines_have_public_addresses_the_address_moves_when_the_volume_is_mounted() -> None:
    sim = Simulation(without_geth(ssh={"address": "public"}))
    sim.node()
    sim.instance(TARGET)
    sim.forget()
    _, console = perform(go(), sim)
    (associate,) = [step for step in console.shown[0].steps if step.verb == "associate"]
    assert associate.after == ("livepeer/mount",)
    assert_arrived(sim)


def test_a_source_that_is_lost_is_left() -> None:
    sim = node()
    sim.machine(NODE).faults.powered_off = True
    sim.clock.sleep(3.0)
    with pytest.raises(Refused, match="--source-lost"):
        perform(go(), sim)
    perform(go(source_lost=True), sim)
    assert_arrived(sim)


def test_undone_it_is_back_where_it_was() -> None:
    sim = node()
    sim.cloud.faults.count_from_here()
    sim.cloud.faults.errors.append(Error("attach", 0, error=lambda: Failed("AttachVolume: InternalError: sorry")))
    with pytest.raises(Failed, match="undone: migrate node"):
        operate.operate(go(), sim.world, Console(), OnError.UNDO)
    assert_arrived(sim, NODE)


def test_to_another_zone_and_confirmed() -> None:
    sim = node(zone=OTHER_ZONE)
    old = sim.of(LIVEPEER).id
    perform(go(), sim)
    sim.clock.sleep(5.0)
    sim.assert_served_by(TARGET)
    assert sim.of(LIVEPEER).zone == OTHER_ZONE
    assert tags.RETIRED in sim.cloud.blocks[old].tags
    perform(confirm.operation(NODE), sim)
    assert old not in sim.cloud.blocks
    assert sim.cloud.snapshots() == ()


class Regions:
    """A node in the east without a geth, and the west; ``west`` may be another kind of environment."""

    def __init__(self, **west: object) -> None:
        self.east = Simulation(without_geth())
        where = {"region": "us-west-2", "availability_zone": "us-west-2a"}
        self.west = Simulation(without_geth(WEST, aws=where, **west), beside=self.east)  # type: ignore[arg-type]
        self.east.node()
        self.west.instance("west-b")

    def go(self, there: Simulation | None = None) -> operate.Operation:
        return relocate.operation(migrate.Request(NODE, "west-b"), (there or self.west).world)

    def assert_arrived(self) -> None:
        self.west.clock.sleep(5.0)
        self.west.assert_served_by("west-b")
        assert self.east.watcher.broken == []
        assert [seen.problems for seen in status.observe(self.west.world)] == [()]


def test_to_another_region_and_confirmed() -> None:
    both = Regions()
    old = both.east.of(LIVEPEER).id
    perform(both.go(), both.east)
    both.assert_arrived()
    assert [seen.node.gone_to for seen in status.observe(both.east.world, NODE)] == [WEST]
    perform(relocate_confirm.operation(NODE, both.west.world), both.east)
    assert old not in both.east.cloud.blocks


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_broken_off_on_the_way_to_another_region_it_goes_on(at: int) -> None:
    both = Regions()
    cut = Cut(at, after=bool(at % 2))
    east, west = cut.world(both.east), cut.world(both.west)
    try:
        operate.operate(relocate.operation(migrate.Request(NODE, "west-b"), west), east, Console())
    except ProcessDied:
        _bury(both.east, both.west)
        perform(both.go(), both.east)
    both.assert_arrived()


# Neither gained nor lost on the way


@pytest.mark.parametrize("enabled", [True, False], ids=["gains one", "loses one"])
def test_to_an_environment_with_another_set_of_volumes_is_refused_and_nothing_stops(enabled: bool) -> None:
    east = Simulation(without_geth() if enabled else settings())
    where = {"region": "us-west-2", "availability_zone": "us-west-2a"}
    west = Simulation(settings(WEST, aws=where) if enabled else without_geth(WEST, aws=where), beside=east)
    east.node()
    west.instance("west-b")
    east.forget()
    with pytest.raises(Refused, match="does not gain or lose its geth on the way") as caught:
        perform(relocate.operation(migrate.Request(NODE, "west-b"), west.world), east)
    for said in (f"environment simulated has geth.enabled = {'false' if enabled else 'true'}", f"environment {WEST}"):
        assert said in caught.value.message
    assert east.cloud.mutations == []


def test_a_node_with_a_geth_is_not_touched_in_an_environment_that_was_changed_to_none() -> None:
    sim = Simulation()
    sim.node()
    sim.instance(TARGET)
    sim.forget()
    changed = replace(sim.world, settings=without_geth(livepeer={"version": "0.2.4"}))
    for operation in (go(), detach.operation(detach.Request(NODE)), attach.operation(attach.Request(NODE))):
        with pytest.raises(Refused, match=r"geth\.enabled = false") as caught:
            operate.operate(operation, changed, Console())
        assert sim.of(GETH).id in "".join(caught.value.reasons)
    (seen,) = status.observe(changed)
    assert any(sim.of(GETH).id in problem for problem in seen.problems)
    assert sim.cloud.mutations == []


def test_an_image_of_another_kind_is_no_target() -> None:
    sim = node()
    machine = sim.machine(TARGET)
    machine.parts, machine.programs = (LIVEPEER, GETH), {"geth": "1.8.27", "livepeer": "v0.6.0"}
    with pytest.raises(Refused) as caught:
        perform(go(), sim)
    text = "\n".join(caught.value.reasons)
    assert "the target has a geth.service" in text
    assert "the image has a geth, and the node has none" in text
    assert sim.cloud.mutations == []


def test_a_machine_without_the_unit_gets_no_volume_created_for_it() -> None:
    sim = Simulation()
    sim.volume(ours(LIVEPEER, NODE, KEY), LIVEPEER, {tags.ADDRESS: KEY})
    sim.instance(NODE)
    sim.machine(NODE).parts = (LIVEPEER,)
    sim.forget()
    with pytest.raises(Refused, match=r"tc001 has no geth\.service"):
        perform(attach.operation(attach.Request(NODE, NODE)), sim)
    assert sim.cloud.mutations == []


def test_detached_it_comes_back() -> None:
    sim = node()
    perform(detach.operation(detach.Request(NODE)), sim)
    assert sim.of(LIVEPEER).attachment is None
    (seen,) = status.observe(sim.world, NODE)
    assert not any("create-key" in problem for problem in seen.problems), "its key is on the volume"
    assert sim.machine(NODE).held == set()
    perform(attach.operation(attach.Request(NODE, NODE)), sim)
    assert_arrived(sim, NODE)
