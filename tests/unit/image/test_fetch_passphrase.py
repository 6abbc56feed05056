"""fetch-passphrase, against a small server in the place of the metadata service and of the store."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest
from transcoder_node import NotYet, Refusal  # type: ignore[import-not-found, unused-ignore]

from tests.simulated import metadata_service
from tests.simulated.metadata_service import Service
from tests.unit.image.rendered import SCRIPTS
from transcoder.facts.passphrases import Passphrases, render_passphrases
from transcoder.layout import KEYSTORE, PASSPHRASE
from transcoder.secret import Secret

ADDRESS = "0x" + "ab" * 20
NAME = f"UTC--2026-11-22T05-11-48.664775025Z--{ADDRESS[2:]}"
CONTENT = json.dumps({"address": ADDRESS[2:], "crypto": {}}).encode()
DIGEST = hashlib.sha256(CONTENT).hexdigest()
CANARY = "canary-passphrase-5ea1"


@pytest.fixture
def service() -> Iterator[Service]:
    with metadata_service.serving(metadata_service.items()) as made:
        stored(made, {DIGEST: CANARY})
        yield made


def asked(service: Service) -> list[tuple[str, dict[str, Any]]]:
    """Return what the store was asked."""
    return [(headers["x-amz-target"], json.loads(body)) for headers, body in service.posted]


def stored(service: Service, by_digest: dict[str, str], store: str = "ssm") -> None:
    """Have the store answer with a document as an operator's command writes it."""
    secrets = {digest: Secret(text) for digest, text in by_digest.items()}
    value = render_passphrases(Passphrases(ADDRESS, secrets)).reveal()
    answer = {"Parameter": {"Value": value}} if store == "ssm" else {"SecretString": value}
    service.answer = (200, json.dumps(answer).encode())


def refused(service: Service, code: str, message: str = "no", status: int = 400) -> None:
    service.answer = (status, json.dumps({"__type": code, "Message": message}).encode())


@dataclass
class Machine:
    """A directory that stands for the machine's root, and the script that runs there."""

    root: Path
    service: Service
    became: list[list[str]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The passphrase as livepeer finds it."""
        return self.root / PASSPHRASE.removeprefix("/")

    @property
    def options(self) -> list[str]:
        own = ["--name", "transcoder/passphrases/mine", "--file", PASSPHRASE, "--root", str(self.root)]
        return [*own, "--metadata", self.service.address, "--endpoint", f"http://{self.service.address}"]

    def mounts(self, *lines: str) -> None:
        """Mount file systems: each line is a mount point and its type."""
        text = [f"{n} 1 0:{n} / {place} rw - {kind} {kind} rw" for n, (place, kind) in enumerate(map(str.split, lines))]
        (self.root / "proc/self/mountinfo").write_text("\n".join(text) + "\n")

    def run(self, store: str = "ssm") -> list[str]:
        """Run the script; return the command that it becomes."""
        loader = SourceFileLoader("fetch_passphrase", str(SCRIPTS / "fetch-passphrase"))
        spec = spec_from_loader(loader.name, loader)
        assert spec is not None
        module = module_from_spec(spec)
        loader.exec_module(module)
        module.__dict__["become"] = self.became.append
        module.body(["--store", store, *self.options, "--", "/usr/local/bin/livepeer", "-v", "4"])
        return self.became[-1]


@pytest.fixture
def machine(tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    keystore = tmp_path / KEYSTORE.removeprefix("/")
    keystore.mkdir(parents=True)
    (keystore / NAME).write_bytes(CONTENT)
    marker = {"node": "tc001", "role": "livepeer", "address": ADDRESS}
    (tmp_path / "d1/.transcoder.json").write_text(json.dumps(marker))
    made = Machine(tmp_path, service)
    made.file.parent.mkdir(parents=True)
    made.file.parent.chmod(0o700)
    (tmp_path / "proc/self").mkdir(parents=True)
    made.mounts("/ ext4", "/run tmpfs", "/run/user/1 ext4")
    return made


def test_livepeer_gets_the_path_of_a_file_that_it_alone_may_read(machine: Machine) -> None:
    assert machine.run() == ["/usr/local/bin/livepeer", "-v", "4", "-ethPassword", PASSPHRASE]
    assert machine.file.read_text() == CANARY
    assert stat.S_IMODE(machine.file.stat().st_mode) == 0o400
    assert [file.name for file in machine.file.parent.iterdir()] == ["passphrase"]


def test_ssm_is_asked_for_the_document_of_the_markers_address(machine: Machine) -> None:
    machine.run()
    name = f"/transcoder/passphrases/mine/{ADDRESS}"
    assert asked(machine.service) == [("AmazonSSM.GetParameter", {"Name": name, "WithDecryption": True})]


def test_secrets_manager_is_asked_for_the_document_of_the_markers_address(machine: Machine) -> None:
    stored(machine.service, {DIGEST: CANARY}, "secrets-manager")
    machine.run("secrets-manager")
    name = f"transcoder/passphrases/mine/{ADDRESS}"
    assert asked(machine.service) == [("secretsmanager.GetSecretValue", {"SecretId": name})]
    assert machine.file.read_text() == CANARY


def test_a_file_of_an_earlier_start_is_replaced(machine: Machine) -> None:
    machine.file.write_text("old")
    (machine.file.parent / "passphrase.new").write_text("half")
    machine.run()
    assert machine.file.read_text() == CANARY


def test_a_key_without_passphrase_gets_no_file_and_no_flag(machine: Machine) -> None:
    stored(machine.service, {DIGEST: ""})
    assert "-ethPassword" not in machine.run()
    assert not machine.file.exists()


def test_of_two_passphrases_it_takes_the_one_that_opens_the_file_that_is_there(machine: Machine) -> None:
    stored(machine.service, {"0" * 64: "another", DIGEST: CANARY})
    machine.run()
    assert machine.file.read_text() == CANARY


def test_nothing_is_fetched_for_a_key_that_is_not_there(machine: Machine) -> None:
    (machine.root / KEYSTORE.removeprefix("/") / NAME).unlink()
    with pytest.raises(Refusal, match=r"no key at all.*fab restore-keys"):
        machine.run()
    assert machine.service.posted == []
    assert not machine.file.exists()


def test_a_passphrase_of_another_encryption_of_the_key_is_refused(machine: Machine) -> None:
    stored(machine.service, {"0" * 64: CANARY})
    with pytest.raises(Refusal, match=r"another encryption.*fab set-passphrase") as caught:
        machine.run()
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("value", [CANARY, '"canary"', '{"passphrases": ["canary"]}', '{"passphrases": "canary"}'])
def test_what_is_no_document_of_ours_is_refused_and_not_shown(machine: Machine, value: str) -> None:
    machine.service.answer = (200, json.dumps({"Parameter": {"Value": value}}).encode())
    with pytest.raises(Refusal, match="fab set-passphrase") as caught:
        machine.run()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("store", "code"), [("ssm", "ParameterNotFound"), ("secrets-manager", "ResourceNotFoundException")]
)
def test_a_passphrase_that_is_not_there_is_refused_with_what_to_type(machine: Machine, store: str, code: str) -> None:
    refused(machine.service, code)
    with pytest.raises(Refusal, match=r"no passphrase .* in eu-central-1.*fab set-passphrase"):
        machine.run(store)


@pytest.mark.parametrize(
    ("store", "missing"),
    [
        ("ssm", r"ssm:GetParameter on arn:aws:ssm:eu-central-1:\*:parameter/transcoder/passphrases/mine/0xab"),
        (
            "secrets-manager",
            r"secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:\*:secret:transcoder",
        ),
    ],
)
def test_a_role_that_may_not_is_told_the_action_the_resource_and_what_to_type(
    machine: Machine, store: str, missing: str
) -> None:
    refused(machine.service, "AccessDeniedException")
    with pytest.raises(Refusal, match=missing + ".*invoke iam --policy instance.*fab attach"):
        machine.run(store)


def test_a_kms_key_that_the_role_may_not_use_is_named_by_its_action(machine: Machine) -> None:
    words = "User: arn:aws:sts::1:assumed-role/node is not authorized to perform: kms:Decrypt on the resource"
    refused(machine.service, "AccessDeniedException", words)
    with pytest.raises(Refusal, match="kms:Decrypt on arn"):
        machine.run()


def test_a_machine_without_a_role_is_told_what_to_do(machine: Machine) -> None:
    del machine.service.items["iam/security-credentials/"]
    with pytest.raises(Refusal, match=r"no IAM role.*aws\.instance_profile"):
        machine.run()


@pytest.mark.parametrize(
    ("code", "status"),
    [("ThrottlingException", 400), ("InternalServerError", 500), ("ExpiredTokenException", 400), ("InvalidKeyId", 400)],
)
def test_a_store_that_is_busy_or_broken_is_asked_again_at_the_next_start(
    machine: Machine, code: str, status: int
) -> None:
    refused(machine.service, code, status=status)
    with pytest.raises(NotYet):
        machine.run()
    assert not machine.file.exists()


def test_a_store_that_does_not_answer_is_asked_again_at_the_next_start(machine: Machine) -> None:
    own = machine.options
    machine.service.address = "127.0.0.1:1"
    assert own != machine.options
    with pytest.raises(NotYet, match="does not answer"):
        machine.run()


def test_a_directory_on_a_disk_is_refused(machine: Machine) -> None:
    machine.mounts("/ ext4", "/run tmpfs", f"{Path(PASSPHRASE).parent} ext4")
    with pytest.raises(Refusal, match=r"on ext4, not in memory"):
        machine.run()
    assert machine.service.posted == []


def test_the_later_one_of_two_mounts_at_one_place_counts(machine: Machine) -> None:
    machine.mounts("/ ext4", "/run ext4", "/run tmpfs")
    machine.run()
    machine.mounts("/ ext4", "/run tmpfs", "/run ext4")
    with pytest.raises(Refusal, match="not in memory"):
        machine.run()


def test_a_directory_that_others_may_look_into_is_refused(machine: Machine) -> None:
    machine.file.parent.chmod(0o755)
    with pytest.raises(Refusal, match="not this service's alone"):
        machine.run()


def test_a_directory_that_systemd_did_not_make_is_refused(machine: Machine) -> None:
    machine.file.parent.rmdir()
    with pytest.raises(Refusal, match="is missing: systemd makes it"):
        machine.run()


def test_the_passphrase_is_on_no_command_line_in_no_environment_and_no_log(machine: Machine) -> None:
    """The whole chain as the unit has it; in the place of livepeer, one that shows what any process may see of it."""
    (machine.root / "d1/livepeer/.lpData").chmod(0o700)
    look = "import pathlib, sys; sys.stdout.write(str([(p / n).read_bytes() for p in [pathlib.Path('/proc/self'), "
    look += "pathlib.Path('/proc') / str(__import__('os').getppid())] for n in ('cmdline', 'environ')]))"
    chain = [str(SCRIPTS / "fetch-passphrase"), "--store", "ssm", *machine.options, "--"]
    chain += [str(SCRIPTS / "run-livepeer"), "--announce", "none", "--root", str(machine.root), "--"]
    done = subprocess.run(
        [sys.executable, "-B", *chain, sys.executable, "-c", look],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert PASSPHRASE.encode() in done.stdout  # it sees its own command line
    assert CANARY.encode() not in done.stdout + done.stderr
    assert machine.file.read_text() == CANARY
