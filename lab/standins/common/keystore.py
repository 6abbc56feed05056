"""Ethereum key files, version 3, as geth 1.8 writes and reads them (accounts/keystore/keystore_passphrase.go)."""

import hashlib
import json
import os
import re
import tempfile
import time
import uuid
from typing import Any, Dict, List, NamedTuple

from .address import address_of
from .aes import aes_128_ctr
from .keccak import keccak_256
from .secp256k1 import ORDER


class Scrypt(NamedTuple):
    """Cost of the key derivation. Standard takes about 1 s and 256 MiB, light 0.1 s and 4 MiB."""

    n: int
    p: int


STANDARD = Scrypt(262144, 1)
LIGHT = Scrypt(4096, 6)
WRONG_PASSWORD = "could not decrypt key with given passphrase"


class KeyFileError(ValueError):
    """A key file cannot be read or the password is not its own; the text is geth's."""


class Account(NamedTuple):
    """A key file in a key store directory; the address is 20 bytes."""

    address: bytes
    path: str


def _derive(crypto: Dict[str, Any], password: str) -> bytes:
    parameters = crypto["kdfparams"]
    salt, length = bytes.fromhex(parameters["salt"]), int(parameters["dklen"])
    if crypto["kdf"] == "pbkdf2":
        return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, int(parameters["c"]), length)
    if crypto["kdf"] != "scrypt":
        raise KeyFileError("unsupported KDF: {}".format(crypto["kdf"]))
    n, r, p = (int(parameters[name]) for name in "nrp")
    memory = 128 * r * (n + p + 2) + (1 << 20)
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=length)


def encrypt(private: bytes, password: str, scrypt: Scrypt) -> Dict[str, Any]:
    """The content of a new key file for `private`."""
    iv, salt = os.urandom(16), os.urandom(32)
    crypto: Dict[str, Any] = {
        "cipher": "aes-128-ctr",
        "ciphertext": "",
        "cipherparams": {"iv": iv.hex()},
        "kdf": "scrypt",
        "kdfparams": {"dklen": 32, "n": scrypt.n, "p": scrypt.p, "r": 8, "salt": salt.hex()},
        "mac": "",
    }
    derived = _derive(crypto, password)
    ciphertext = aes_128_ctr(derived[:16], iv, private)
    crypto["ciphertext"] = ciphertext.hex()
    crypto["mac"] = keccak_256(derived[16:32] + ciphertext).hex()
    return {"address": address_of(private).hex(), "crypto": crypto, "id": str(uuid.uuid4()), "version": 3}


def decrypt(content: Dict[str, Any], password: str) -> bytes:
    """The private key in a key file; KeyFileError when the password is wrong or the file is not version 3."""
    try:
        if content["version"] != 3:
            raise KeyFileError("version not supported: {}".format(content["version"]))
        crypto = content.get("crypto") or content["Crypto"]
        derived = _derive(crypto, password)
        ciphertext = bytes.fromhex(crypto["ciphertext"])
        iv = bytes.fromhex(crypto["cipherparams"]["iv"])
        if keccak_256(derived[16:32] + ciphertext).hex() != crypto["mac"]:
            raise KeyFileError(WRONG_PASSWORD)
        return aes_128_ctr(derived[:16], iv, ciphertext)
    except (KeyError, TypeError) as error:
        raise KeyFileError(f"not a version 3 key file: {error!r}") from error


def make_private_directory(path: str) -> None:
    """Make a directory and its missing parents, each 0700 (os.makedirs gives the mode to the last one only)."""
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        make_private_directory(parent)
    if not os.path.isdir(path):
        os.mkdir(path, 0o700)


def _file_name(address: bytes) -> str:
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(now))
    return f"UTC--{stamp}.{int(now % 1 * 1e9):09d}Z--{address.hex()}"


def store(directory: str, private: bytes, password: str, scrypt: Scrypt) -> Account:
    """Write a key file (mode 0600, in a directory of mode 0700) whole or not at all."""
    content = encrypt(private, password, scrypt)
    address = bytes.fromhex(content["address"])
    make_private_directory(directory)
    path = os.path.join(directory, _file_name(address))
    handle, temporary = tempfile.mkstemp(prefix="." + os.path.basename(path) + ".tmp", dir=directory)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    return Account(address, path)


def new_account(directory: str, password: str, scrypt: Scrypt) -> Account:
    """Make a new random key and store it."""
    private = 0
    while not 0 < private < ORDER:
        private = int.from_bytes(os.urandom(32), "big")
    return store(directory, private.to_bytes(32, "big"), password, scrypt)


def accounts(directory: str) -> List[Account]:
    """The accounts of a key store, sorted by file path as geth sorts them; files that are no keys are passed over."""
    if not os.path.isdir(directory):
        return []
    found = []
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        # geth's cache skips editors' backups, hidden files and whatever is not a regular file
        if name.startswith(".") or name.endswith("~") or not os.path.isfile(path):
            continue
        address = _address_in(path)
        if address:
            found.append(Account(bytes.fromhex(address), path))
    return found


def _address_in(path: str) -> str:
    try:
        with open(path) as file:
            text = str(json.load(file)["address"]).lower()
    except (ValueError, KeyError, TypeError):
        return ""
    text = text[2:] if text.startswith("0x") else text
    return text if re.match(r"^[0-9a-f]{40}$", text) else ""


def load(path: str, password: str) -> bytes:
    """The private key in the file at `path`; OSError or KeyFileError."""
    with open(path) as file:
        try:
            content = json.load(file)
        except ValueError as error:
            raise KeyFileError(f"not JSON: {error}") from error
    return decrypt(content, password)
