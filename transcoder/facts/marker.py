"""The marker file at the root of a data volume: which node and which role the volume has.

A JSON object of one line with exactly these keys, so that a start-up check in plain Python 3.6 can read it too::

    {"format": "transcoder-volume/1", "node": "tc001", "role": "livepeer", "address": "0x..."}

``address`` is empty until there is a key.
"""

from __future__ import annotations

import json
import re

from transcoder.facts.address import parse_address
from transcoder.facts.reading import json_object, text_at, unreadable
from transcoder.layout import MARKER, VOLUMES
from transcoder.model import Marker

TOOL = MARKER
FORMAT = "transcoder-volume/1"
ROLES = tuple(volume.role for volume in VOLUMES)
KEYS = {"format", "node", "role", "address"}
_NODE = re.compile(r"[a-z][a-z0-9-]{0,30}")


def command(mount: str) -> tuple[str, ...]:
    """Return the command that prints the marker of the volume at ``mount``."""
    return ("cat", f"{mount}/{MARKER}")


def render_marker(marker: Marker) -> bytes:
    """Return the file's bytes.

    :raises Failed: for a marker that `parse_marker` would not read.
    """
    fields = {"format": FORMAT, "node": marker.node, "role": marker.role, "address": marker.address}
    content = (json.dumps(fields) + "\n").encode()
    parse_marker(content)
    return content


def parse_marker(content: bytes) -> Marker:
    """Return the marker.

    :raises Failed: when the file is empty, cut short, not ours, or from a later version of this project.
    """
    table = json_object(TOOL, _text(content))
    if table.get("format") != FORMAT:
        raise unreadable(TOOL, f"not a marker of the format {FORMAT!r}", str(table.get("format", table)))
    if set(table) != KEYS:
        raise unreadable(TOOL, f"expected the keys {', '.join(sorted(KEYS))}", ", ".join(sorted(table)))
    node, role, address = (text_at(TOOL, table, key) for key in ("node", "role", "address"))
    if not _NODE.fullmatch(node):
        raise unreadable(TOOL, "expected the name of a node", node)
    if role not in ROLES:
        raise unreadable(TOOL, f"expected a role of {', '.join(ROLES)}", role)
    return Marker(node=node, role=role, address=parse_address(TOOL, address) if address else "")


def _text(content: bytes) -> str:
    if not content.strip(b"\0 \n"):
        raise unreadable(TOOL, f"the file is empty ({len(content)} bytes): it was cut short, or never written to disk")
    if not content.endswith(b"\n"):
        raise unreadable(TOOL, "the file is cut short (no end of line)", content.decode("utf-8", "backslashreplace"))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise unreadable(TOOL, f"not UTF-8 at byte {error.start}") from error
