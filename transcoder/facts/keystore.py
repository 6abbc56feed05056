"""The keystore: which accounts a node has. Files of geth 1.8.27 (``account new``), version 3, unchanged up to 1.17.

A file is named ``UTC--<creation time>--<40 hex digits>`` and holds the encrypted key together with the address.
livepeer takes the first by name unless it is told which; an empty keystore makes it create a new account.

Nothing here shows a file's content in an error, encrypted though it is: names and addresses only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from transcoder.facts.address import parse_address
from transcoder.facts.reading import unreadable

TOOL = "keystore"
VERSION = 3
_NAME = re.compile(r"UTC--(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{1,9}Z)--([0-9a-f]{40})")


@dataclass(frozen=True)
class KeyFile:
    """A key file, by its name; ``created`` is geth's UTC text, which sorts."""

    name: str
    created: str
    address: str


def list_command(directory: str) -> tuple[str, ...]:
    """Return the command that prints the names of the files in ``directory``; it exits 1 when there is none such."""
    return ("find", directory, "-mindepth", "1", "-maxdepth", "1", "-type", "f", "-printf", "%f\\n")


def read_command(directory: str, name: str) -> tuple[str, ...]:
    """Return the command that prints one key file; its output is for `parse_key` and never for a terminal."""
    return ("cat", f"{directory}/{name}")


def parse_name(name: str) -> KeyFile:
    """Return what the name of a key file tells.

    :raises Failed: when it is not the name of a key file.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise unreadable(TOOL, "expected a file named UTC--<time>--<address>", name)
    return KeyFile(name=name, created=match[1], address=parse_address(TOOL, match[2]))


def parse_names(text: str) -> tuple[KeyFile, ...]:
    """Return the key files of a directory, oldest first, from the output of `list_command`.

    geth passes over hidden files and those ending in ``~``, so they are left out.

    :raises Failed: when any other file is not named like a key file.
    """
    names = [name for name in text.splitlines() if name and not name.startswith(".") and not name.endswith("~")]
    return tuple(parse_name(name) for name in sorted(names))


def parse_key(name: str, content: str) -> KeyFile:
    """Return the key file, after its name and its content have agreed on the address.

    :raises Failed: when the content is not a version 3 key, is cut short, or belongs to another address.
    """
    file = parse_name(name)
    try:
        key = json.loads(content)
    except json.JSONDecodeError as error:
        # Without "from error": json's exception carries the whole text.
        raise unreadable(TOOL, f"{name} is not valid JSON, it ends or breaks at byte {error.pos}") from None
    if not isinstance(key, dict) or key.get("version") != VERSION:
        raise unreadable(TOOL, f"{name} is not a key file of version {VERSION}")
    _check_crypto(name, key)
    if not isinstance(key.get("address"), str) or not re.fullmatch(r"(0x)?[0-9a-fA-F]{40}", key["address"]):
        raise unreadable(TOOL, f"{name} holds no address")
    address = parse_address(TOOL, key["address"])
    if address != file.address:
        raise unreadable(TOOL, f"{name} is named for {file.address} and holds the key of {address}")
    return file


def addresses(files: Mapping[str, str]) -> tuple[str, ...]:
    """Return the address of each file (name -> content), oldest first; all of them must be sound.

    :raises Failed: as `parse_key`.
    """
    return tuple(parse_key(name, files[name]).address for name in sorted(files))


def _check_crypto(name: str, key: Mapping[str, object]) -> None:
    crypto = key.get("crypto")
    parts = ("cipher", "ciphertext", "cipherparams", "kdf", "kdfparams", "mac")
    missing = [part for part in parts if part not in crypto] if isinstance(crypto, dict) else ["crypto"]
    if missing:
        raise unreadable(TOOL, f"{name} lacks {', '.join(missing)}")
