"""The cryptography against published vectors, and key files as geth writes them."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from lab.standins.common import keystore
from lab.standins.common.address import address_of, checksummed
from lab.standins.common.aes import aes_128_ctr
from lab.standins.common.keccak import keccak_256
from lab.standins.common.transaction import Transaction, parse, signed
from tests.unit.lab.standins.programs import new_account, run

# A key file of go-ethereum's own tests (accounts/keystore/testdata), password "foobar".
GETH_KEY_FILE: dict[str, Any] = {
    "address": "7ef5a6135f1fd6a02593eedc869c6d41d934aef8",
    "crypto": {
        "cipher": "aes-128-ctr",
        "ciphertext": "1d0839166e7a15b9c1333fc865d69858b22df26815ccf601b28219b6192974e1",
        "cipherparams": {"iv": "8df6caa7ff1b00c4e871f002cb7921ed"},
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 8,
            "p": 16,
            "r": 8,
            "salt": "e5e6ef3f4ea695f496b643ebd3f75c0aa58ef4070e90c80c5d3fb0241bf1595c",
        },
        "mac": "6d16dfde774845e4585357f24bce530528bc69f4f84e1e22880d34fa45c273e5",
    },
    "id": "950077c7-71e3-4c44-a4a1-143919141ed4",
    "version": 3,
}
# The pbkdf2 vector of the Web3 Secret Storage Definition. Its scrypt vector (n = 2^18 with r = 1) cannot be computed
# by OpenSSL, which keeps to RFC 7914: n < 2^(16 r).
DEFINITION_KEY_FILE: dict[str, Any] = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "version": 3,
}
CHEAP = keystore.Scrypt(8, 1)


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"reward()", "228cb733"),
        (b"Reward(address,uint256)", "619caafabdd75649b302ba8419e48cccf64f37f1983ac4727cfb38b57703ffc9"),
        (b"BondingManager", "2517d59a36a86548e38734e8ab416f42afff4bca78706a66ad65750dae7f9e37"),
    ],
)
def test_keccak_gives_the_known_digests(data: bytes, digest: str) -> None:
    assert keccak_256(data).hex().startswith(digest)


def test_keccak_pads_a_message_that_ends_one_byte_before_the_block() -> None:
    digests = {keccak_256(b"a" * size) for size in (134, 135, 136, 137)}
    assert len(digests) == 4
    assert keccak_256(b"a" * 135).hex() == "34367dc248bbd832f4e3e69dfaac2f92638bd0bbd18f2912ba4ef454919cf446"


def test_private_key_one_has_its_well_known_address() -> None:
    assert checksummed(address_of((1).to_bytes(32, "big"))) == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"


def test_counter_mode_gives_the_vector_of_nist() -> None:
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    assert aes_128_ctr(key, counter, plain).hex() == "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"


def test_a_transaction_is_signed_as_in_the_example_of_eip_155() -> None:
    transaction = Transaction(9, 20 * 10**9, 21000, b"\x35" * 20, 10**18, b"")
    raw = signed(transaction, b"\x46" * 32, 1)
    assert raw.hex() == (
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025"
        "a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
        "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    )
    received = parse(raw, 1)
    assert received.transaction == transaction
    assert received.sender == address_of(b"\x46" * 32)


def test_a_key_file_of_geth_opens_with_its_password() -> None:
    assert address_of(keystore.decrypt(GETH_KEY_FILE, "foobar")).hex() == GETH_KEY_FILE["address"]


def test_a_key_file_of_geth_does_not_open_with_another_password() -> None:
    with pytest.raises(keystore.KeyFileError, match="could not decrypt key with given passphrase"):
        keystore.decrypt(GETH_KEY_FILE, "foobaz")


def test_the_vector_of_the_definition_opens_with_its_password() -> None:
    private = keystore.decrypt(DEFINITION_KEY_FILE, "testpassword")
    assert private.hex() == "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


@pytest.mark.parametrize("password", ["", "correct horse", "pässwörd"])
def test_what_is_encrypted_decrypts_to_the_same_key(password: str) -> None:
    private = b"\x17" * 32
    content = keystore.encrypt(private, password, CHEAP)
    assert keystore.decrypt(content, password) == private
    assert keystore.decrypt(json.loads(json.dumps(content)), password) == private


def test_a_standard_key_file_is_491_bytes_long(tmp_path: Path) -> None:
    account = keystore.store(str(tmp_path / "keystore"), b"\x17" * 32, "", keystore.STANDARD)
    assert Path(account.path).stat().st_size == 491


def test_account_new_writes_what_geth_writes(tmp_path: Path) -> None:
    address = new_account(tmp_path, tmp_path / "data")
    directory = tmp_path / "data" / "keystore"
    (path,) = directory.iterdir()
    content = json.loads(path.read_text())
    assert content["address"] == address
    assert content["crypto"]["kdfparams"] | {"salt": ""} == {"dklen": 32, "n": 4096, "p": 6, "r": 8, "salt": ""}
    assert path.name.startswith("UTC--20")
    assert path.name.endswith(f"Z--{address}")
    assert path.stat().st_size == 489
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert address_of(keystore.load(str(path), "")).hex() == address


def test_account_new_uses_the_first_line_of_the_password_file(tmp_path: Path) -> None:
    new_account(tmp_path, tmp_path, "secret\nsecond line\n")
    (account,) = keystore.accounts(str(tmp_path / "keystore"))
    assert address_of(keystore.load(account.path, "secret")) == account.address


def test_account_list_shows_the_oldest_key_first_and_passes_over_other_files(tmp_path: Path) -> None:
    first = new_account(tmp_path, tmp_path)
    second = new_account(tmp_path, tmp_path)
    (tmp_path / "keystore" / "notes.txt").write_text("not a key")
    lines = run("geth", "account", "list", "--datadir", str(tmp_path), home=tmp_path).stdout.splitlines()
    assert [line.split("{")[1].split("}")[0] for line in lines] == [first, second]
    assert lines[0].startswith(f"Account #0: {{{first}}} keystore://{tmp_path}/keystore/UTC--")


def test_account_new_without_a_terminal_and_without_a_password_file_fails(tmp_path: Path) -> None:
    result = run("geth", "--datadir", str(tmp_path), "account", "new", home=tmp_path)
    assert (result.returncode, result.stderr) == (1, "Fatal: Failed to read passphrase: EOF\n")
    assert keystore.accounts(str(tmp_path / "keystore")) == []


def test_a_missing_password_file_is_named(tmp_path: Path) -> None:
    result = run("geth", "account", "new", "--password", "/nonexistent", home=tmp_path)
    expected = "Fatal: Failed to read password file: open /nonexistent: no such file or directory\n"
    assert (result.returncode, result.stderr) == (1, expected)
