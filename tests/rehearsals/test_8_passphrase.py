"""A node whose machine fetches the passphrase of its key: given one, started with it, without it, and cured.

It needs an image of a livepeer that reads a passphrase from a file, and a lab whose policies let machines fetch one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lab.rehearsal import actions
from tests.rehearsals.key_watch import BUDGET, LEAKS, Desk, Processes
from tests.rehearsals.rig import FETCHING, Ran, Rig, running, write_environment
from transcoder.facts.address import parse_address
from transcoder.layout import LIVEPEER, PASSPHRASE

UNIT = LIVEPEER.service.unit
DIRECTORY = PASSPHRASE.rpartition("/")[0]
CANARY = "canary-passphrase-e1b4"
FLAG = "-ethPassword"
"""What a look for leaks must find: it is on livepeer's command line and in its journal."""

WATCHED = ("livepeer-api", "livepeer-address", "livepeer-registered", "service-port", "service-address", "certificate")


@pytest.fixture(scope="module")
def fetching(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A lab of its own with a node of livepeer v0.5.2, whose key has no passphrase yet."""
    if not request.config.getoption("--thorough", default=False):
        pytest.skip("with --thorough: it bakes an image of its own")
    directory = tmp_path_factory.mktemp("fetching")
    made = Rig(write_environment(directory, lab=FETCHING), write_environment(directory, "bake", FETCHING))
    with running(made):
        made.run("invoke", "launch", "--yes")
        made.run("fab", "create-key", "--yes")
        yield made


@pytest.fixture(scope="module")
def address(fetching: Rig) -> str:
    """The node's account, as livepeer itself tells it."""
    return parse_address("livepeer", fetching.on(machine(fetching), "curl", "-sS", "http://127.0.0.1:7935/ethAddr"))


def machine(rig: Rig) -> str:
    """Return the name of the machine that the node is at."""
    found = rig.node().carrier
    assert found is not None
    return found.name


def places(rig: Rig, *needles: str) -> list[set[str]]:
    """Return for each of these in which processes, files and journals of the machine it is."""
    encoded = [base64.b64encode(needle.encode()).decode() for needle in needles]
    program = f"{LEAKS.read_text(encoding='utf-8')}\nlook({encoded})\n"
    host = rig.hosts(rig.instance(machine(rig)))
    said = host.run("python3", "-", stdin=program, timeout=BUDGET).stdout
    return [set(found) for found in json.loads(said)]


def document(rig: Rig, address: str) -> str:
    """Return the name of what the store has of the node's passphrase."""
    return f"/{rig.settings.passphrase_path}/{address}"


def assert_healthy(rig: Rig, address: str) -> None:
    """The node runs, with this account, and its machine's own watch has nothing against what is livepeer's."""
    rig.world.wait("the node healthy", lambda: rig.status()["healthy"], BUDGET)
    assert rig.status()["address"] == address
    rig.world.wait("the watch content", lambda: watched(rig) == dict.fromkeys(WATCHED, "ok"), BUDGET)


def watched(rig: Rig) -> dict[str, str]:
    """Return what the machine's watch says of livepeer, of what it has looked at yet."""
    own = json.loads(rig.on(machine(rig), "curl", "-sS", "http://127.0.0.1:9847/health"))
    return {check["check"]: check["now"] for check in own["checks"] if check["check"] in WATCHED}


def typed(rig: Rig, directory: Path, task: str, *options: str, fed: Sequence[str]) -> Ran:
    """Type a command with passphrases in descriptors; they are nowhere else on the operator's computer."""
    canary = CANARY.encode()
    with Processes([canary]) as watch:
        desk = Desk(rig, directory, watch)
        ran = desk.type("fab", task, *options, "--yes", fed=[text.encode() for text in fed])
    assert watch.of_operator >= 10
    assert watch.leaks == []
    opened, _ = desk.noted()
    assert [str(path) for path in opened if path.is_file() and canary in path.read_bytes()] == []
    assert CANARY not in ran.said
    return ran


def test_a_new_key_has_no_passphrase_and_its_machine_is_told_so(fetching: Rig, address: str) -> None:
    assert_healthy(fetching, address)
    name = machine(fetching)
    assert "/usr/local/bin/livepeer" in fetching.on(name, "pgrep", "--full", "--list-full", "^[^ ]*python3 .*livepeer")
    assert fetching.on(name, "ls", "-A", DIRECTORY) == ""
    log = fetching.on(name, "journalctl", "--boot", "--no-pager", "--output=cat", "--unit", UNIT)
    assert f"fetch-passphrase: no passphrase of {address}" in log
    assert FLAG not in log


def test_the_machine_fetches_the_new_passphrase_into_memory_and_it_is_nowhere_else(
    fetching: Rig, address: str, tmp_path: Path
) -> None:
    fds = ("--passphrase-fd", "{0}", "--new-passphrase-fd", "{1}")
    typed(fetching, tmp_path, "rotate-passphrase", *fds, fed=["", CANARY])
    name = machine(fetching)

    fetching.run("fab", "restart", "livepeer", "--yes")

    assert_healthy(fetching, address)
    assert fetching.on(name, "stat", "--format=%a %U:%G %F", PASSPHRASE).strip() == "400 livepeer:livepeer regular file"
    assert fetching.on(name, "stat", "--format=%a %U:%G", DIRECTORY).strip() == "700 livepeer:livepeer"
    assert fetching.on(name, "findmnt", "--noheadings", "--output=FSTYPE", "--target", PASSPHRASE).strip() == "tmpfs"
    assert fetching.on(name, "cat", PASSPHRASE) == CANARY
    canary, flag = places(fetching, CANARY, FLAG)
    assert canary == {PASSPHRASE}
    pid = fetching.on(name, "systemctl", "show", "--property=MainPID", "--value", UNIT).strip()
    assert {"journal", f"/proc/{pid}/cmdline"} <= flag, "the look sees what there is to see"


def test_the_passphrase_goes_with_the_service(fetching: Rig) -> None:
    name = machine(fetching)
    fetching.on(name, "systemctl", "stop", UNIT)

    assert fetching.on(name, "find", "/run", "-path", f"{DIRECTORY}*") == ""
    assert places(fetching, CANARY) == [set()]


def test_without_the_stored_passphrase_livepeer_does_not_start_and_says_what_cures_it(
    fetching: Rig, address: str, tmp_path: Path
) -> None:
    name, gone = machine(fetching), document(fetching, address)
    fetching.client("ssm").delete_parameter(Name=gone)

    fetching.on(name, "systemctl", "start", UNIT, ok=(1,))

    told = fetching.on(name, "systemctl", "status", "--no-pager", "--full", UNIT, ok=(3,))
    assert "Active: failed" in told
    assert "status=78" in told
    assert f"Status: \"refused: there is no passphrase for the node's key in ssm ({gone[1:]} in us-east-1): " in told
    assert "type `fab set-passphrase`" in told
    (problem,) = fetching.status()["problems"]
    assert "type `fab set-passphrase`" in problem

    typed(fetching, tmp_path, "set-passphrase", "--passphrase-fd", "{0}", fed=[CANARY])

    assert_healthy(fetching, address)
    assert fetching.on(name, "cat", PASSPHRASE) == CANARY


def test_nobody_was_denied_anything_and_the_machine_asked_as_its_role(fetching: Rig) -> None:
    lines = actions.read(fetching.directory / "calls.jsonl")
    assert actions.denied(lines) == []
    assert "ssm:GetParameter" in actions.called(lines)[actions.MACHINE]
    assert CANARY not in "".join(fetching.log())
