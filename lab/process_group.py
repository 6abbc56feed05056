"""Process groups of machines: a User-Mode-Linux machine is a group of host processes, and dies only as a group."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from transcoder.errors import Failed

DEATH_SECONDS = 10.0
POLL_SECONDS = 0.01
SUFFIX = ".pgid"


def members(group: int) -> list[int]:
    """Return the live processes of a group; zombies, which nobody may be there to collect, do not count."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _live_group(entry) == group:
            found.append(int(entry.name))
    return found


def _live_group(entry: Path) -> int | None:
    try:
        status = (entry / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything: the fields are counted from the last one. proc(5)
    state, _parent, group = status.rpartition(")")[2].split()[:3]
    return None if state in "ZX" else int(group)


def kill(group: int) -> None:
    """Kill a whole group at once and wait until nobody of it lives: the power is off.

    :raises Failed: somebody still lives after ten seconds.
    """
    deadline = time.monotonic() + DEATH_SECONDS
    while members(group):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return
        if time.monotonic() > deadline:
            raise Failed(f"process group {group} does not die", hint=f"ps -o pid,stat,wchan -g {group}")
        time.sleep(POLL_SECONDS)


def is_machine(group: int, instance_id: str) -> bool:
    """Say whether the group is the User-Mode-Linux machine of that instance, and not a later user of the number."""
    for pid in members(group):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if Path(os.fsdecode(arguments[0])).name == "linux.uml" and f"umid={instance_id}".encode() in arguments:
            return True
    return False


def reap(run_directory: Path) -> list[str]:
    """Kill the machines that a crashed starter left running, and nothing else; returns their instance ids."""
    reaped = []
    for record in sorted(run_directory.glob(f"*{SUFFIX}")):
        group = int(record.read_text().strip() or "0")
        if group and is_machine(group, record.stem):
            kill(group)
            reaped.append(record.stem)
        record.unlink()
    return reaped
