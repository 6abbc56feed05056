"""Launch: one machine with its address, whatever was there before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import ours
from tests.simulated.world import ENVIRONMENT, NODE, OTHER_ZONE, Console, Simulation, perform
from transcoder import operate, tags
from transcoder.errors import Failed, Refused
from transcoder.layout import GETH, LIVEPEER
from transcoder.model import Image
from transcoder.recipes import attach, create_key, launch, status
from transcoder.world import LaunchRequest

DEAD_PROCESS = 2**22 + 1


def start(**more: object) -> operate.Operation:
    return launch.operation(launch.Request(NODE, **more))  # type: ignore[arg-type] # a table of options


def add_image(sim: Simulation, image_id: str, created: str, *, verified: bool = True, state: str = "available") -> None:
    own = {tags.ENVIRONMENT: ENVIRONMENT} | ({tags.VERIFIED: "2026-06-01T00:01:00Z 0123"} if verified else {})
    sim.cloud.amis[image_id] = Image(image_id, image_id, state, created, tags=own)


def again(sim: Simulation) -> None:
    assert launch.plan(launch.observe(sim.world, launch.Request(NODE))).empty


def test_an_instance_from_the_newest_image_is_booted_and_has_the_nodes_address() -> None:
    sim = Simulation()
    add_image(sim, "ami-newer", "2026-06-01T00:00:00Z")
    add_image(sim, "ami-pending", "2026-07-01T00:00:00Z", state="pending")
    perform(start(), sim)
    (instance,) = sim.cloud.machines.values()
    assert (instance.name, instance.image_id) == (NODE, "ami-newer")
    assert sim.machine(NODE).booted()
    assert [address.instance_id for address in sim.cloud.elastic.values()] == [instance.id]
    again(sim)


def test_a_node_from_nothing_to_healthy_with_the_commands_of_the_readme() -> None:
    sim = Simulation()
    for operation in (
        start(),
        attach.operation(attach.Request(NODE, NODE)),
        create_key.operation(NODE),
        attach.operation(attach.Request(NODE)),
    ):
        perform(operation, sim)
    sim.clock.sleep(5.0)
    sim.assert_served_by(NODE)
    sim.assert_nothing_lost()
    assert [s.problems for s in status.observe(sim.world)] == [()]


def test_launching_twice_launches_once() -> None:
    sim = Simulation()
    perform(start(), sim)
    outcome, _ = perform(start(), sim)
    assert outcome.nothing_to_do
    assert len(sim.cloud.machines) == 1


def test_the_printed_launch_is_the_launch_that_is_made() -> None:
    sim = Simulation()
    outcome, console = perform(start(), sim)
    (call,) = [call for call in sim.cloud.calls if call.name == "launch"]
    (asked,) = call.arguments
    assert isinstance(asked, LaunchRequest)
    printed = outcome.plan.steps[0].describe()
    assert (printed["token"], printed["image_id"]) == (asked.token, asked.image_id)
    assert [plan.title for plan in console.shown].count(outcome.plan.title) == 1


def test_a_spare_machine_gets_neither_address_nor_node() -> None:
    sim = Simulation()
    sim.node()
    perform(start(name="tc001-b", spare=True), sim)
    spare = next(i for i in sim.cloud.machines.values() if i.name == "tc001-b")
    assert spare.tags[tags.ROLE] == "spare"
    assert tags.NODE not in spare.tags
    assert spare.id not in {address.instance_id for address in sim.cloud.elastic.values()}


def test_a_node_that_runs_elsewhere_is_not_launched_a_second_time() -> None:
    sim = Simulation()
    sim.node()
    with pytest.raises(Refused, match="is at tc001") as caught:
        perform(start(name="tc001-b"), sim)
    assert "fab migrate --node tc001 --to new" in caught.value.hint


def test_it_is_launched_in_the_zone_of_the_volumes_it_is_for() -> None:
    sim = Simulation()
    for data in (LIVEPEER, GETH):
        sim.cloud.add_volume(
            ours(data), OTHER_ZONE, {tags.ENVIRONMENT: ENVIRONMENT, tags.NODE: NODE, tags.ROLE: data.role}
        )
    perform(start(), sim)
    assert [instance.zone for instance in sim.cloud.machines.values()] == [OTHER_ZONE]


def test_without_an_image_the_way_to_one_is_named() -> None:
    sim = Simulation()
    sim.cloud.amis.clear()
    with pytest.raises(Refused) as caught:
        perform(start(), sim)
    assert caught.value.hint == "invoke bake-ami"


def test_a_newer_image_that_is_not_verified_is_passed_over_and_named() -> None:
    sim = Simulation()
    add_image(sim, "ami-unseen", "2026-06-01T00:00:00Z", verified=False)
    outcome, _ = perform(start(), sim)
    assert {instance.image_id for instance in sim.cloud.machines.values()} == {"ami-node"}
    assert "ami-unseen is newer and not verified: invoke verify-ami --ami ami-unseen" in outcome.plan.notes


@pytest.mark.parametrize("asked", [{}, {"image_id": "ami-unseen"}], ids=["the newest", "by its id"])
def test_an_image_that_is_not_verified_is_refused_with_the_command_to_type(asked: dict[str, str]) -> None:
    sim = Simulation()
    sim.cloud.amis.clear()
    add_image(sim, "ami-unseen", "2026-06-01T00:00:00Z", verified=False)
    with pytest.raises(Refused, match=r"ami-unseen .* has not been verified") as caught:
        perform(start(**asked), sim)
    assert caught.value.hint.startswith("invoke verify-ami --ami ami-unseen")
    assert "invoke launch --ami ami-unseen --unverified" in caught.value.hint
    assert sim.cloud.machines == {}


@pytest.mark.parametrize("asked", [{}, {"image_id": "ami-unseen"}], ids=["the newest", "by its id"])
def test_an_image_that_is_not_verified_is_taken_by_who_says_so(asked: dict[str, str]) -> None:
    sim = Simulation()
    add_image(sim, "ami-unseen", "2026-06-01T00:00:00Z", verified=False)
    outcome, _ = perform(start(unverified=True, **asked), sim)
    assert {instance.image_id for instance in sim.cloud.machines.values()} == {"ami-unseen"}
    assert "ami-unseen has not been verified" in outcome.plan.notes


def test_an_image_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Refused, match="ami-0bad is not one of this account"):
        perform(start(image_id="ami-0bad"), Simulation())


@pytest.mark.parametrize("name", ["tc_001", "-a", "a b", "a" * 64, "x;reboot"])
def test_a_name_that_is_no_host_name_is_refused(name: str) -> None:
    sim = Simulation()
    with pytest.raises(Refused, match="is no host name"):
        perform(start(name=name), sim)
    assert sim.cloud.mutations == []


def test_a_machine_that_ends_instead_of_starting_is_told_at_once() -> None:
    sim = Simulation()

    def no_capacity() -> None:
        for instance_id in sim.cloud.machines:
            sim.cloud.set_state(instance_id, "shutting-down")

    sim.clock.listen(no_capacity)
    with pytest.raises(Failed, match="is shutting-down instead of running"):
        perform(start(), sim)


def test_it_is_not_called_up_before_it_has_finished_booting() -> None:
    sim = Simulation()
    sim.instance(NODE, booted=False)
    sim.clock.sleep(11.0)  # running for 5 s: sshd answers, systemd still starts units
    assert sim.machine(NODE).answers()
    assert not sim.machine(NODE).booted()
    perform(start(), sim)
    assert sim.machine(NODE).booted()


def test_a_dry_run_launches_nothing() -> None:
    sim = Simulation()
    outcome = operate.preview(start(), sim.world, Console())
    assert [step.verb for step in outcome.plan.pending] == ["launch", "allocate"]
    assert sim.cloud.mutations == []
    assert sim.cloud.machines == {}


def _changes() -> int:
    sim, counter = Simulation(), Cut(-1, after=False)
    operate.operate(start(), counter.world(sim), Console())
    return counter.changes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(_changes()))
def test_broken_off_at_any_change_the_same_command_ends_with_one_machine(at: int, after: bool) -> None:
    sim = Simulation()
    with pytest.raises(ProcessDied):
        operate.operate(start(), Cut(at, after=after).world(sim), Console())
    sim.cloud.locks = {node: replace(lock, pid=DEAD_PROCESS) for node, lock in sim.cloud.locks.items()}
    perform(start(), sim)
    assert len(sim.cloud.machines) == 1
    assert len(sim.cloud.elastic) == 1
    assert sim.cloud.locks == {}
    again(sim)


def test_the_script_for_the_first_boot_sets_the_full_host_name_and_holds_no_secret() -> None:
    script = launch.user_data("tc001", "example.org")
    assert script.startswith("#!/bin/sh\nset -eu\n")
    assert "hostname 'tc001.example.org'" in script
    assert launch.user_data("tc001", "").count("tc001") == 4
