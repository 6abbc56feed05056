"""``findmnt``: what is mounted where. Recorded with util-linux 2.31.1 and 2.38.1.

The whole list is asked for: "nothing is mounted at /d1" is then read from an answer, not from the exit code 1 that
``findmnt --mountpoint /d1`` gives for this and for other failures alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transcoder.facts.reading import json_object, rows, text_at, unreadable
from transcoder.model import Mount

TOOL = "findmnt"
COMMAND = ("findmnt", "--json", "--list", "--output", "TARGET,SOURCE,FSTYPE,OPTIONS")


def parse_findmnt(text: str, *, exit_code: int = 0) -> tuple[Mount, ...]:
    """Return the mounts in the kernel's order; a later one hides an earlier one at the same target.

    The source of a bind mount has the directory behind the device: ``/dev/xvdg[/inner]``.

    :param exit_code: findmnt's; 1 with no output means that nothing was found.
    :raises Failed: when the text is not findmnt's JSON, or the exit code says that it failed.
    """
    if exit_code == 1 and not text.strip():
        return ()
    if exit_code != 0:
        raise unreadable(TOOL, f"exit code {exit_code}", text)
    return tuple(_mount(row) for row in rows(TOOL, json_object(TOOL, text), "filesystems"))


def _mount(row: Mapping[str, Any]) -> Mount:
    return Mount(
        target=text_at(TOOL, row, "target", required=True),
        source=text_at(TOOL, row, "source"),
        fstype=text_at(TOOL, row, "fstype", required=True),
        options=tuple(option for option in text_at(TOOL, row, "options").split(",") if option),
    )
