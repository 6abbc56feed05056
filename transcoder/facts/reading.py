"""What the parsers share: the error they raise, and checked access to JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from transcoder.errors import Failed

LONGEST_QUOTE = 200
"""Characters of a line that an error shows; a tool that prints a megabyte shall not fill the terminal."""


def unreadable(tool: str, problem: str, line: str = "") -> Failed:
    """Return the error for output that a parser does not understand.

    :param problem: what is wrong, as the rest of a sentence that starts with the tool's name.
    :param line: the line (or value) in question, shown shortened.
    """
    quoted = line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + "..."
    return Failed(f"{tool}: {problem}" + (f": {quoted!r}" if line else ""))


def json_object(tool: str, text: str) -> dict[str, Any]:
    """Return the JSON object that ``text`` is.

    :raises Failed: when it is not valid JSON, or JSON of another kind.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        line = (text.splitlines() or [""])[min(error.lineno, len(text.splitlines()) or 1) - 1]
        raise unreadable(tool, f"not valid JSON (line {error.lineno}: {error.msg})", line) from error
    if not isinstance(value, dict):
        raise unreadable(tool, "expected a JSON object", text)
    return value


def rows(tool: str, table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the list of objects at ``key``.

    :raises Failed: when there is no such list, or something else than an object in it.
    """
    value = table.get(key)
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise unreadable(tool, f"expected a list of objects in {key!r}", str(value))
    return value


def text_at(tool: str, row: Mapping[str, Any], key: str, *, required: bool = False) -> str:
    """Return the text at ``key``; ``null`` and an absent key are empty.

    :raises Failed: when it is neither text nor null, or empty though ``required``.
    """
    value = row.get(key)
    if not isinstance(value, str | None):
        raise unreadable(tool, f"expected text in {key!r}", str(value))
    if required and not value:
        raise unreadable(tool, f"no {key!r}", str(dict(row)))
    return value or ""


def whole_number(tool: str, what: str, value: object) -> int:
    """Return a number given as a number or as decimal text (util-linux before 2.33 quotes numbers in JSON).

    :raises Failed: when it is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise unreadable(tool, f"expected a whole number for {what}", str(value))
