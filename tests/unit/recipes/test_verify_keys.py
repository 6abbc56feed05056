"""Verify, list and rotate: with a key that a passphrase really opens."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest
from eth_account import Account

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import KEYSTORE, Entry, marker, ours
from tests.simulated.world import NODE, Console, Simulation, perform, settings
from transcoder import operate, proof, tags
from transcoder.actions.keys import backup_name, find_note
from transcoder.errors import Refused
from transcoder.facts.bundle import parse_bundle
from transcoder.layout import LIVEPEER, MARKER
from transcoder.recipes import backup_keys, list_keys, rotate_passphrase, status, verify_keys
from transcoder.secret import Secret

OLD, NEW = Secret("correct horse"), Secret("battery staple")
PRIVATE = bytes(range(1, 33))
DEAD_PROCESS = 2**22 + 1


@cache
def own_key() -> tuple[str, str, bytes]:
    """Return address, name and content of a key file that `OLD` opens; with little work, for it is made often."""
    table = Account.encrypt(PRIVATE, OLD.reveal(), kdf="scrypt", iterations=2)
    address = table["address"].lower().removeprefix("0x")
    content = json.dumps({**table, "address": address}).encode()
    return f"0x{address}", f"UTC--2026-11-22T05-11-48.664775025Z--{address}", content


ADDRESS, NAME, CONTENT = own_key()
PATH = f"{KEYSTORE}/{NAME}"


@pytest.fixture(autouse=True)
def little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "STANDARD", 4)
    monkeypatch.setattr(proof, "LIGHT", 2)


def node(version: str = "0.5.13", **livepeer: object) -> Simulation:
    """Return a node with that key."""
    sim = Simulation(settings(livepeer={"version": version, "options": {"ethPassword": "/run/p"}, **livepeer}))
    sim.node(address="")
    tree = sim.disk(LIVEPEER).needed().tree
    tree[KEYSTORE] = Entry(0o700, 2101, 2101)
    tree[PATH] = Entry(0o600, 2101, 2101, CONTENT)
    tree[f"/{MARKER}"] = Entry(0o644, 0, 0, marker(NODE, "livepeer", ADDRESS))
    sim.cloud.tag(sim.of(LIVEPEER).id, {tags.ADDRESS: ADDRESS})
    sim.forget()
    return sim


def backed_up(version: str = "0.5.13") -> Simulation:
    sim = node(version)
    perform(backup_keys.operation(backup_keys.Request(NODE)), sim)
    return sim


def verify(sim: Simulation, passphrase: Secret | None = None) -> verify_keys.Checked:
    (checked,) = verify_keys.verify(sim.world, NODE, ["ssm"], "", passphrase)
    return checked


def content(sim: Simulation) -> bytes:
    return sim.disk(LIVEPEER).needed().tree[PATH].data or b""


# verify


def test_a_good_backup_is_good_and_the_store_remembers_when_it_was_verified() -> None:
    sim = backed_up()
    checked = verify(sim)
    assert (checked.problems, checked.compared, checked.proven) == ((), True, False)
    note = find_note(sim.keystore(), ADDRESS)
    assert note is not None
    assert note.verified
    assert not note.proven


def test_the_passphrase_proves_that_the_key_is_the_one_it_says() -> None:
    sim = backed_up()
    assert verify(sim, OLD).proven
    note = find_note(sim.keystore(), ADDRESS)
    assert note is not None
    assert note.proven


def test_a_wrong_passphrase_proves_nothing_and_is_not_shown() -> None:
    sim = backed_up()
    checked = verify(sim, NEW)
    assert not checked.proven
    assert "the passphrase does not open" in checked.problems[0]
    assert NEW.reveal() not in str(checked)
    note = find_note(sim.keystore(), ADDRESS)
    assert note is not None
    assert note.verified == ""


def test_a_key_file_that_lies_about_its_address_is_found_out_by_its_passphrase() -> None:
    table = json.loads(CONTENT)
    other = "ab" * 20
    lying = json.dumps({**table, "address": other}).encode()
    with pytest.raises(Refused, match=f"says 0x{other}, and its private key is that of {ADDRESS}"):
        proof.prove(f"UTC--2026-11-22T05-11-48.664775025Z--{other}", lying, OLD)


def test_a_backup_that_differs_from_the_node_is_told() -> None:
    sim = backed_up()
    sim.disk(LIVEPEER).needed().tree[PATH].data = CONTENT.replace(b'"version": 3', b'"version":  3')
    assert "differs from the backup" in verify(sim).problems[0]


def test_a_backup_can_be_verified_when_the_node_is_gone() -> None:
    sim = backed_up()
    instance = next(i for i in sim.cloud.machines.values() if i.name == NODE)
    sim.cloud.set_state(instance.id, "stopped")
    checked = verify(sim, OLD)
    assert (checked.problems, checked.compared, checked.proven) == ((), False, True)


def test_no_backup_is_not_good() -> None:
    assert "has no backup" in verify(node()).problems[0]


def test_a_store_that_does_not_answer_is_a_problem_of_that_store_alone() -> None:
    sim = backed_up()
    sim.stores["vault"].silent = True
    first, second = verify_keys.verify(sim.world, NODE, ["ssm", "vault"], "", None)
    assert (first.problems, bool(second.problems)) == ((), True)


# the table, and two nodes with one key


def test_the_table_has_node_store_age_and_when_it_was_verified() -> None:
    sim = backed_up()
    verify(sim, OLD)
    (key,) = list_keys.observe(sim.world, ["ssm", "age"])
    (held,) = key.stores
    assert key.address == ADDRESS
    assert key.nodes == (f"{NODE} of simulated: {sim.of(LIVEPEER).id}",)
    assert (held.store, held.claimed_for, held.proven) == ("ssm", f"{NODE} of simulated", True)
    assert held.stored
    assert held.verified
    json.dumps(key.describe())


def test_a_key_whose_volume_is_gone_is_in_the_table_by_its_backup() -> None:
    sim = backed_up()
    sim.cloud.untag(sim.of(LIVEPEER).id, [tags.ADDRESS])
    (key,) = list_keys.observe(sim.world, ["ssm"])
    assert (key.address, key.nodes) == (ADDRESS, ())


def test_a_key_that_no_store_has_is_told() -> None:
    (key,) = list_keys.observe(node().world, ["ssm"])
    assert "no store has it" in key.problems[0]


def test_status_warns_when_two_nodes_claim_one_address() -> None:
    sim = node()
    assert "claims the same address" not in str(status.observe(sim.world)[0].problems)
    own = {tags.ENVIRONMENT: "simulated", tags.NODE: "tc002", tags.ROLE: "livepeer", tags.ADDRESS: ADDRESS}
    sim.volume(ours(LIVEPEER, "tc002"), None, own)
    by_name = {each.node.name: "\n".join(each.problems) for each in status.observe(sim.world)}
    assert f"node tc002 claims the same address {ADDRESS}" in by_name[NODE]
    assert f"node {NODE} claims the same address {ADDRESS}" in by_name["tc002"]
    assert "claims the same address" in str(status.observe(sim.world, NODE)[0].problems)


# another passphrase


def rotation(old: Secret = OLD, new: Secret = NEW) -> operate.Operation:
    return rotate_passphrase.operation(NODE, "", rotate_passphrase.Passphrases(old, new))


def test_the_new_passphrase_opens_the_key_on_the_node_and_in_the_store_and_the_old_one_neither() -> None:
    sim = backed_up()
    outcome, console = perform(rotation(), sim)
    assert proof.opens(NAME, content(sim), NEW)
    assert not proof.opens(NAME, content(sim), OLD)
    newest = parse_bundle(Secret(sim.keystore().documents[backup_name(ADDRESS)][-1]))
    assert newest.files[f"keystore/{NAME}"] == content(sim)
    entry = sim.disk(LIVEPEER).needed().tree[PATH]
    assert (entry.mode, entry.uid) == (0o600, 2101)
    said = json.dumps([outcome.plan.describe(), *(plan.describe() for plan in console.shown)], default=str)
    lines = json.dumps([(command.argv, str(command.stdin)) for command in sim.hosts.commands])
    for secret in (OLD, NEW):
        assert secret.reveal() not in said + lines + repr(outcome)


def test_a_second_rotation_to_the_same_passphrase_is_nothing_to_do() -> None:
    sim = backed_up()
    perform(rotation(), sim)
    before = content(sim)
    assert perform(rotation(), sim)[0].nothing_to_do
    assert content(sim) == before


def test_a_wrong_old_passphrase_changes_nothing() -> None:
    sim = backed_up()
    before = sim.everything(), json.dumps(sim.keystore().documents)
    with pytest.raises(Refused, match="does not open"):
        perform(rotation(old=Secret("wrong")), sim)
    assert (sim.everything(), json.dumps(sim.keystore().documents)) == before


def test_livepeer_before_0_5_2_gets_no_passphrase_and_is_told_why() -> None:
    with pytest.raises(Refused, match="on its command line only"):
        perform(rotation(), backed_up("0.2.4"))


def test_livepeer_before_0_5_2_may_have_its_passphrase_removed() -> None:
    sim = backed_up("0.2.4")
    perform(rotation(new=Secret("")), sim)
    assert proof.opens(NAME, content(sim), Secret(""))


def test_a_passphrase_that_no_file_would_tell_livepeer_is_refused() -> None:
    sim = node(options={})
    with pytest.raises(Refused, match="no file is named for it"):
        perform(rotation(), sim)


def _changes() -> int:
    sim, counter = backed_up(), Cut(-1, after=False)
    operate.operate(rotation(), counter.world(sim), Console())
    return counter.changes


def test_a_rotation_is_broken_off_at_each_of_its_changes_below() -> None:
    assert _changes() == 8


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(8))
def test_a_rotation_broken_off_anywhere_leaves_a_key_that_one_of_the_two_opens(at: int, after: bool) -> None:
    sim = backed_up()
    with pytest.raises(ProcessDied):
        operate.operate(rotation(), Cut(at, after=after).world(sim), Console())
    sim.disk(LIVEPEER).lose_power()
    here = content(sim)
    assert proof.opens(NAME, here, OLD) or proof.opens(NAME, here, NEW)
    sim.cloud.locks = {name: replace(lock, pid=DEAD_PROCESS) for name, lock in sim.cloud.locks.items()}
    perform(rotation(), sim)
    assert proof.opens(NAME, content(sim), NEW)
