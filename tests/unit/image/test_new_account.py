"""new-account: a key file that others can use, made once, and never half."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import Crypto
import pytest
from eth_account import Account

from tests.unit.image.rendered import SCRIPTS
from transcoder.facts import keystore as facts


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory with the keystore's parent, and the library under the name that the distributions give it."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/Cryptodome").symlink_to(Path(Crypto.__file__).parent)
    return tmp_path


def run(machine: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, "PYTHONPATH": str(machine / "lib"), "HOME": str(machine), **environment}
    command = [sys.executable, str(SCRIPTS / "new-account"), str(machine / "keystore")]
    return subprocess.run(command, env=known, capture_output=True, text=True, check=False)


def files(machine: Path) -> list[Path]:
    return sorted((machine / "keystore").iterdir())


def test_another_ethereum_library_opens_the_key_with_the_empty_passphrase_and_it_is_of_the_address(
    machine: Path,
) -> None:
    done = run(machine)
    (file,) = files(machine)
    private = Account.decrypt(file.read_text(), "")
    assert done.stdout == f"{Account.from_key(private).address.lower()}\n"
    assert json.loads(file.read_text())["address"] == done.stdout.strip()[2:]


def test_the_file_is_named_and_guarded_as_geths_and_nothing_else_is_left(machine: Path) -> None:
    done = run(machine)
    (file,) = files(machine)
    assert re.fullmatch(r"UTC--\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{9}Z--[0-9a-f]{40}", file.name)
    assert [found.address for found in facts.parse_names(file.name + "\n")] == [done.stdout.strip()]
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert sorted(path.name for path in machine.iterdir()) == ["keystore", "lib"]


def test_the_key_file_costs_what_geths_light_one_costs(machine: Path) -> None:
    run(machine)
    parameters = json.loads(files(machine)[0].read_text())["crypto"]["kdfparams"]
    assert (parameters["n"], parameters["r"], parameters["p"], parameters["dklen"]) == (4096, 8, 6, 32)


def test_two_machines_get_two_keys(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "lib").symlink_to(machine / "lib")
    assert run(machine).stdout != run(other).stdout


def test_a_key_that_is_there_is_never_replaced(machine: Path) -> None:
    run(machine)
    before = files(machine)[0].read_bytes()
    again = run(machine)
    assert again.returncode == 78
    assert "never replaced" in again.stderr
    assert [file.read_bytes() for file in files(machine)] == [before]


def test_what_a_run_that_was_broken_off_left_is_no_key_and_goes(machine: Path) -> None:
    (machine / "keystore").mkdir(mode=0o700)
    (machine / "keystore/.new-account-7").write_text('{"address": "cut sh')
    assert run(machine).returncode == 0
    assert [file.name[:5] for file in files(machine)] == ["UTC--"]


def test_an_openssl_that_gives_no_key_leaves_no_file(machine: Path) -> None:
    text = (SCRIPTS / "new-account").read_text()
    liar = machine / "lib/liar"
    liar.write_text(text.replace('["openssl", "ecparam"', '["echo", "ecparam"'))
    (machine / "lib/transcoder_node.py").symlink_to(SCRIPTS / "transcoder_node.py")
    known = {**os.environ, "PYTHONPATH": str(machine / "lib")}
    command = [sys.executable, str(liar), str(machine / "keystore")]
    done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "no key on secp256k1" in done.stderr
    assert files(machine) == []


def test_a_file_that_could_not_be_decrypted_never_gets_its_name(machine: Path) -> None:
    broken = machine / "lib/broken"
    text = (SCRIPTS / "new-account").read_text()
    broken.write_text(text.replace('"ciphertext": hidden.hex()', '"ciphertext": private.hex()'))
    (machine / "lib/transcoder_node.py").symlink_to(SCRIPTS / "transcoder_node.py")
    known = {**os.environ, "PYTHONPATH": str(machine / "lib")}
    command = [sys.executable, str(broken), str(machine / "keystore")]
    done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "cannot be decrypted" in done.stderr
    assert files(machine) == []
