"""``journalctl --output=json``: the newest entries since a time, or those after a cursor. Recorded with systemd 237.

Measured with 237: with ``--since`` and ``--lines`` it prints the *first* lines since then; with ``--reverse`` as well
it leaves the newest out, as many as it prints; with ``--until`` as well it prints the newest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from transcoder.facts.reading import json_object, unreadable

TOOL = "journalctl"
FIELDS = ("MESSAGE", "SYSLOG_IDENTIFIER", "_COMM", "_PID", "SYSLOG_PID", "_HOSTNAME")
FORM = ("--no-pager", "--quiet", "--all", "--output=json", f"--output-fields={','.join(FIELDS)}")
"""``--all``: a message beyond 4096 bytes would be null. ``--output-fields`` is there since systemd 236."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal would obey: a service's log is not to move the cursor of whoever reads it."""


@dataclass(frozen=True)
class Entry:
    """What was written at once. ``at`` is in microseconds since 1970; ``cursor`` names its place in the journal."""

    at: int
    host: str
    writer: str
    message: str
    cursor: str = ""

    def lines(self) -> list[str]:
        """Return it as ``--output=short-iso`` does, in UTC; what belongs to a line stays below it."""
        seconds, _ = divmod(self.at, 1_000_000)
        begin = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S%z} {self.host} {self.writer}: "
        first, *more = self.message.split("\n")
        return [begin + first, *(" " * len(begin) + line for line in more)]


def newest(units: Sequence[str], since: str, lines: str, *selection: str) -> tuple[str, ...]:
    """Return the command for the newest entries since a time, the newest of them first.

    :param since: as journalctl takes it. :param selection: what narrows it further.
    """
    return (TOOL, *_units(units), *selection, "--since", since, "--until", "now", "--reverse", "--lines", lines, *FORM)


def after(units: Sequence[str], cursor: str) -> tuple[str, ...]:
    """Return the command for what was written after an entry."""
    return (TOOL, *_units(units), "--after-cursor", cursor, *FORM)


def _units(units: Sequence[str]) -> tuple[str, ...]:
    return tuple(part for unit in units for part in ("--unit", unit))


def parse_journal(text: str, *, reverse: bool = False) -> tuple[Entry, ...]:
    """Return the entries, the oldest first.

    :param reverse: the text begins with the newest, as that of `newest`.
    :raises Failed: when a line is no entry.
    """
    found = [_entry(line) for line in text.splitlines() if line.strip()]
    return tuple(reversed(found) if reverse else found)


def _entry(line: str) -> Entry:
    table = json_object(TOOL, line)
    try:
        at, cursor = int(table["__REALTIME_TIMESTAMP"]), str(table["__CURSOR"])
    except (KeyError, ValueError):
        raise unreadable(TOOL, "an entry without time or cursor", line) from None
    who, number = _of(table, "SYSLOG_IDENTIFIER", "_COMM"), _of(table, "_PID", "SYSLOG_PID")
    writer = f"{who or 'unknown'}[{number}]" if number else who or "unknown"
    return Entry(at, _of(table, "_HOSTNAME"), writer, _of(table, "MESSAGE"), cursor)


def _of(table: dict[str, Any], *names: str) -> str:
    """Return the first of these fields that there is."""
    return next((_text(table[name]) for name in names if table.get(name) is not None), "")


def _text(value: Any) -> str:
    """Return a field: text, the bytes of what is none, or a list of both where it was given several times."""
    if isinstance(value, list):
        if all(isinstance(each, int) for each in value):
            return _text(bytes(each & 0xFF for each in value).decode(errors="replace"))
        return " ".join(_text(each) for each in value)
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value).rstrip("\n"))


def to_text(text: str) -> str:
    """Return what `newest` has printed as lines, the oldest first.

    :raises Failed: when it is not that.
    """
    return "".join(f"{line}\n" for entry in parse_journal(text, reverse=True) for line in entry.lines())
