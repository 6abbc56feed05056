"""What is kept of a node's key: one JSON document that holds the files as they are, byte by byte.

::

    {"format": "transcoder-keys/1", "address": "0x...", "node": "tc001", "environment": "lab", "created": "2026-...",
     "files": {"keystore/UTC--...": "<base64>", "keys.json": "...", "marker": "...", "database/lpdb.sqlite3": "..."}}

No error here shows content: names and addresses only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transcoder.errors import Failed
from transcoder.facts import keystore, marker
from transcoder.facts.address import parse_address
from transcoder.facts.reading import text_at, unreadable
from transcoder.model import Marker
from transcoder.secret import Secret

TOOL = "the backup"
FORMAT = "transcoder-keys/1"
KEYS = {"format", "address", "node", "environment", "created", "files"}
KEY, NODE_KEY, MARKER, DATABASE = "keystore/", "keys.json", "marker", "database/"
"""Where a file comes from: livepeer's keystore, livepeer 0.2's own identity, the volume's marker, the database."""


@dataclass(frozen=True)
class Bundle:
    """The files of one key. ``created`` is ISO 8601, UTC."""

    address: str
    node: str
    environment: str
    created: str
    files: Mapping[str, bytes] = field(repr=False, hash=False)

    @property
    def key_files(self) -> tuple[str, ...]:
        """The names of the key files in the keystore, oldest first."""
        return tuple(sorted(name.removeprefix(KEY) for name in self.files if name.startswith(KEY)))

    @property
    def marker(self) -> Marker | None:
        """The marker of the volume that it was taken from."""
        return marker.parse_marker(self.files[MARKER]) if MARKER in self.files else None

    @property
    def digests(self) -> dict[str, str]:
        """The sha256 of each file: what may be shown and compared."""
        return {name: digest(content) for name, content in sorted(self.files.items())}


def digest(content: bytes) -> str:
    """Return the sha256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def render_bundle(bundle: Bundle) -> Secret:
    """Return the document.

    :raises Failed: for a bundle that `parse_bundle` would not read.
    """
    files = {name: base64.b64encode(content).decode() for name, content in sorted(bundle.files.items())}
    own = {"address": bundle.address, "node": bundle.node, "environment": bundle.environment}
    document = Secret(json.dumps({"format": FORMAT, **own, "created": bundle.created, "files": files}))
    parse_bundle(document)
    return document


def parse_bundle(document: Secret) -> Bundle:
    """Return the bundle, after all that names an address in it has named the same one.

    :raises Failed: when it is cut short, not ours, of a later version, or its addresses differ.
    """
    table = _object(document.reveal())
    if table.get("format") != FORMAT:
        raise unreadable(TOOL, f"not of the format {FORMAT!r}", str(table.get("format", "")))
    if set(table) != KEYS:
        raise unreadable(TOOL, f"expected the keys {', '.join(sorted(KEYS))}", ", ".join(sorted(table)))
    node, environment, created = (
        text_at(TOOL, table, key, required=True) for key in ("node", "environment", "created")
    )
    address = parse_address(TOOL, text_at(TOOL, table, "address"))
    bundle = Bundle(address, node, environment, created, _files(table["files"]))
    _check(bundle)
    return bundle


def _object(text: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        # Without "from error": json's exception carries the whole text.
        raise unreadable(TOOL, f"not valid JSON, it ends or breaks at byte {error.pos} of {len(text)}") from None
    if not isinstance(table, dict):
        raise unreadable(TOOL, "expected a JSON object")
    return table


def _files(table: object) -> dict[str, bytes]:
    if not isinstance(table, dict):
        raise unreadable(TOOL, "it has no files")
    found = {}
    for name, content in table.items():
        own = name in (NODE_KEY, MARKER) or any(
            name.startswith(kind) and "/" not in name[len(kind) :] and len(name) > len(kind) for kind in (KEY, DATABASE)
        )
        if not own:
            raise unreadable(TOOL, "a file that does not belong into it", str(name))
        try:
            found[name] = base64.b64decode(content, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise unreadable(TOOL, f"{name} is not valid base64") from None
    return found


def _check(bundle: Bundle) -> None:
    if not bundle.key_files:
        raise unreadable(TOOL, "it has no key file")
    for name in bundle.key_files:
        found = read_key(name, bundle.files[KEY + name])
        if found.address != bundle.address:
            raise unreadable(TOOL, f"it is of {bundle.address} and holds the key of {found.address}")
    own = bundle.marker
    if own is not None and own.address and own.address != bundle.address:
        raise unreadable(TOOL, f"it is of {bundle.address}, and its marker is of {own.address}")


def read_key(name: str, content: bytes) -> keystore.KeyFile:
    """Return the key file, after its name and its content have agreed on the address.

    :raises Failed: when they do not, or it is cut short, or no key file.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Failed(f"keystore: {name} is not UTF-8") from None
    return keystore.parse_key(name, text)
