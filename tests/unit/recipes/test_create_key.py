"""Create key: one account, made where it stays, never a second one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import KEY, KEYSTORE, Entry, key_files
from tests.simulated.world import NODE, Console, Simulation, perform, settings
from transcoder import operate, tags
from transcoder.errors import Refused
from transcoder.layout import LIVEPEER, MARKER
from transcoder.recipes import create_key

DEAD_PROCESS = 2**22 + 1


def keyless() -> Simulation:
    sim = Simulation()
    sim.node(address="")
    return sim


def marker(sim: Simulation) -> bytes:
    return sim.disk(LIVEPEER).needed().tree[f"/{MARKER}"].data or b""


def test_the_account_is_made_on_the_volume_and_written_into_marker_and_tag() -> None:
    sim = keyless()
    perform(create_key.operation(NODE), sim)
    tree = sim.disk(LIVEPEER).needed().tree
    (key,) = [path for path in tree if path.startswith(KEYSTORE + "/")]
    assert (tree[key].uid, tree[key].mode) == (2101, 0o600)
    assert KEY.encode() in marker(sim)
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY


def test_a_second_time_there_is_nothing_to_do_and_the_key_is_the_same() -> None:
    sim = keyless()
    perform(create_key.operation(NODE), sim)
    before = sim.disk(LIVEPEER).digest()
    outcome, _ = perform(create_key.operation(NODE), sim)
    assert outcome.nothing_to_do
    assert sim.disk(LIVEPEER).digest() == before


def test_no_passphrase_and_no_key_is_on_any_command_line() -> None:
    sim = keyless()
    perform(create_key.operation(NODE), sim)
    (made,) = [command for command in sim.hosts.commands if command.argv[0] == "runuser"]
    assert made.argv[-2:] == ("--password", "/dev/null")


def test_a_key_that_is_there_already_is_taken_not_replaced() -> None:
    sim = keyless()
    sim.disk(LIVEPEER).needed().tree.update(key_files(2101))
    perform(create_key.operation(NODE), sim)
    assert [command for command in sim.hosts.commands if command.argv[0] == "runuser"] == []
    assert KEY.encode() in marker(sim)


def test_a_node_that_is_meant_to_be_somebody_gets_no_new_key() -> None:
    wanted = "0x" + "7" * 40
    sim = Simulation(settings(livepeer={"address": wanted}))
    sim.node(address="")
    with pytest.raises(Refused) as caught:
        perform(create_key.operation(NODE), sim)
    assert any(wanted in reason and "fab restore-keys" in reason for reason in caught.value.reasons)
    assert sim.hosts.mutations == []


def test_a_marker_whose_key_is_gone_gets_no_new_key() -> None:
    sim = Simulation()
    sim.node()
    tree = sim.disk(LIVEPEER).needed().tree
    for path in [path for path in tree if path.startswith(KEYSTORE + "/")]:
        del tree[path]
    with pytest.raises(Refused, match="whose key is not there"):
        perform(create_key.operation(NODE), sim)


def test_several_accounts_are_the_operators_to_sort_out() -> None:
    sim = keyless()
    tree = sim.disk(LIVEPEER).needed().tree
    tree.update(key_files(2101))
    tree[f"{KEYSTORE}/UTC--2027-01-01T00-00-00.0Z--{'ab' * 20}"] = Entry(0o600, 2101, 2101, b"{}")
    with pytest.raises(Refused, match="several accounts"):
        perform(create_key.operation(NODE), sim)


def test_a_volume_that_is_not_mounted_is_refused() -> None:
    sim = keyless()
    sim.machine(NODE).stop(LIVEPEER.mount_unit)
    with pytest.raises(Refused, match="/d1 is not mounted"):
        perform(create_key.operation(NODE), sim)


def test_a_node_that_is_nowhere_is_refused() -> None:
    with pytest.raises(Refused, match="is not at any instance"):
        perform(create_key.operation(NODE), Simulation())


def test_a_dry_run_makes_no_key() -> None:
    sim = keyless()
    before = sim.everything()
    operate.preview(create_key.operation(NODE), sim.world, Console())
    assert sim.everything() == before
    assert sim.hosts.mutations == []


def _changes() -> int:
    sim, counter = keyless(), Cut(-1, after=False)
    operate.operate(create_key.operation(NODE), counter.world(sim), Console())
    return counter.changes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(_changes()))
def test_broken_off_at_any_change_the_same_command_ends_with_one_key_known_everywhere(at: int, after: bool) -> None:
    sim = keyless()
    with pytest.raises(ProcessDied):
        operate.operate(create_key.operation(NODE), Cut(at, after=after).world(sim), Console())
    sim.cloud.locks = {node: replace(lock, pid=DEAD_PROCESS) for node, lock in sim.cloud.locks.items()}
    perform(create_key.operation(NODE), sim)
    assert KEY.encode() in marker(sim)
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY
    assert [c.argv[0] for c in sim.hosts.commands].count("runuser") == 1
    assert sim.cloud.locks == {}
