"""The node's key: backed up, lost in several ways, restored; never half, never over another, never in two places."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from lab.faults import client
from lab.matrix.operator import JournalReader, Operator, await_step
from tests.rehearsals.key_watch import EXEC_EYE, KEYSTORE_EYE, Desk, Eye, Processes, eye, looking_for, on_console
from tests.rehearsals.rig import NODE, Ran, Rig
from transcoder import keystores, tags
from transcoder.actions.keys import now, store_bundle
from transcoder.facts.bundle import Bundle
from transcoder.layout import KEYSTORE, LIVEPEER

DATADIR = "/d1/livepeer/.lpData"
IDENTITY = f"{DATADIR}/keys.json"
UNIT = LIVEPEER.service.unit
OWNER = f"{LIVEPEER.service.id}:{LIVEPEER.service.id}"


@dataclass(frozen=True)
class Key:
    """The node's key, as it is on its volume. ``at`` is its path."""

    address: str
    at: str
    content: bytes

    @property
    def digest(self) -> str:
        """The sha256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def canaries(self) -> list[bytes]:
        """Every form in which it could be met: its secret parts, and its bytes in base64, however they are aligned."""
        crypto = json.loads(self.content)["crypto"]
        texts = [crypto["ciphertext"], crypto["mac"], crypto["kdfparams"]["salt"]]
        encoded = [base64.b64encode(self.content[at : at + 90])[4:-4] for at in (0, 1, 2)]
        return [*(text.encode() for text in texts), *encoded]


PASSPHRASE = "canary-passphrase-5c07"
PRIVATE = bytes(range(11, 43))
SECOND = "tc009"
"""A node that has no machine, but a key with a passphrase in the store."""


@pytest.fixture(scope="module")
def protected(node: Rig) -> Key:
    """A key that a passphrase opens, in the store: of an account from elsewhere."""
    table = Account.encrypt(PRIVATE, PASSPHRASE, kdf="scrypt", iterations=4096)
    address = table["address"].lower().removeprefix("0x")
    content = json.dumps({**table, "address": address}).encode()
    name = f"UTC--2026-11-22T05-11-48.664775025Z--{address}"
    world = replace(node.world, keystore=lambda kind: keystores.by_name(kind, node.settings))
    files = {f"keystore/{name}": content}
    store_bundle(world, "ssm", Bundle(f"0x{address}", SECOND, node.settings.name, now(world), files))
    return Key(f"0x{address}", f"{KEYSTORE}/{name}", content)


def carrier(rig: Rig) -> str:
    """Return the name of the machine that the node is at."""
    found = rig.node().carrier
    assert found is not None
    return found.name


def read(rig: Rig, name: str, path: str) -> bytes:
    """Return the bytes of a file on a machine."""
    return base64.b64decode(rig.on(name, "base64", "--wrap=0", path))


def files(rig: Rig, name: str) -> list[str]:
    """Return the files of the keystore that livepeer would read; hidden ones it passes over."""
    listed = rig.on(name, "find", KEYSTORE, "-type", "f", "-not", "-name", ".*", ok=(0, 1))
    return sorted(listed.splitlines())


def keys(rig: Rig) -> list[dict[str, Any]]:
    """Return what ``invoke keys --json`` lists."""
    listed: list[dict[str, Any]] = rig.run("invoke", "keys", "--json").json
    return listed


def told(ran: Ran) -> str:
    """Return what a refused command says, in one line."""
    return " ".join(ran.stderr.split())


def lose(rig: Rig, name: str) -> None:
    """Let the key be lost: livepeer is stopped, its keystore and its identity are removed."""
    rig.on(name, "systemctl", "stop", UNIT)
    rig.on(name, "rm", "-rf", KEYSTORE, IDENTITY)


def assert_healthy(rig: Rig, key: Key) -> None:
    """The node runs with this very key, which lies there as it was, for the service user alone."""
    found: list[dict[str, Any]] = []

    def healthy() -> bool:
        found.append(rig.status())
        return bool(found[-1]["healthy"])

    rig.world.wait("the node healthy", healthy, 120)
    after = found[-1]
    assert after["address"] == key.address
    assert files(rig, after["name"]) == [key.at]
    assert read(rig, after["name"], key.at) == key.content
    assert rig.on(after["name"], "stat", "--format=%u:%g %a", key.at).strip() == f"{OWNER} 600"


@pytest.fixture(scope="module")
def key(node: Rig) -> Key:
    """The key of the node that runs, backed up."""
    name = carrier(node)
    (path,) = files(node, name)
    node.run("fab", "backup-keys", "--yes")
    return Key(f"0x{path[-40:]}", path, read(node, name, path))


def test_the_backup_is_opened_by_the_passphrase_and_is_the_key_on_the_node(node: Rig, key: Key, tmp_path: Path) -> None:
    with Processes(key.canaries) as watch:
        ran = Desk(node, tmp_path, watch).type(
            "fab", "verify-keys", "--prove", "--passphrase-fd", "{0}", "--json", fed=[b""]
        )
    (found,) = ran.json
    assert (found["good"], found["proven"], found["compared"], found["address"]) == (True, True, True, key.address)
    (listed,) = [each for each in keys(node) if each["address"] == key.address]
    volume = node.node().livepeer
    assert volume is not None
    assert listed["nodes"] == [f"{NODE} of {node.settings.name}: {volume.id}"]
    assert [(held["store"], held["proven"]) for held in listed["stores"]] == [("ssm", True)]
    assert listed["stores"][0]["claimed_for"] == f"{NODE} of {node.settings.name}"


def test_a_restore_is_one_rename_and_leaves_no_trace_of_key_and_passphrase(
    node: Rig, key: Key, protected: Key, tmp_path: Path
) -> None:
    canaries = [*key.canaries, *protected.canaries, PASSPHRASE.encode(), PRIVATE, PRIVATE.hex().encode()]
    name = carrier(node)
    lose(node, name)
    with (
        Processes(canaries) as watch,
        eye(node, name, KEYSTORE_EYE) as keystore,
        eye(node, name, EXEC_EYE, looking_for(canaries)) as programs,
    ):
        desk = Desk(node, tmp_path, watch)
        ran = desk.type("fab", "restore-keys", "--address", key.address, "--yes", "--json")
        prove = ("--prove", "--passphrase-fd", "{0}", "--json")
        proof = desk.type(
            *("fab", "verify-keys", "--node", SECOND, "--address", protected.address, *prove), fed=[PASSPHRASE.encode()]
        )
        node.on(name, "touch", f"{KEYSTORE}/.end")
        happened = keystore.until(event="created", path=f"{KEYSTORE}/.end")
        on_console(node, name, "rm", "--force", f"{KEYSTORE}/.end")
        started = programs.until(argv=["rm", "--force", f"{KEYSTORE}/.end"])

    assert_healthy(node, key)
    assert_one_rename(happened, key)
    assert [line for line in started if line["found"]] == []
    assert ["install"] in [line["argv"][:1] for line in started], "the watch saw what wrote the key"
    assert watch.of_operator >= 10
    assert watch.leaks == []
    assert proof.json[0]["proven"] is True
    assert_nothing_is_left(node, desk, canaries, ran.said + proof.said)


def assert_one_rename(happened: Sequence[Mapping[str, Any]], key: Key) -> None:
    """The key came to its name by one rename, whole, and nothing was ever written at that name."""
    at_name = [line for line in happened if line.get("path") == key.at]
    assert [line["event"] for line in at_name] == ["moved to"], at_name
    (moved,) = at_name
    assert (moved["digest"], moved["mode"], moved["owner"]) == (key.digest, "600", OWNER)
    directory, _, file = key.at.rpartition("/")
    paths = {line["path"] for line in happened if line.get("path", "").startswith(f"{directory}/")} - {key.at}
    (hidden,) = paths
    assert hidden.startswith(f"{directory}/.{file}.")
    events = [line["event"] for line in happened if line.get("path") == hidden]
    assert (events[0], events[-2:]) == ("created", ["written", "moved from"]), events


def assert_nothing_is_left(rig: Rig, desk: Desk, canaries: Sequence[bytes], said: str) -> None:
    """No file that the operator's programs wrote has anything of these, nor has the lab's log or the node's."""
    opened, started = desk.noted()
    journal, known = Path(rig.settings.operator.journal), Path(rig.settings.ssh.known_hosts)
    assert opened - {Path("/dev/null")} <= {journal, known}, opened
    assert journal in opened, "the note has what is known to be written"
    assert started == []
    lab = journal.parent
    places = [desk.notes, journal, known, *lab.glob("*.log"), lab / "calls.jsonl", *(lab / "log").iterdir()]
    texts = {str(path): path.read_bytes() for path in places}
    name = carrier(rig)
    texts["journal of the node"] = rig.on(name, "journalctl", "--boot", "--no-pager", "--output=export").encode()
    texts["auth.log of the node"] = rig.on(name, "cat", "/var/log/auth.log", ok=(0, 1)).encode()
    texts["said"] = said.encode()
    leaks = [name for name, text in texts.items() for canary in canaries if canary in text]
    assert leaks == []


@dataclass(frozen=True)
class Point:
    """When the operator is killed: a step of his begins (``{file}`` is the key file), or something happens to the key.

    ``hidden``: not at its own name, but at the one under which it is written before.
    """

    step: str = ""
    event: str = ""
    hidden: bool = True


POINTS = {
    "the identity begins": Point("main/restore keys.json"),
    "the key begins": Point("main/restore keystore/{file}"),
    "a file for the key is there, empty": Point(event="created"),
    "the bytes of the key are there": Point(event="written"),
    "the key has its name": Point(event="moved to", hidden=False),
    "livepeer is to start": Point("node/start"),
}
IN_SHORT = ("a file for the key is there, empty", "the key has its name")
"""Of the points those that are tried without --thorough."""


@pytest.mark.parametrize("name", POINTS)
def test_a_restore_that_is_killed_leaves_no_key_or_the_whole_one(
    node: Rig, key: Key, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name not in IN_SHORT and not request.config.getoption("--thorough", default=False):
        pytest.skip("with --thorough")
    machine = carrier(node)
    lose(node, machine)
    node.on(machine, "install", "-d", "-o", "livepeer", "-g", "livepeer", "-m", "0700", KEYSTORE)
    with eye(node, machine, KEYSTORE_EYE) as keystore:
        kill_at(POINTS[name], node, keystore, key, tmp_path)
        left = files(node, machine)
        assert left in ([], [key.at])
        assert [read(node, machine, path) for path in left] == [key.content for _ in left]
        node.run("fab", "restore-keys", "--address", key.address, "--yes")
        assert_healthy(node, key)
        node.on(machine, "touch", f"{KEYSTORE}/.end")
        happened = keystore.until(event="created", path=f"{KEYSTORE}/.end")
    assert {(line["event"], line["digest"]) for line in happened if line.get("path") == key.at} == {
        ("moved to", key.digest)
    }
    assert node.on(machine, "find", KEYSTORE, "-name", ".*", "-type", "f").split() == [f"{KEYSTORE}/.end"]
    node.on(machine, "rm", f"{KEYSTORE}/.end")


def kill_at(point: Point, rig: Rig, keystore: Eye, key: Key, directory: Path) -> None:
    """Begin a restore and kill it when it comes to the point."""
    journal = JournalReader(Path(rig.settings.operator.journal))
    line = ("fab", "restore-keys", "--address", key.address, "--yes", "--env", str(rig.environment))
    operator = Operator(line, directory / "restore")
    if point.step:
        assert await_step(operator, journal, point.step.format(file=Path(key.at).name), 300), "it came there"
    else:
        keystore.await_event(point.event, key.at, hidden=point.hidden)
        assert operator.running
    operator.kill()


def test_another_node_does_not_get_the_key_and_is_told_who_has_it(node: Rig, key: Key) -> None:
    before = node.ec2_state()
    options = ("--node", SECOND, "--restore-keys", "--address", key.address, "--yes")
    said = told(node.run("invoke", "launch", *options, expect=3))
    assert f"node {NODE} of {node.settings.name} has this key, too" in said
    assert f"claimed for node {NODE} of {node.settings.name}" in said
    assert "--source-lost" in said
    assert node.ec2_state() == before, "nothing was launched"


def test_a_second_machine_gets_the_key_when_the_first_is_lost_and_not_before(
    node: Rig, key: Key, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("--thorough", default=False):
        pytest.skip("with --thorough")
    first, volume = node.node().carrier, node.node().livepeer
    assert first is not None
    assert volume is not None
    node.run("invoke", "launch", "--node", SECOND, "--yes")
    restore = ("restore-keys", "--node", SECOND, "--address", key.address, "--yes")
    assert f"node {NODE} of {node.settings.name} has this key, too" in told(node.run("fab", *restore, expect=3))
    client.set_fault(node.settings, "power_off", True, instance=first.name)
    assert f"at {first.name} ({first.id}, running)" in told(node.run("fab", *restore, expect=3)), "EC2 says so"
    assert files(node, SECOND) == []

    node.run("fab", *restore, "--source-lost")

    second = node.run("fab", "status", "--node", SECOND, "--json").json[0]
    assert second["address"] == key.address
    assert [problem.partition(":")[0] for problem in second["problems"]] == [
        f"node {NODE} claims the same address {key.address}"
    ], "the volume of the one that was lost names it, until it is deleted"
    assert read(node, SECOND, key.at) == key.content
    assert node.world.cloud.instances(ids=[first.id])[0].state == "stopped"
    assert node.world.cloud.volumes(ids=[volume.id])[0].attachment is None
    claimed = [each["stores"][0]["claimed_for"] for each in keys(node) if each["address"] == key.address]
    assert claimed == [f"{SECOND} of {node.settings.name}"]
    give_back(node, first.id, key)


def give_back(rig: Rig, first: str, key: Key) -> None:
    """End the second node for good, and have the first one run again."""
    second = next(i for i in rig.world.cloud.instances() if i.name == SECOND and i.state == "running")
    held = [volume.id for volume in rig.world.cloud.volumes() if volume.tags.get(tags.NODE) == SECOND]
    rig.ec2.terminate_instances(InstanceIds=[second.id])
    for volume in held:
        await_free(rig, volume)
        rig.ec2.delete_volume(VolumeId=volume)
    rig.ec2.start_instances(InstanceIds=[first])
    rig.world.wait(f"{first} running", lambda: rig.world.cloud.instances(ids=[first])[0].state == "running", 120)
    rig.run("fab", "attach", "--yes")
    rig.run("fab", "backup-keys", "--source-lost", "--yes")
    assert_healthy(rig, key)


def await_free(rig: Rig, volume: str) -> None:
    """Wait until a volume is at no machine."""
    rig.world.wait(f"{volume} free", lambda: not rig.world.cloud.volumes(ids=[volume])[0].attachment, 120)


def test_instance_and_volumes_are_gone_and_the_node_is_back_as_the_same_account(node: Rig, key: Key) -> None:
    instance, volumes = node.node().carrier, [each for each in (node.node().livepeer, node.node().geth) if each]
    assert instance is not None
    assert len(volumes) == 2
    node.ec2.terminate_instances(InstanceIds=[instance.id])
    for volume in volumes:
        await_free(node, volume.id)
        node.ec2.delete_volume(VolumeId=volume.id)

    node.run("invoke", "launch", "--restore-keys", "--address", key.address, "--yes")

    assert_healthy(node, key)
    fresh = node.node().livepeer
    assert fresh is not None
    assert fresh.id not in [volume.id for volume in volumes]
    log = node.on(carrier(node), "journalctl", "--boot", "--no-pager", "--output=cat", "--unit", UNIT)
    started = [line for line in log.splitlines() if "Unlocked ETH account" in line]
    assert started
    assert all(key.address in line.lower() for line in started), "it ran as nobody else before"
