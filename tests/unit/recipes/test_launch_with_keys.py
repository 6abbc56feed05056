"""Launch with an old account: its key is in place before livepeer starts for the first time."""

from __future__ import annotations

import pytest

from tests.simulated.disk import KEY, KEY_FILE, key_content
from tests.simulated.world import NODE, Simulation, perform
from transcoder import tags
from transcoder.actions.keys import backup_name
from transcoder.errors import Refused
from transcoder.facts.bundle import Bundle, render_bundle
from transcoder.facts.claim import Claim, render_claim
from transcoder.layout import LIVEPEER
from transcoder.recipes import attach, launch, restored_launch

REQUEST = launch.Request(NODE)


def stored() -> Simulation:
    """Return an empty environment whose store has the key of a node that is gone."""
    sim = Simulation()
    bundle = Bundle(KEY, NODE, "simulated", "2026-01-01T00:00:00+00:00", {f"keystore/{KEY_FILE}": key_content(KEY)})
    sim.keystore().put(backup_name(KEY), render_bundle(bundle))
    return sim


def launched(sim: Simulation) -> None:
    after = restored_launch.operations(sim.world, REQUEST, "", KEY, source_lost=False)
    for operation in (launch.operation(REQUEST), attach.operation(attach.Request(NODE)), *after):
        perform(operation, sim)


def test_a_fresh_node_comes_up_with_the_old_account_and_ran_with_no_other() -> None:
    sim = stored()
    launched(sim)
    sim.clock.sleep(10)
    sim.assert_served_by(NODE)
    assert set(sim.watcher.of_key) == {KEY}
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY


def test_livepeer_is_started_once_the_key_is_there_and_not_before() -> None:
    sim = stored()
    launched(sim)
    said = [" ".join(command.argv) for command in sim.hosts.commands]
    moved = next(n for n, line in enumerate(said) if line.startswith("mv") and line.endswith(KEY_FILE))
    started = [n for n, line in enumerate(said) if line == f"systemctl start {LIVEPEER.service.unit}"]
    assert started
    assert min(started) > moved


def test_nothing_is_launched_for_a_key_that_no_store_has() -> None:
    sim = Simulation()
    with pytest.raises(Refused, match="has no backup"):
        launched(sim)
    assert sim.cloud.machines == {}


def test_nothing_is_launched_for_a_key_that_is_another_nodes() -> None:
    sim = stored()
    claim = Claim(KEY, "production", "tc009", "ada on laptop", "2026-01-01T00:00:00+00:00")
    sim.keystore().create(f"{KEY}/claim-1", render_claim(claim))
    with pytest.raises(Refused, match="claimed for node tc009 of production"):
        launched(sim)
    assert sim.cloud.machines == {}


def test_a_spare_machine_carries_no_key() -> None:
    with pytest.raises(Refused, match="spare"):
        restored_launch.operations(stored().world, launch.Request(NODE, spare=True), "", KEY, source_lost=False)
