"""geth account new, geth account list."""

import getpass
import os
import sys

from ..common import keystore
from .command_line import Choices
from .config import Config, Fatal

_PROMPT = "Your new account is locked with a password. Please give a password. Do not forget this password."


def key_store_directory(config: Config) -> str:
    """--keystore, or keystore in the data directory."""
    node = config[("Node",)]
    return os.path.abspath(node["KeyStoreDir"] or os.path.join(node["DataDir"], "keystore"))


def _password_from(path: str) -> str:
    """The first line of the file, without its line end; an empty file is an empty password."""
    try:
        with open(path) as file:
            return file.read().split("\n")[0].rstrip("\r")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Fatal(f"Failed to read password file: open {path}: {reason}") from error


def _read_line(prompt: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    sys.stdout.write(prompt)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise Fatal("Failed to read passphrase: EOF")
    return line.rstrip("\r\n")


def _asked_password() -> str:
    print(_PROMPT)
    if not sys.stdin.isatty():
        print("!! Unsupported terminal, password will be echoed.")
    password = _read_line("Passphrase: ")
    if _read_line("Repeat passphrase: ") != password:
        raise Fatal("Passphrases do not match")
    return password


def create(config: Config, choices: Choices) -> int:
    """Make a key file and print its address."""
    path = choices.values["password"]
    password = _password_from(path) if path else _asked_password()
    scrypt = keystore.LIGHT if config[("Node",)]["UseLightweightKDF"] else keystore.STANDARD
    account = keystore.new_account(key_store_directory(config), password, scrypt)
    print("Address: {" + account.address.hex() + "}")
    return 0


def show(config: Config) -> int:
    """List the accounts in the order of their file names."""
    for index, account in enumerate(keystore.accounts(key_store_directory(config))):
        print(f"Account #{index}: {{{account.address.hex()}}} keystore://{account.path}")
    return 0
