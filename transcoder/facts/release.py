"""What image a machine is of: ``/etc/transcoder/release.json``, which the bake writes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from transcoder.facts.reading import json_object, text_at, unreadable

TOOL = "/etc/transcoder/release.json"
COMMAND = ("cat", TOOL)

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Release:
    """The programs of an image, and the chain that its livepeer works on (empty: an image that does not say).

    ``geth`` is None in an image that has none, whose livepeer reads its chain through a hosted RPC.
    """

    geth: Version | None
    livepeer: Version
    network: str = ""


def parse_release(text: str) -> Release:
    """Return what the file says.

    :raises Failed: when it is not JSON or names no versions.
    """
    table = json_object(TOOL, text)
    geth = _program(table["geth"]) if "geth" in table else None
    return Release(geth, _program(table.get("livepeer")), text_at(TOOL, table, "network"))


def _program(entry: object) -> Version:
    if not isinstance(entry, dict):
        raise unreadable(TOOL, "expected an object for each program", str(entry))
    return parse_version(text_at(TOOL, entry, "version", required=True))


def parse_version(text: str) -> Version:
    """Return ``0.2.4`` or ``v0.2.4`` as numbers.

    :raises Failed: for anything else.
    """
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", text, re.ASCII)
    if match is None:
        raise unreadable(TOOL, "expected a version like 1.8.27", text)
    return int(match[1]), int(match[2]), int(match[3])


def shown(version: Version) -> str:
    """Return a version as text."""
    return ".".join(str(part) for part in version)
