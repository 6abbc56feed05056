"""``/proc/PID/limits``: what the kernel grants a process. Recorded with Linux 6.1; the format is that of 2.6.24."""

from __future__ import annotations

import re
from dataclasses import dataclass

from transcoder.facts.reading import unreadable

TOOL = "/proc/PID/limits"
UNLIMITED = 2**64 - 1
"""The kernel's RLIM_INFINITY, which the file calls ``unlimited``."""
_LINE = re.compile(r"Max open files +(\d+|unlimited) +(\d+|unlimited) +files *")


@dataclass(frozen=True)
class OpenFiles:
    """How many files a process may have open: ``soft`` is in force, and it may raise that up to ``hard``."""

    soft: int
    hard: int


def command(pid: int) -> tuple[str, ...]:
    """Return the command for the process ``pid``."""
    return ("cat", f"/proc/{pid}/limits")


def parse_limits(text: str) -> OpenFiles:
    """Return the limits on open files.

    :raises Failed: when there is no line about them, as when the process has ended meanwhile.
    """
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            return OpenFiles(_number(match[1]), _number(match[2]))
    about = [line for line in text.splitlines() if "open files" in line]
    raise unreadable(TOOL, "no readable line 'Max open files'", about[0] if about else text)


def _number(text: str) -> int:
    return UNLIMITED if text == "unlimited" else int(text)
