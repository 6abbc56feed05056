"""Secrets are found wherever they are left, and never quoted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from packer.rootfs import FILES, render_rootfs
from packer.secrets import check_secrets
from packer.tarball import File
from tests.unit.image.proof.machines import clean, patterns
from tests.unit.packer.samples import settings_in
from transcoder.errors import Refused
from transcoder.settings import load, names

ADDRESS = "0f544432cb27103055d8c1b5fba0e45f5a9ccea8"
KEYSTORE = json.dumps(
    {
        "address": ADDRESS,
        "crypto": {
            "cipher": "aes-128-ctr",
            "ciphertext": "5f" * 32,
            "cipherparams": {"iv": "01" * 16},
            "kdf": "scrypt",
            "kdfparams": {"dklen": 32, "n": 262144, "p": 1, "r": 8, "salt": "ab" * 32},
            "mac": "cd" * 32,
        },
        "id": "1a95a032-582a-49f0-a1e4-e87bb7b71731",
        "version": 3,
    }
)
BODY = "MHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJk5oDeSbJYnFqsDoAoGCCqGSM49"


def pem(kind: str) -> str:
    """Return a key that is none, put together here so that no file of this project holds one."""
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{BODY}\n-----END {kind}PRIVATE KEY-----\n"


SECRETS = {
    "an Ethereum key (keystore JSON)": [KEYSTORE, json.dumps(json.loads(KEYSTORE), indent=4)],
    "a private key (PEM)": [pem(kind) for kind in ("", "EC ", "RSA ", "OPENSSH ", "ENCRYPTED ")],
    "an AWS access key id": ["AKIA" + "IOSFODNN7EXAMPLE", "key=ASIA" + "IOSFODNN7EXAMPLE\n"],
    "an AWS secret access key": [
        "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
        "AWS_SECRET_ACCESS_KEY=" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY\n",
        '{"SecretAccessKey" : "' + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + 'EXAMPLEKEY"}',
    ],
    "an age identity": ["AGE-SECRET-KEY-" + "1" + "Q" * 58],
    "32 bytes in hexadecimal, as geth and livepeer write a plain key": ["ab" * 32, "0x" + "AB" * 32 + "\n"],
}
CASES = [(kind, text) for kind, texts in SECRETS.items() for text in texts]
HARMLESS = {
    "a program that reads keys": "\x7fELF..." + pem("RSA "),
    "a header alone": 'if line == "-----BEGIN RSA PRIVATE KEY-----": read()\n',
    "a public key": "-----BEGIN PUBLIC KEY-----\n" + BODY,
    "a sum of a file": "ab" * 32 + "  livepeer.tar.gz\n",
    "part of a longer word": "XAKIA" + "IOSFODNN7EXAMPLE",
    "a marker": json.dumps({"node": "tc001", "role": "livepeer", "address": "0x" + ADDRESS}),
    "a question for a key": "aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}\n",
}


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_a_secret_is_known_by_what_it_looks_like(kind: str, text: str) -> None:
    assert kind in patterns.kinds(text.encode())


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_none_is_not_taken_for_one(name: str) -> None:
    assert patterns.kinds(HARMLESS[name].encode()) == []


@pytest.mark.parametrize(
    "place",
    ["etc/livepeer/key.json", "home/ubuntu/old/notes", "root/x", "opt/a/b/c", "usr/local/share/k", "var/lib/cloud/x/y"],
)
@pytest.mark.parametrize(("kind", "text"), CASES)
def test_a_secret_on_the_machine_is_found_with_its_path_and_not_quoted(
    place: str, kind: str, text: str, tmp_path: Path
) -> None:
    baked = clean(tmp_path)
    baked.put(place, text)

    found = baked.prove()["no secret"]

    assert f"/{place}: {kind}" in found
    told = " ".join(found)
    assert not [part for part in re.findall(r"[A-Za-z0-9+/]{20,}", text) if part in told]


def test_a_secret_in_a_baked_file_is_found_wherever_that_is(tmp_path: Path) -> None:
    baked = clean(tmp_path)
    baked.put("usr/lib/firmware/x", KEYSTORE)
    assert baked.findings("no secret") == []

    baked.put("etc/transcoder/files.txt", "usr/lib/firmware/x\n")

    assert baked.findings("no secret") == ["/usr/lib/firmware/x: an Ethereum key (keystore JSON)"]


def test_a_key_file_is_known_by_its_name_alone(tmp_path: Path) -> None:
    baked = clean(tmp_path)
    name = f"UTC--2018-06-20T12-34-56.123456789Z--{ADDRESS}"
    baked.put(f"srv/{name}", "")

    assert baked.findings("no secret") == [f"/srv/{name}: a name that only a key file has"]


def test_a_secret_far_into_a_large_file_is_found(tmp_path: Path) -> None:
    baked = clean(tmp_path)
    edge = 4 << 20
    baked.put("opt/dump", b"x" * (edge - 100) + KEYSTORE.encode() + b"y" * edge)

    assert baked.findings("no secret") == ["/opt/dump: an Ethereum key (keystore JSON)"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    baked = clean(tmp_path / "root")
    (tmp_path / "outside").write_text(KEYSTORE)
    (baked.put("etc/x").parent / "link").symlink_to(tmp_path / "outside")

    assert baked.findings("no secret") == []


# On the operator's machine, before a bake


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        (f"etc/keys/UTC--2018-06-20T12-34-56Z--{ADDRESS}", KEYSTORE, "an Ethereum key (keystore JSON)"),
        ("etc/ssl/private/node.pem", pem("EC "), "a private key (PEM)"),
        ("etc/ssh/ssh_host_ed25519_key", pem("OPENSSH "), "a private key (PEM)"),
        ("root/.aws/credentials", "[default]\naws_access_key_id = AKIA" + "IOSFODNN7EXAMPLE", "an AWS access key id"),
    ],
)
def test_a_secret_in_files_rootfs_is_refused_with_its_path_before_a_bake(
    path: str, text: str, kind: str, tmp_path: Path
) -> None:
    files, templates = tmp_path / "files", tmp_path / "templates"
    (templates / "rootfs").mkdir(parents=True)
    (files / path).parent.mkdir(parents=True)
    (files / path).write_text(text)

    with pytest.raises(Refused, match="a secret would be baked") as refusal:
        render_rootfs(settings_in(tmp_path), files, templates)

    assert f"files/rootfs/{path}: {kind}" in refusal.value.reasons
    assert BODY not in str(refusal.value.reasons)


def test_all_secrets_are_told_at_once() -> None:
    files = {"b": File(pem("").encode()), "a": File(KEYSTORE.encode()), "c": File(b"harmless")}

    with pytest.raises(Refused) as refusal:
        check_secrets(files, "files/rootfs")
    assert [reason.partition(":")[0] for reason in refusal.value.reasons] == ["files/rootfs/a", "files/rootfs/b"]


def test_a_secret_that_an_environment_would_render_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, livepeer='environment = { AWS_ACCESS_KEY_ID = "AKIA' + 'IOSFODNN7EXAMPLE" }')

    with pytest.raises(Refused) as refusal:
        render_rootfs(settings)
    assert refusal.value.reasons == (
        "templates/rootfs/etc/systemd/system/livepeer-transcoder.service: an AWS access key id",
    )


@pytest.mark.parametrize("name", names())
def test_no_environment_that_ships_has_a_secret(name: str) -> None:
    assert FILES.is_dir()
    assert render_rootfs(load(name))


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN PRIVATE KEY-----\nMIIBVAIBADAN\n-----END PRIVATE KEY-----\n",
        b'{"crypto": {"ciphertext": "aa55", "kdf": "scrypt"}, "version": 3}',
    ],
)
def test_also_a_short_one_is_found(content: bytes) -> None:
    assert len(patterns.kinds(content)) == 1
