"""Which key the node uses and how it gets at it: eth/accountmanager.go up to v0.5.29, rule by rule."""

import getpass
import os
import sys
from typing import NamedTuple

from ..common import keystore
from ..common.address import checksummed
from . import log

_SOURCE = "accountmanager.go:1"
_NOBODY = bytes(20)


class AccountError(Exception):
    """The node cannot have its key; it ends (with exit code 0, as the real one)."""


class Unlocked(NamedTuple):
    """A key ready to sign with."""

    address: bytes
    private: bytes


def hex_to_address(text: str) -> bytes:
    """As common.HexToAddress: the last 20 bytes of whatever hexadecimal digits there are, never an error."""
    digits = text[2:] if text[:2].lower() == "0x" else text
    digits = digits if len(digits) % 2 == 0 else "0" + digits
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        data = b""
    return (bytes(20) + data)[-20:]


def key_store_directory(datadir: str, key_store_path: str) -> str:
    """Up to v0.5.37 a directory given without a trailing slash means its parent: the path is split, not looked at."""
    if key_store_path and os.path.exists(key_store_path):
        return os.path.split(key_store_path)[0]
    return os.path.join(datadir, "keystore")


def choose(directory: str, wanted: bytes) -> keystore.Account:
    """The account with the address `wanted` (20 zero bytes: the first by path), or a new one if there is no such."""
    found = keystore.accounts(directory)
    matching = [account for account in found if wanted in (_NOBODY, account.address)]
    if matching:
        log.info("Found existing ETH account", _SOURCE)
        account = matching[0]
    else:
        account = _create(directory)
    log.info(f"Using Ethereum account: {checksummed(account.address)}", _SOURCE)
    return account


def _create(directory: str) -> keystore.Account:
    log.info("No Ethereum account found. Creating a new account", _SOURCE)
    log.info("This process will create a new Ethereum account for this Livepeer node", _SOURCE)
    log.info("Please enter a passphrase to encrypt the Private Keystore file for the Ethereum account.", _SOURCE)
    log.info("This process will ask for this passphrase every time it is launched", _SOURCE)
    log.info("(no characters will appear in Terminal when the passphrase is entered)", _SOURCE)
    password = _ask("Passphrase: ")
    if _ask("Repeat passphrase: ") != password:
        raise AccountError("Passphrases do not match")
    return keystore.new_account(directory, password, keystore.STANDARD)


def _ask(prompt: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    sys.stdout.write(prompt)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise AccountError("EOF")
    return line.rstrip("\r\n")


def from_file(password: str) -> str:
    """From v0.5.2 on a password may be the path of a file, whose first line it is (common/getpass.go).

    What is no file is the password itself; so is, with a message, the path of one that cannot be read or is empty.
    """
    if not os.path.exists(password) or os.path.isdir(password):
        return password
    try:
        with open(password, newline="\n") as file:
            lines = file.readline().splitlines()
    except OSError as error:
        log.error(f"Error reading password: open {password}: {log.reason(error)}")
        return password
    if not lines:
        log.error("Error reading password: the file has no line: " + password)
    return lines[0] if lines else password


def unlock(account: keystore.Account, password: str) -> Unlocked:
    """Decrypt the key. An empty password is tried first; only when it is not the key's own is one asked for."""
    try:
        private = _decrypt(account, password)
    except keystore.KeyFileError as error:
        if password:
            raise AccountError(str(error)) from error
        log.info("Please enter the passphrase to unlock Ethereum account " + checksummed(account.address), _SOURCE)
        try:
            private = _decrypt(account, _ask("Passphrase: "))
        except keystore.KeyFileError as again:
            raise AccountError(str(again)) from again
    log.info(f"Unlocked ETH account: {checksummed(account.address)}", _SOURCE)
    return Unlocked(account.address, private)


def _decrypt(account: keystore.Account, password: str) -> bytes:
    try:
        return keystore.load(account.path, password)
    except OSError as error:
        raise AccountError(f"open {account.path}: {(error.strerror or str(error)).lower()}") from error
