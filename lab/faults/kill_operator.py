"""The operator's process is killed (SIGKILL) when it begins a step: nothing of it can clean up.

The daemon reads the operator's journal as it grows (``[operator] journal`` of the environment), in which a step's begin
stands before its first look at the world. It fires once.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.faults.fault import Effect, Options
from lab.faults.options import Option
from lab.faults.site import Site
from transcoder.errors import Refused

SUMMARY = "the operator's process is killed when it begins a step; fires once"
OPTIONS = (
    Option("step", "key of a step as the plan prints it, such as livepeer/detach", required=True, subject=True),
    Option("at", "of that step", default="begin", choices=("begin", "end")),
    Option("after", "seconds to wait then: in the middle of it", "number", 0.0, least=0, most=600),
    Option("journal", "file; default: the environment's [operator] journal"),
)
POLL_SECONDS = 0.005


class Watch:
    """Reads a journal from where it ends now, until a step begins or ends."""

    def __init__(self, journal: Path, step: str, at: str) -> None:
        self._journal, self._step, self._at = journal, step, at
        self._offset = journal.stat().st_size if journal.exists() else 0
        self._rest = b""
        self.ended = threading.Event()
        """Set when it has fired, or is switched off."""

    def look(self) -> int | None:
        """Read what is new; return the pid of the process that is at the step, or None."""
        if not self._journal.exists():
            return None
        with self._journal.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        return next((pid for pid in (pid_at(json.loads(line), self._step, self._at) for line in lines) if pid), None)

    def run(self, wait: Callable[[float], bool], after: float) -> None:
        """Watch and fire, as a job of the lab. ``wait`` says False when the lab goes down."""
        while not self.ended.is_set() and wait(POLL_SECONDS):
            if pid := self.look():
                if wait(after) and not self.ended.is_set():
                    kill(pid)
                self.ended.set()


def pid_at(line: Mapping[str, Any], step: str, at: str) -> int | None:
    """Return the process of a line of the journal, when the line says that it is at the step."""
    begins = line["outcome"] is None
    return int(line["pid"]) if line["step"] == step and begins == (at == "begin") else None


def kill(pid: int) -> None:
    """Kill a process; one that has ended by itself in this moment is as good."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def on(site: Site, options: Options) -> Effect:
    """Watch the journal."""
    name, step = str(options.get("journal", site.operator.journal)), str(options["step"])
    if not name:
        raise Refused("the operator keeps no journal", hint='give --journal, or set [operator] journal = "..."')
    watch = Watch(Path(name).expanduser(), step, str(options["at"]))
    site.cloud.job(f"kill at {step}", watch.run, site.cloud.wait, float(options["after"]))
    return Effect(f"whoever comes to the {options['at']} of {step} is killed (journal {name})", watch)


def off(_site: Site, _options: Options, memory: Any) -> str:
    """Watch no more."""
    memory.ended.set()
    return "nobody is killed"


def over(_site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether it has fired."""
    return bool(memory.ended.is_set())
