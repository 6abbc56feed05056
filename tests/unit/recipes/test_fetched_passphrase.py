"""Where the machine fetches the passphrase of its key: it is stored, and a rotation never locks the node out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.world import NODE, Console, Simulation, perform, settings
from tests.unit.recipes.test_verify_keys import ADDRESS, CONTENT, DEAD_PROCESS, NAME, NEW, OLD, content, node
from transcoder import keystores, operate, proof
from transcoder.actions.passphrases import find_passphrases
from transcoder.errors import Refused
from transcoder.facts import bundle
from transcoder.facts.passphrases import parse_passphrases
from transcoder.layout import LIVEPEER
from transcoder.recipes import attach, backup_keys, create_key, launch, rotate_passphrase, set_passphrase
from transcoder.secret import Secret

FETCHED = {"keys": {"passphrase_store": "ssm"}, "aws": {"instance_profile": "node"}}


@pytest.fixture(autouse=True)
def little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "STANDARD", 4)
    monkeypatch.setattr(proof, "LIGHT", 2)


def fetching(version: str = "0.5.13", options: dict[str, str] | None = None, **tables: object) -> Simulation:
    """Return a node whose key `OLD` opens, in an environment whose machines fetch their passphrase."""
    sim = node(version, options=options or {})
    own = settings(**{"livepeer": {"version": version, "options": options or {}}, **FETCHED, **tables})  # type: ignore[arg-type]
    sim.settings = own
    return sim


def backed_up(store: str = "ssm") -> Simulation:
    """Return one with a backup, whose machine fetches from this store."""
    sim = fetching(keys={"passphrase_store": store})
    perform(backup_keys.operation(backup_keys.Request(NODE)), sim)
    return sim


def stored() -> Simulation:
    """Return one with its passphrase in the store."""
    sim = backed_up()
    perform(set_passphrase.operation(NODE, OLD), sim)
    return sim


def fetched(sim: Simulation) -> Secret | None:
    """Return what the machine would get for the key file that is on its volume (``fetch-passphrase``)."""
    return (find_passphrases(sim.world, ADDRESS) or {}).get(bundle.digest(content(sim)))


def starts(sim: Simulation) -> bool:
    """Tell whether livepeer would have its key at its next start."""
    found = fetched(sim)
    return found is not None and proof.opens(NAME, content(sim), found)


def rotation() -> operate.Operation:
    return rotate_passphrase.operation(NODE, "", rotate_passphrase.Passphrases(OLD, NEW))


# set


def test_the_stored_passphrase_is_that_of_the_key_file_on_the_volume() -> None:
    sim = fetching()
    assert not starts(sim)
    perform(set_passphrase.operation(NODE, OLD), sim)
    assert starts(sim)
    assert content(sim) == CONTENT
    assert perform(set_passphrase.operation(NODE, OLD), sim)[0].nothing_to_do


def test_a_passphrase_that_does_not_open_the_key_is_not_stored() -> None:
    sim = fetching()
    with pytest.raises(Refused, match="does not open"):
        perform(set_passphrase.operation(NODE, NEW), sim)
    assert sim.passphrases.documents == {}


@pytest.mark.parametrize("text", ["two\nlines", " blank before", "blank after ", "nul\0"])
def test_a_passphrase_that_livepeer_would_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"which livepeer drops|or which it drops") as caught:
        perform(set_passphrase.operation(NODE, Secret(text)), fetching())
    assert text.strip() not in str(caught.value)


def test_a_document_that_is_none_of_ours_is_written_anew() -> None:
    sim = fetching()
    sim.passphrases.documents[ADDRESS] = ["typed by hand"]
    perform(set_passphrase.operation(NODE, OLD), sim)
    assert starts(sim)


def test_no_passphrase_is_shown_in_a_plan_or_given_to_a_machine() -> None:
    sim = stored()
    outcome, console = perform(rotation(), sim)
    said = json.dumps([outcome.plan.describe(), *(plan.describe() for plan in console.shown)], default=str)
    lines = json.dumps([(command.argv, str(command.stdin)) for command in sim.hosts.commands])
    for secret in (OLD, NEW):
        assert secret.reveal() not in said + lines + repr(outcome)


# refusals


def test_an_environment_whose_machines_fetch_none_is_refused_with_what_to_set() -> None:
    with pytest.raises(Refused, match="fetch no passphrase") as caught:
        perform(set_passphrase.operation(NODE, OLD), node())
    assert "keys.passphrase_store" in caught.value.hint


def test_every_reason_why_no_machine_could_fetch_it_is_told_at_once() -> None:
    sim = fetching("0.2.4", {"ethPassword": "/f"}, keys={"passphrase_store": "vault"}, aws={})
    with pytest.raises(Refused) as caught:
        perform(set_passphrase.operation(NODE, OLD), sim)
    told = "\n".join(caught.value.reasons)
    for part in ("came with v0.5.2", "token of Vault", "two places", "aws.instance_profile"):
        assert part in told


@pytest.mark.parametrize("operation", [set_passphrase.operation(NODE, OLD), rotation()], ids=["set", "rotate"])
def test_a_machine_whose_image_fetches_none_is_refused(operation: operate.Operation) -> None:
    sim = fetching()
    perform(backup_keys.operation(backup_keys.Request(NODE)), sim)
    sim.machine(NODE).fetches_passphrases = False
    before = content(sim)
    with pytest.raises(Refused, match="an image that fetches no passphrase") as caught:
        perform(operation, sim)
    assert "invoke bake-ami" in caught.value.hint
    assert content(sim) == before


def test_an_environment_without_a_store_has_none_to_open() -> None:
    with pytest.raises(Refused, match="passphrase_store is ''"):
        keystores.of_passphrases(settings())


def test_the_names_of_passphrases_begin_with_their_environment_and_not_as_backups_do() -> None:
    assert keystores.of_passphrases(settings(**FETCHED)).where.startswith("SSM /transcoder/passphrases/simulated/*")  # type: ignore[arg-type]


# another passphrase


def test_after_a_rotation_the_store_has_the_new_passphrase_alone() -> None:
    sim = stored()
    perform(rotation(), sim)
    assert fetched(sim) == NEW
    assert starts(sim)
    assert find_passphrases(sim.world, ADDRESS) == {bundle.digest(content(sim)): NEW}
    assert perform(rotation(), sim)[0].nothing_to_do


def test_a_rotation_from_no_document_at_all_ends_with_one() -> None:
    sim = fetching()
    perform(rotation(), sim)
    assert starts(sim)


def test_a_passphrase_can_be_taken_away_again() -> None:
    sim = stored()
    perform(rotate_passphrase.operation(NODE, "", rotate_passphrase.Passphrases(OLD, Secret(""))), sim)
    assert fetched(sim) == Secret("")
    assert starts(sim)


CHANGES = 10


def test_a_rotation_is_broken_off_at_each_of_its_changes_below() -> None:
    sim, counter = stored(), Cut(-1, after=False)
    operate.operate(rotation(), counter.world(sim), Console())
    assert counter.changes == CHANGES


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(CHANGES))
def test_a_rotation_broken_off_anywhere_leaves_a_node_that_starts(at: int, after: bool) -> None:
    sim = stored()
    with pytest.raises(ProcessDied):
        operate.operate(rotation(), Cut(at, after=after).world(sim), Console())
    sim.disk(LIVEPEER).lose_power()
    assert starts(sim)
    sim.cloud.locks = {name: replace(lock, pid=DEAD_PROCESS) for name, lock in sim.cloud.locks.items()}
    perform(rotation(), sim)
    assert fetched(sim) == NEW
    assert starts(sim)


# a new node


def test_a_new_nodes_key_has_no_passphrase_and_its_machine_is_told_so() -> None:
    livepeer = {"version": "0.5.13"}
    sim = Simulation(settings(livepeer=livepeer, **FETCHED))  # type: ignore[arg-type]
    perform(launch.operation(launch.Request(NODE)), sim)
    perform(attach.operation(attach.Request(NODE)), sim)
    perform(create_key.operation(NODE), sim)
    (address,) = sim.passphrases.documents
    document = parse_passphrases(Secret(sim.passphrases.documents[address][-1]))
    assert (document.address, list(document.by_digest.values())) == (address, [Secret("")])
    perform(create_key.operation(NODE), sim)
    assert len(sim.passphrases.documents[address]) == 1


def test_a_key_that_somebody_has_given_a_passphrase_is_not_called_one_without() -> None:
    sim = fetching()
    perform(create_key.operation(NODE), sim)
    assert sim.passphrases.documents == {}
