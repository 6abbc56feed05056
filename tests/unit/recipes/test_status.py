"""Status: what is up, what is not, and what to type about it."""

from __future__ import annotations

import json
import re

import pytest

from tests.simulated.disk import KEY
from tests.simulated.world import NODE, Simulation, perform
from transcoder import tags
from transcoder.layout import GETH, LIVEPEER
from transcoder.recipes import create_key, migrate, status
from transcoder.world import Lock


def problems(sim: Simulation) -> str:
    (found,) = status.observe(sim.world)
    return "\n".join(found.problems)


def up() -> Simulation:
    sim = Simulation()
    sim.node()
    return sim


def test_a_healthy_node_has_no_problem_and_says_all_of_itself() -> None:
    sim = up()
    statuses = status.observe(sim.world)
    assert status.is_healthy(statuses)
    described = json.loads(json.dumps(statuses[0].describe()))
    assert described["healthy"] is True
    assert described["address"] == KEY
    assert described["marker"] == {"node": NODE, "role": "livepeer", "address": KEY}
    assert described["elastic_ip_at"] == described["instance"] == sim.machine(NODE).instance_id
    assert described["chain"]["peers"] == 3
    assert set(described["open_files_limit"].values()) == {50000}
    assert [mount["target"] for mount in described["mounts"]] == ["/d2", "/d1"]
    assert described["volumes"]["livepeer"]["attachment"]["state"] == "attached"


def test_no_node_is_not_healthy() -> None:
    assert status.observe(Simulation().world) == ()
    assert not status.is_healthy(())


def _stop_livepeer(sim: Simulation) -> None:
    sim.machine(NODE).stop(LIVEPEER.service.unit)


def _stop_geth(sim: Simulation) -> None:
    sim.machine(NODE).stop(GETH.service.unit)


def _unmount(sim: Simulation) -> None:
    sim.machine(NODE).stop(LIVEPEER.mount_unit)


def _silence(sim: Simulation) -> None:
    sim.machine(NODE).faults.unreachable = True


def _stop_machine(sim: Simulation) -> None:
    sim.cloud.set_state(sim.machine(NODE).instance_id, "stopped")


def _lose_peers(sim: Simulation) -> None:
    sim.machine(NODE).faults.geth_finds_no_peers = True


def _hold(sim: Simulation) -> None:
    sim.machine(NODE).held.add("geth.service")


def _take_the_address_away(sim: Simulation) -> None:
    other = sim.instance("other")
    sim.cloud.associate(next(iter(sim.cloud.elastic)), other.id)


def _impostor(sim: Simulation) -> None:
    sim.machine(NODE).account = "0x" + "9" * 40


def _lock(sim: Simulation) -> None:
    sim.cloud.locks[NODE] = Lock("ann", "bastion", 1, "2026-11-22T10:00:00+00:00", "fab detach")


def _lose_a_volume(sim: Simulation) -> None:
    sim.cloud.untag(sim.of(GETH).id, [tags.NODE])


@pytest.mark.parametrize(
    ("break_it", "said", "to_type"),
    [
        (_stop_livepeer, "livepeer-transcoder.service is inactive", "fab logs --unit livepeer-transcoder.service"),
        (_stop_geth, "geth.service is inactive", "fab logs --unit geth.service"),
        (_unmount, "/d1 is not mounted", "fab attach --node tc001"),
        (_silence, "no answer over SSH", "fab migrate --node tc001 --to new"),
        (_stop_machine, "is stopped", "fab migrate --node tc001 --to new"),
        (_lose_peers, "geth has no peers", ""),
        (_hold, "held on tc001", "geth.service"),
        (_take_the_address_away, "Elastic IP 198.51.100.1 is not at tc001", "fab attach"),
        (_impostor, "livepeer runs as 0x9999", "fab logs"),
        (_lock, "locked: fab detach by ann on bastion", "fab unlock --node tc001"),
        (_lose_a_volume, "it has no geth volume", "fab attach --node tc001"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_what_is_wrong_is_said_with_what_to_type(break_it: object, said: str, to_type: str) -> None:
    sim = up()
    assert callable(break_it)
    break_it(sim)
    assert said in problems(sim)
    assert to_type in problems(sim)


def _fail(sim: Simulation, told: str) -> None:
    unit = sim.machine(NODE).unit(LIVEPEER.service.unit)
    unit.active, unit.sub, unit.result, unit.told = "failed", "failed", "exit-code", told


def test_a_service_that_refused_to_start_says_why() -> None:
    sim = up()
    _fail(sim, "refused: there is no passphrase for the node's key in ssm: type `fab set-passphrase`")
    assert "(failed, exit-code)" in problems(sim)
    assert ", refused: there is no passphrase for the node's key in ssm: type `fab set-passphrase`: " in problems(sim)


def test_what_a_service_said_while_it_ran_is_not_told_of_one_that_has_failed() -> None:
    sim = up()
    _fail(sim, "running as 0x0123")
    assert "(failed, exit-code)" in problems(sim)
    assert "running as" not in problems(sim)


def test_a_node_without_a_key_is_told_how_to_get_one_and_is_healthy_with_it() -> None:
    sim = Simulation()
    sim.node(address="")
    assert "fab create-key --node tc001" in problems(sim)
    perform(create_key.operation(NODE), sim)
    assert "it has no key" not in problems(sim)


def test_a_node_at_no_machine_is_told_how_to_get_one() -> None:
    sim = up()
    sim.cloud.terminate(sim.machine(NODE).instance_id)
    sim.clock.sleep(10)
    assert "invoke launch --node tc001" in problems(sim)


def test_a_head_that_is_old_is_named_with_its_age_and_the_limit() -> None:
    sim = up()
    sim.machine(NODE).faults.chain_behind = 60.0
    assert re.search(r"geth's head is (59|6\d) s old \(limit 30 s\)", problems(sim))


def test_looking_changes_nothing() -> None:
    sim = up()
    before = sim.everything()
    status.observe(sim.world)
    assert sim.everything() == before
    assert (sim.cloud.mutations, sim.hosts.mutations) == ([], [])


def test_the_other_machines_are_listed_with_what_they_are() -> None:
    sim = up()
    sim.instance("tc001-b")
    perform(migrate.operation(migrate.Request(NODE, "tc001-b")), sim)
    sim.instance("tc001-c", {tags.ROLE: "spare"})
    sim.instance("tc001-d", {tags.TARGET_FOR: NODE})
    others = {name: what for name, _, what in status.other_machines(sim.world, status.observe(sim.world))}
    assert others == {
        "tc001": "running, retired: carried node tc001",
        "tc001-c": "running, spare",
        "tc001-d": "running, launched as the target of an unfinished migration of tc001",
    }


def test_one_node_of_several_can_be_asked_for() -> None:
    sim = up()
    sim.instance("tc002", {tags.NODE: "tc002"})
    assert [found.node.name for found in status.observe(sim.world)] == [NODE, "tc002"]
    assert [found.node.name for found in status.observe(sim.world, "tc002")] == ["tc002"]
