"""What the operator stores is what the machine fetches: the lab's stores, metadata service and role credentials."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab.configuration import parse
from lab.iam.identities import TRUST, USERS
from lab.metadata import Facts, Metadata, handler
from lab.rehearsal import actions
from tests.contract.conftest import LabNone, free_port, wait_until_ready
from tests.unit.iam import derived
from transcoder import keystores
from transcoder.facts.passphrases import Passphrases, render_passphrases
from transcoder.layout import KEYSTORE, PASSPHRASE
from transcoder.secret import Secret
from transcoder.settings import ROOT, Settings, load

SCRIPT = ROOT / "files/rootfs/usr/local/lib/transcoder/fetch-passphrase"
ADDRESS = "0x" + "cd" * 20
CONTENT = json.dumps({"address": ADDRESS[2:], "crypto": {}}).encode()
CANARY = "canary-passphrase-77c0"
ROLE = "transcoder-node"


def role_credentials(lab: LabNone) -> str:
    """Return credentials of the machine's role, in the metadata service's words."""
    made = lab.client("sts").assume_role(RoleArn=f"arn:aws:iam::123456789012:role/{ROLE}", RoleSessionName="i-1")
    given = made["Credentials"]
    own = {"AccessKeyId": given["AccessKeyId"], "SecretAccessKey": given["SecretAccessKey"]}
    return json.dumps({"Code": "Success", **own, "Token": given["SessionToken"]})


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabNone]:
    """A lab without machines whose IAM decides over every call, for an environment whose machines fetch from SSM."""
    directory, port = tmp_path_factory.mktemp("strict"), free_port()
    changes = {
        "http://127.0.0.1:5620": f"http://127.0.0.1:{port}",
        "endpoint_port = 5620": f'endpoint_port = {port}\niam = true\nstate_root = "{directory}"',
        'machines = "uml"': 'machines = "none"',
        'access_key_id = "lab"': f'access_key_id = "{USERS["operator"]}"',
        'key_name = "lab"': f'key_name = "lab"\ninstance_profile = "{ROLE}"',
        "[instance]": '[keys]\npassphrase_store = "ssm"\n\n[instance]',
    }
    text = (ROOT / "environments/lab.toml").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    file = directory / "strict.toml"
    file.write_text(text, encoding="utf-8")
    configuration = parse(load(str(file)).extension("lab"), str(file))
    process = subprocess.Popen([sys.executable, "-m", "lab.daemon", "--env", str(file)], cwd=ROOT)
    try:
        yield LabNone(configuration, wait_until_ready(configuration, process))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.fixture
def fetched_from(strict: LabNone) -> Settings:
    """The environment of that lab, as its operator has it: with the policy of one."""
    return load(str(strict.configuration.state_root / "strict.toml"))


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> LabNone:
    """The lab of a test: the strict one where it asks for that one's environment."""
    name = "strict" if "fetched_from" in request.fixturenames else "lab_none"
    found: LabNone = request.getfixturevalue(name)
    iam = found.client("iam")
    if ROLE not in [role["RoleName"] for role in iam.list_roles()["Roles"]]:
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
    return found


@pytest.fixture
def metadata(lab: LabNone) -> Iterator[str]:
    """The lab's metadata service, as it answers an instance with that role; IMDSv2 alone."""
    role = {ROLE: lambda: role_credentials(lab)}
    placement = {"availability-zone": f"{lab.ready.region}a"}
    tree: dict[str, Any] = {"meta-data": {"iam": {"security-credentials": role}, "placement": placement}}
    service = Metadata(lambda _source: Facts("i-1", True, True, tree))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(service)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@dataclass
class Machine:
    """A directory that stands for a machine's root, with the node's key on its volume."""

    root: Path
    metadata: str
    lab: LabNone

    def start(self, settings: Settings) -> subprocess.CompletedProcess[str]:
        """Run the script as the unit has it, before a command that prints its arguments."""
        own = ["--store", settings.keys.passphrase_store, "--name", settings.passphrase_path, "--file", PASSPHRASE]
        test = ["--root", str(self.root), "--metadata", self.metadata, "--endpoint", self.lab.endpoint_url]
        command = [sys.executable, "-B", str(SCRIPT), *own, *test, "--", "/bin/echo", "livepeer"]
        environment = {"PATH": os.environ["PATH"]}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path, metadata: str, lab: LabNone) -> Machine:
    keystore = tmp_path / KEYSTORE.removeprefix("/")
    keystore.mkdir(parents=True)
    (keystore / f"UTC--2026-11-22T05-11-48.664775025Z--{ADDRESS[2:]}").write_bytes(CONTENT)
    (tmp_path / "d1/.transcoder.json").write_text(json.dumps({"role": "livepeer", "address": ADDRESS}))
    directory = tmp_path / Path(PASSPHRASE).parent.relative_to("/")
    directory.mkdir(parents=True)
    directory.chmod(0o700)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("1 1 0:1 / /run rw - tmpfs tmpfs rw\n")
    return Machine(tmp_path, metadata, lab)


@pytest.fixture(params=["ssm", "secrets-manager"])
def fetching(request: pytest.FixtureRequest, environment: Settings) -> Settings:
    """The environment whose machines fetch from this store, below a prefix of this test's."""
    own = {"passphrase_store": request.param, "passphrase_prefix": f"{environment.keys.prefix}-passphrases"}
    return environment.model_copy(update={"keys": environment.keys.model_copy(update=own)})


def store(settings: Settings) -> None:
    """Store the passphrase, as the operator does."""
    known = Passphrases(ADDRESS, {hashlib.sha256(CONTENT).hexdigest(): Secret(CANARY)})
    keystores.of_passphrases(settings).put(ADDRESS, render_passphrases(known))


def test_the_machine_fetches_what_the_operator_has_stored(machine: Machine, fetching: Settings) -> None:
    store(fetching)

    done = machine.start(fetching)

    assert (done.returncode, done.stdout) == (0, f"livepeer -ethPassword {PASSPHRASE}\n"), done.stderr
    assert CANARY not in done.stdout + done.stderr
    file = machine.root / PASSPHRASE.removeprefix("/")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (CANARY, 0o400)


def test_the_machine_says_what_to_type_where_nothing_is_stored(machine: Machine, fetching: Settings) -> None:
    done = machine.start(fetching)

    assert (done.returncode, done.stdout) == (78, "")
    assert f"({fetching.passphrase_path}/{ADDRESS} in " in done.stderr
    assert "fab set-passphrase" in done.stderr


def test_both_are_permitted_what_they_do_by_their_policies(machine: Machine, fetched_from: Settings) -> None:
    store(fetched_from)

    done = machine.start(fetched_from)

    assert (done.returncode, CANARY in done.stderr) == (0, False), done.stderr
    assert (machine.root / PASSPHRASE.removeprefix("/")).read_text() == CANARY


@pytest.mark.parametrize("prefix", ["transcoder/passphrases/another", "transcoder/keys"])
def test_the_machine_may_read_no_other_environments_passphrase_and_no_key(
    machine: Machine, fetched_from: Settings, prefix: str
) -> None:
    keys = fetched_from.keys.model_copy(update={"passphrase_prefix": prefix.rpartition("/")[0]})
    other = fetched_from.model_copy(update={"keys": keys, "name": prefix.rpartition("/")[2]})

    done = machine.start(other)

    assert done.returncode == 78
    assert f"ssm:GetParameter on arn:aws:ssm:us-east-1:*:parameter/{prefix}/{ADDRESS} is not permitted" in done.stderr
    assert "invoke iam --policy instance" in done.stderr


def test_what_the_machine_calls_is_recorded_for_its_policy(machine: Machine, fetching: Settings) -> None:
    store(fetching)
    assert machine.start(fetching).returncode == 0

    lines = actions.read(machine.lab.configuration.state_directory / "calls.jsonl")
    called = actions.called(lines)[actions.MACHINE]
    wanted = {"ssm": "ssm:GetParameter", "secrets-manager": "secretsmanager:GetSecretValue"}
    assert wanted[fetching.keys.passphrase_store] in called
    assert called <= actions.load(derived.MACHINE)[actions.MACHINE]
