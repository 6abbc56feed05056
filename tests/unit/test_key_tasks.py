"""The command lines about keys, typed as an operator does, in the simulated world; how a passphrase is asked for."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from invoke.program import Program

import fabfile
import tasks
from tests.simulated.disk import KEY, ours
from tests.simulated.world import NODE, Simulation
from tests.unit.recipes import test_verify_keys as keys
from tests.unit.recipes.test_backup_and_restore_keys import emptied, node
from transcoder import app, proof, report, tags
from transcoder.errors import Refused
from transcoder.layout import LIVEPEER
from transcoder.recipes.list_keys import Held, Key
from transcoder.secret import Secret
from transcoder.world import World

WRONG = "canary-of-a-wrong-passphrase"


def typed(monkeypatch: pytest.MonkeyPatch, simulation: Simulation) -> Simulation:
    """Let command lines meet this world."""

    @contextmanager
    def world(_settings: Any) -> Iterator[World]:
        yield simulation.world

    monkeypatch.setattr(app, "settings", lambda _env: simulation.settings)
    monkeypatch.setattr(app, "world", world)
    return simulation


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    """A node whose key `keys.OLD` opens, backed up."""
    monkeypatch.setattr(proof, "LIGHT", 2)
    return typed(monkeypatch, keys.backed_up())


def run(program: str, *words: str) -> int:
    """Type a command; return its exit code."""
    namespace = {"fab": fabfile.namespace, "invoke": tasks.namespace}[program]
    try:
        Program(namespace=namespace).run([program, *words])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@contextmanager
def descriptor(content: bytes) -> Iterator[str]:
    """Return the number of a descriptor that ends after this content."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    try:
        yield str(reading)
    finally:
        os.close(reading)


# the passphrase


@pytest.mark.parametrize("content", [b"correct horse", b"correct horse\n"])
def test_a_passphrase_comes_from_a_descriptor_with_or_without_a_last_line_feed(content: bytes) -> None:
    with descriptor(content) as number:
        assert app.passphrase("", number) == Secret("correct horse")


def test_spaces_and_line_feeds_within_a_passphrase_are_its_own() -> None:
    with descriptor(b" a \n b \n\n") as number:
        assert app.passphrase("", number) == Secret(" a \n b \n")


@pytest.mark.parametrize("number", ["99999", "three", "-1"])
def test_a_descriptor_that_is_none_is_refused_with_how_to_give_one(number: str) -> None:
    with pytest.raises(Refused, match=f"descriptor '{number}' cannot be read") as caught:
        app.passphrase("", number)
    assert "3< FILE" in caught.value.hint


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123 - what a daemon has as its standard input
        monkeypatch.setattr("sys.stdin", nothing)
        with pytest.raises(Refused, match="there is no terminal to type it at") as caught:
            app.passphrase("passphrase: ")
    assert "--passphrase-fd" in caught.value.hint


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, *lines: str) -> Iterator[list[str]]:
    """Let somebody type at a terminal; return the prompts that were shown."""
    prompts: list[str] = []
    answers = iter(lines)

    def getpass(prompt: str) -> str:
        prompts.append(prompt)
        return next(answers)

    controlling, own = pty.openpty()
    with os.fdopen(own, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("getpass.getpass", getpass)
        yield prompts
    os.close(controlling)


def test_at_a_terminal_it_is_asked_for_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, "correct horse") as prompts:
        assert app.passphrase("old passphrase: ") == Secret("correct horse")
    assert prompts == ["old passphrase: "]


def test_a_new_passphrase_is_typed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, "battery", "battery") as prompts:
        assert app.new_passphrase() == Secret("battery")
    assert prompts == ["new passphrase (empty for none): ", "once more: "]


def test_two_new_passphrases_that_differ_are_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        terminal(monkeypatch, "battery", "batery"),
        pytest.raises(Refused, match="the two passphrases differ") as caught,
    ):
        app.new_passphrase()
    assert "nothing was changed" in caught.value.hint
    assert "batt" not in str(caught.value)


def test_a_new_passphrase_from_a_descriptor_is_read_once() -> None:
    with descriptor(b"battery\n") as number:
        assert app.new_passphrase(number) == Secret("battery")


# fab verify-keys


def test_a_good_backup_ends_with_0_and_the_table_says_so(
    sim: Simulation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    with descriptor(keys.OLD.reveal().encode()) as number:
        assert run("fab", "verify-keys", "--prove", "--passphrase-fd", number) == 0
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if keys.ADDRESS in line]
    ((_, store, address, version, _, same, proven, found, _),) = [[cell.strip() for cell in row] for row in rows]
    assert (store, address, version) == ("ssm", keys.ADDRESS, "1")
    assert (same, proven, found) == ("yes", "yes", "good")


def test_its_json_has_what_scripts_read(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fab", "verify-keys", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["store"], found["address"], found["good"], found["proven"]) == ("ssm", keys.ADDRESS, True, False)
    assert (found["compared"], found["problems"], found["version"]) == (True, [], "1")


def test_a_wrong_passphrase_ends_with_4_and_is_not_shown(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    with descriptor(WRONG.encode()) as number:
        assert run("fab", "verify-keys", "--prove", "--passphrase-fd", number, "--json") == 4
    captured = capsys.readouterr()
    (found,) = json.loads(captured.out)
    assert (found["good"], found["proven"]) == (False, False)
    assert "the passphrase does not open" in found["problems"][0]
    assert "not good: ssm" in captured.err
    assert WRONG not in captured.out + captured.err


def test_a_backup_that_is_missing_ends_with_4_and_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, keys.node())
    assert run("fab", "verify-keys", "--json") == 4
    captured = capsys.readouterr()
    assert (
        f"the simulated ssm has no backup of {keys.ADDRESS}: fab backup-keys" in json.loads(captured.out)[0]["problems"]
    )
    assert "fab backup-keys" in captured.err


def test_when_nobody_says_which_key_nothing_is_verified(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, node(address=""))
    assert run("fab", "verify-keys") == 3
    said = capsys.readouterr().err
    assert f"which key of node {NODE}?" in said
    assert "--address, or invoke keys" in said


def test_an_address_that_is_given_in_capitals_is_the_same(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    capitals = "0x" + keys.ADDRESS[2:].upper()
    assert run("fab", "verify-keys", "--address", capitals, "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["address"] == keys.ADDRESS


# fab backup-keys, restore-keys, rotate-passphrase


def test_a_refused_restore_ends_with_3_and_says_why_and_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, emptied(node()))
    assert run("fab", "restore-keys", "--address", KEY, "--yes") == 3
    said = " ".join(capsys.readouterr().err.split())
    assert f"no key is restored to node {NODE}" in said
    assert f"has no backup of {KEY}" in said
    assert "nothing was changed" in said


def test_a_backup_and_a_restore_print_one_json_document_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sim = typed(monkeypatch, node())
    assert run("fab", "backup-keys", "--yes", "--json") == 0
    assert "back up the key" in json.dumps(json.loads(capsys.readouterr().out))
    emptied(sim)
    assert run("fab", "restore-keys", "--address", KEY, "--yes", "--json") == 0
    assert "restore the key" in json.dumps(json.loads(capsys.readouterr().out))
    sim.assert_served_by(NODE)


def test_a_rotation_with_a_wrong_passphrase_ends_with_3_and_shows_neither(
    sim: Simulation, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sim.everything()
    with descriptor(WRONG.encode()) as old, descriptor(b"canary-of-a-new-one") as new:
        words = ("--passphrase-fd", old, "--new-passphrase-fd", new, "--yes")
        assert run("fab", "rotate-passphrase", *words) == 3
    captured = capsys.readouterr()
    assert "the passphrase does not open" in captured.err
    assert "canary" not in captured.out + captured.err
    assert sim.everything() == before


# invoke keys


def test_the_list_names_node_store_claim_and_whether_it_was_proven(
    sim: Simulation, capsys: pytest.CaptureFixture[str]
) -> None:
    with descriptor(keys.OLD.reveal().encode()) as number:
        assert run("fab", "verify-keys", "--prove", "--passphrase-fd", number) == 0
    capsys.readouterr()
    assert run("invoke", "keys", "--json") == 0
    (key,) = json.loads(capsys.readouterr().out)
    (held,) = key["stores"]
    assert (key["address"], key["problems"]) == (keys.ADDRESS, [])
    assert key["nodes"] == [f"{NODE} of simulated: {sim.of(LIVEPEER).id}"]
    assert (held["store"], held["version"], held["proven"]) == ("ssm", "1", True)
    assert held["claimed_for"] == f"{NODE} of simulated"


def test_a_key_on_two_volumes_is_told_in_the_list(
    sim: Simulation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    other = sim.volume(
        ours(LIVEPEER, "tc002"), None, {tags.NODE: "tc002", tags.ROLE: LIVEPEER.role, tags.ADDRESS: keys.ADDRESS}
    )
    assert run("invoke", "keys") == 0
    told = capsys.readouterr().out
    assert f"! {keys.ADDRESS}: two nodes have one key" in told
    assert other.id in told


def test_a_store_that_does_not_answer_is_told_in_the_list_and_the_rest_is_shown(
    sim: Simulation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    sim.keystore().silent = True
    assert run("invoke", "keys") == 0
    told = capsys.readouterr().out
    assert keys.ADDRESS in told
    assert "ssm: the simulated ssm: throttled" in told


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AGES = {
    timedelta(minutes=5): "0 h",
    timedelta(hours=47): "47 h",
    timedelta(days=9): "9 days",
    timedelta(hours=-1): "0 h",
}


@pytest.mark.parametrize("age", AGES, ids=str)
def test_the_age_of_a_backup_is_in_hours_and_then_in_days(
    age: timedelta, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    held = Held("age", "3", (NOW - age).isoformat(), "", False, "tc001 of production")
    report.print_keys([Key(KEY, (), (held,), ())], NOW)
    told = capsys.readouterr().out
    assert AGES[age] in told
    assert "never" in told
    assert "no volume here" in told
    assert "tc001 of production" in told


def test_a_key_in_no_store_has_a_row(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    report.print_keys([Key(KEY, ("tc001 of production: vol-1",), (), ("no store has it: fab backup-keys",))], NOW)
    told = capsys.readouterr().out
    assert "none" in told
    assert f"! {KEY}: no store has it: fab backup-keys" in told
