"""During a real restore: no passphrase and no key on a command line, in an environment, a log, an operator's file."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest
from eth_account import Account

from tests.simulated.world import settings
from transcoder import keystores
from transcoder.actions.keys import backup_name
from transcoder.facts.bundle import Bundle, render_bundle
from transcoder.settings import ROOT
from transcoder.world import KeyStore

PASSPHRASE = "canary-passphrase-93b1"
PRIVATE = bytes(range(7, 39))
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="files are given to the service user: needs root")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a place with a store that has the key, an empty machine, and the operator's own directory."""
    for name in ("operator", "machine/d1/livepeer/.lpData"):
        (tmp_path / name).mkdir(parents=True)
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "recipient").write_text(str(identity.to_public()))
    (tmp_path / "identity").write_text(str(identity))
    (tmp_path / "identity").chmod(0o600)
    return tmp_path


def key_file() -> tuple[str, str, bytes]:
    """Return address, name and content of a key file."""
    table = Account.encrypt(PRIVATE, PASSPHRASE, kdf="scrypt", iterations=4096)
    address = table["address"].lower().removeprefix("0x")
    content = json.dumps({**table, "address": address}).encode()
    return f"0x{address}", f"UTC--2026-11-22T05-11-48.664775025Z--{address}", content


def canaries(content: bytes) -> list[bytes]:
    """Return every form in which the passphrase or the key could be met."""
    crypto = json.loads(content)["crypto"]
    texts = [PASSPHRASE, PRIVATE.hex(), crypto["ciphertext"], crypto["mac"], crypto["kdfparams"]["salt"]]
    encoded = [base64.b64encode(content[at : at + 60]) for at in (0, 1, 2)]
    return [*(text.encode() for text in texts), PRIVATE, *(each[4:-4] for each in encoded)]


def leaks(found: list[bytes], wanted: list[bytes]) -> list[bytes]:
    return [canary for canary in wanted if any(canary in text for text in found)]


def every_process() -> list[bytes]:
    """Return the command lines and environments of all processes that may be read."""
    found = []
    for process in Path("/proc").iterdir():
        for name in ("cmdline", "environ"):
            try:
                found.append((process / name).read_bytes())
            except OSError:  # it has ended, or is none, or somebody else's
                continue
    return found


@ROOT_ONLY
def test_a_restore_leaves_no_trace_of_passphrase_and_key_but_the_file_on_the_machine(directory: Path) -> None:
    address, name, content = key_file()
    store = environment_store(directory)
    bundle = Bundle(address, "tc001", "simulated", "2026-01-01T00:00:00+00:00", {f"keystore/{name}": content})
    store.put(backup_name(address), render_bundle(bundle))
    wanted = canaries(content)
    assert leaks([json.dumps({"argv": PASSPHRASE}).encode()], wanted)  # the watch can see something

    watched, said = watch(directory, address, wanted)

    assert watched >= 10
    assert leaks([said], wanted) == []
    key = directory / f"machine/d1/livepeer/.lpData/keystore/{name}"
    assert key.read_bytes() == content
    assert (key.stat().st_mode & 0o777, key.stat().st_uid, key.stat().st_gid) == (0o600, 2101, 2101)
    files = [file for file in directory.rglob("*") if file.is_file() and file != key]
    assert leaks([file.read_bytes() for file in files], wanted) == [], files
    assert (directory / "operator/journal.jsonl").stat().st_size > 0
    assert [file.name for file in key.parent.iterdir()] == [name]


def environment_store(directory: Path) -> KeyStore:
    """Return the store that the operator's process will open."""
    keys = {
        "store": "age",
        "age_directory": str(directory / "safe"),
        "age_recipients": [(directory / "recipient").read_text()],
        "age_identity_file": str(directory / "identity"),
    }
    return keystores.by_name("age", settings(keys=keys))


def watch(directory: Path, address: str, wanted: list[bytes]) -> tuple[int, bytes]:
    """Run the operator's process; look at all processes at each of its pauses. Return how often, and all it said."""
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE.encode())
    os.close(writing)
    own = str(directory / "operator")
    environment = {"PATH": os.environ["PATH"], "HOME": own, "TMPDIR": own, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.contract.keystores.restoring", str(directory), address, str(reading)]
    pipe, said, looks = subprocess.PIPE, b"", 0
    # A session of its own, so that commands that wait stopped end with it when something leaks.
    with subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment,
        pass_fds=(reading,),
        start_new_session=True,
    ) as process:
        os.close(reading)
        try:
            for line in process.stdout or ():
                said += line
                if line.startswith(b"PAUSE") and process.stdin:
                    looks += 1
                    assert leaks(every_process(), wanted) == [], line
                    process.stdin.write(b"\n")
                    process.stdin.flush()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, said.decode()
    return looks, said
