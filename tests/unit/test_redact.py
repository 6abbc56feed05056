"""Redaction: no secret gets through, in whatever clothes it comes; what is none stays readable."""

from __future__ import annotations

import json

import pytest

from transcoder.redact import MASK, Redactor
from transcoder.secret import Secret

CANARY, USER = "canaryC4n4ry", "ann"
HEX = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
AWS_SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYaB"
SECRETS = {
    "pem": f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----",
    "pem cut off": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\nmore",
    "rpc path": f"ethUrl https://arb-mainnet.example/v2/{CANARY}",
    "rpc query": f"dial wss://rpc.example:443/?key={CANARY} failed",
    "rpc user": f"https://{USER}:{CANARY}@rpc.example",
    "harmless host with a user": f"http://{USER}:{CANARY}@127.0.0.1:8545",
    "database": f"postgres://{USER}:{CANARY}@db.example.org/x",
    "password equals": f"password={CANARY}",
    "password in json": json.dumps({"password": CANARY}),
    "password in json in json": json.dumps(json.dumps({"password": CANARY})),
    "environment": f"Environment=ETH_API_KEY={CANARY}",
    "environment quoted": f'Environment="DB_PASSWORD={CANARY}"',
    "flag with a space": f"livepeer -ethPassword {CANARY} -v 6",
    "flag with equals": f"livepeer -orchSecret={CANARY}",
    "config file": f"orchSecret {CANARY}",
    "yaml": f"session_token: {CANARY}",
    "bearer": f"Authorization: Bearer {CANARY}",
    "mnemonic": f"mnemonic: legal winner thank {CANARY} yellow",
    "seed phrase": f"the seed phrase is legal winner {CANARY}",
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.{CANARY}",
    "vault": f"hvs.{CANARY}{CANARY}",
    "age": "AGE-SECRET-KEY-1QQPQQPQQPCANARY",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_does_not_get_through(text: str) -> None:
    redactor = Redactor()
    out = redactor(f"before\n{text}")
    assert CANARY not in out
    assert "CANARY" not in out
    assert MASK in out
    assert out.startswith("before")
    assert sum(redactor.counts.values()) >= 1


@pytest.mark.parametrize(
    "text",
    ["AKIAIOSFODNN7EXAMPLE", f"aws_secret_access_key = {AWS_SECRET}", f"found {AWS_SECRET} lying about", f"key {HEX}"],
)
def test_keys_with_a_form_of_their_own_do_not_get_through(text: str) -> None:
    out = Redactor()(text)
    assert AWS_SECRET not in out
    assert HEX not in out
    assert "AKIA" not in out


def test_of_a_keystore_file_only_what_is_public_is_left() -> None:
    crypto = {"ciphertext": "ab" * 32, "cipherparams": {"iv": "cd" * 16}, "kdfparams": {"salt": "ef" * 32, "n": 4096}}
    file = {"address": "0f544432cb27103055d8c1b5fba0e45f5a9ccea8", "crypto": {**crypto, "mac": "12" * 32}}
    out = Redactor()(json.dumps(file))
    assert json.loads(out)["address"] == file["address"]
    assert not [part for part in ("abab", "cdcd", "efef", "1212") if part in out]


def test_a_known_secret_is_masked_wherever_it_stands() -> None:
    redactor = Redactor([Secret("hunter2hunter2"), Secret("")])
    assert redactor("a hunter2hunter2b") == f"a {MASK}b"
    assert redactor.counts["known"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "block 0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318 imported",
        f'"sha256": "{HEX}"',
        "account 0x0f544432cb27103055d8c1b5fba0e45f5a9ccea8",
        "0F544432Cb27103055d8C1B5fbA0e45F5a9cCEA8",
        "GET http://127.0.0.1:7935/status",
        "https://arb1.arbitrum.io/rpc",
        "https://rpc.example",
        "enode://6f8a80d14311c39f35f516fa664deaaaa13e85b2f7493f37f6144d86991ec012937307647bd3b9a82abe2974e1407241d54947bbb39763a4cac9f77166ad92a0@10.3.58.6:30303",
        "/usr/local/lib/transcoder/run-livepeer --private /d1/livepeer/private.conf -- livepeer -orchestrator",
        "vol-0123456789abcdef0 attached to i-0123456789abcdef0 as /dev/sdg",
        '{"token": null, "secret": false}',
        "livepeer-transcoder.service loaded active running Livepeer transcoder (livepeer 0.2.4)",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    redactor = Redactor()
    assert redactor(text) == text
    assert sum(redactor.counts.values()) == 0


def test_json_stays_json() -> None:
    table = {
        "password": "x y",
        "token": 12345,
        "secret": None,
        "api_key": ["a"],
        "name": "tc001",
        "url": "https://a.test/k",
    }
    for read in (json.loads(Redactor()(json.dumps(table, indent=2))), Redactor().data(table)):
        check(read)


def check(read: dict[str, object]) -> None:
    assert (read["password"], read["secret"], read["name"]) == (MASK, None, "tc001")
    assert read["url"] == f"https://a.test/{MASK}"
