"""What can refuse a migration does so before the first stop: the node goes on as if nothing had been typed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulated.world import NODE, Console, Simulation, perform
from transcoder import operate, tags
from transcoder.errors import Failed, Refused
from transcoder.layout import GETH, LIVEPEER
from transcoder.recipes import migrate
from transcoder.world import Lock


def two_machines() -> Simulation:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.forget()
    return sim


def refused(sim: Simulation, **options: object) -> str:
    """Return all that the refusal says, having made sure that nothing was done and the node still runs."""
    before, pid = sim.cloud.state(), sim.machine(NODE).unit(LIVEPEER.service.unit).pid
    with pytest.raises(Refused) as caught:
        perform(migrate.operation(migrate.Request(NODE, "tc001-b", **options)), sim)  # type: ignore[arg-type]
    assert sim.cloud.mutations == []
    assert sim.hosts.mutations == []
    assert sim.cloud.state() == before
    assert sim.machine(NODE).unit(LIVEPEER.service.unit).pid == pid != 0
    return str(caught.value)


def a_clock_that_is_wrong(sim: Simulation) -> None:
    sim.machine("tc001-b").faults.clock_offset = 60.0


def an_image_that_is_too_old(sim: Simulation) -> None:
    sim.machine("tc001-b").programs["geth"] = "1.8.20"


def an_image_that_keeps_its_keys_elsewhere(sim: Simulation) -> None:
    sim.machine("tc001-b").programs["livepeer"] = "0.4.0"


def a_reward_still_to_be_called(sim: Simulation) -> None:
    sim.machine(NODE).rounds.current += 1


def a_policy_without_attach(sim: Simulation) -> None:
    sim.cloud.denied.add("AttachVolume")


def a_policy_without_associate(sim: Simulation) -> None:
    sim.cloud.denied.add("AssociateAddress")


def a_copy_of_the_volume(sim: Simulation) -> None:
    twin = sim.volume(sim.disk(LIVEPEER).copy())
    sim.plug(twin, next(i for i in sim.cloud.machines.values() if i.name == "tc001-b"), "/dev/sdm")


def somebody_at_work(sim: Simulation) -> None:
    sim.cloud.locks[NODE] = Lock("ada", "another-machine", 4711, "2026-01-31T16:00:00+00:00", "fab migrate --to new")


def no_device_name_left(sim: Simulation) -> None:
    instance = next(i for i in sim.cloud.machines.values() if i.name == "tc001-b")
    names = ",".join(f"/dev/sd{letter}" for letter in "fghijklmnop")
    sim.cloud.tag(instance.id, {tags.BAD_DEVICES: names})
    sim.forget()


def a_file_system_that_the_kernel_has_made_read_only(sim: Simulation) -> None:
    sim.machine(NODE).faults.read_only.add(GETH.mount)


def a_file_system_that_has_met_errors_and_is_shown_as_writable(sim: Simulation) -> None:
    sim.machine(NODE).faults.errors[LIVEPEER.mount] = 117


REASONS: dict[Callable[[Simulation], None], tuple[str, ...]] = {
    a_clock_that_is_wrong: ("60 s ahead of that of tc001", "chronyc makestep"),
    an_image_that_is_too_old: ("geth would go back from 1.8.27 to 1.8.20",),
    an_image_that_keeps_its_keys_elsewhere: ("<network>/keystore",),
    a_reward_still_to_be_called: ("reward of round 1341 has not been called", "--ignore-round"),
    a_policy_without_attach: ("AttachVolume is not permitted",),
    a_policy_without_associate: ("AssociateAddress is not permitted",),
    a_copy_of_the_volume: ("has the same UUID", "another disk labelled livepeer-data"),
    somebody_at_work: ("ada on another-machine", f"fab unlock --node {NODE}"),
    a_file_system_that_the_kernel_has_made_read_only: (
        "the file system of /d2 of the source has had an error",
        "dmesg",
    ),
    a_file_system_that_has_met_errors_and_is_shown_as_writable: ("the file system of /d1 of the source has had an",),
    no_device_name_left: ("no device name left", tags.BAD_DEVICES),
}


@pytest.mark.parametrize("situation", REASONS, ids=lambda situation: situation.__name__)
def test_it_is_refused_with_the_reason_and_what_to_do(situation: Callable[[Simulation], None]) -> None:
    sim = two_machines()
    situation(sim)
    said = refused(sim)
    for words in REASONS[situation]:
        assert words in said


def test_all_reasons_are_told_at_once() -> None:
    sim = two_machines()
    for situation in REASONS:
        situation(sim)
    said = refused(sim, force_detach=("vol-0123",))
    for words in (word for all_words in REASONS.values() for word in all_words if "fab" not in word):
        assert words in said
    assert "--force-detach vol-0123" in said


def test_the_round_can_be_ignored() -> None:
    sim = two_machines()
    a_reward_still_to_be_called(sim)
    perform(migrate.operation(migrate.Request(NODE, "tc001-b", ignore_round=True)), sim)
    sim.clock.sleep(5.0)
    sim.assert_served_by("tc001-b")


def test_a_clock_that_does_not_follow_another_one_yet_is_waited_for_before_the_first_stop() -> None:
    sim = two_machines()
    sim.machine("tc001-b").faults.unsynchronised = True
    with pytest.raises(Failed, match="clock of tc001-b"):
        perform(migrate.operation(migrate.Request(NODE, "tc001-b")), sim)
    assert sim.machine(NODE).unit(LIVEPEER.service.unit).active == "active"
    assert sim.of(LIVEPEER).attached_to(sim.machine(NODE).instance_id)
    sim.machine("tc001-b").faults.unsynchronised = False
    perform(migrate.operation(migrate.Request(NODE, "tc001-b")), sim)
    sim.clock.sleep(5.0)
    sim.assert_served_by("tc001-b")


def test_nothing_is_asked_when_somebody_holds_the_lock() -> None:
    sim = two_machines()
    somebody_at_work(sim)
    console = Console()
    with pytest.raises(Refused, match="ada"):
        operate.operate(migrate.operation(migrate.Request(NODE, "tc001-b")), sim.world, console)
    assert console.questions == []


def test_looks_that_only_serve_to_refuse_are_not_taken_while_the_node_is_down() -> None:
    sim = two_machines()
    for data in (LIVEPEER, GETH):
        sim.machine(NODE).held.add(data.service.unit)
        sim.machine(NODE).stop(data.service.unit)
    sim.forget()
    operate.preview(migrate.operation(migrate.Request(NODE, "tc001-b")), sim.world, Console())
    assert [call.name for call in sim.cloud.calls if call.name == "denial"] == []
    assert [command for command in sim.hosts.commands if command.argv[0] in ("chronyc", "date")] == []
