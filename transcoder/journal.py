"""The operator's journal: a line of JSON for every step that begins or ends, for audits and for other programs.

The world itself says what stands; no operation ever reads this file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transcoder.step import Event


class Journal:
    """Appends events to a file, one whole line a write, so that several processes can share it.

    :param path: made with its directory when the first event is written; empty for no journal.
    :param operation: what the operator typed.
    """

    def __init__(self, path: str, operation: str) -> None:
        self._path = Path(path).expanduser() if path else None
        self._operation = operation

    def write(self, event: Event, now: float) -> None:
        """Append an event.

        :param now: Unix seconds.
        :raises OSError: when the file cannot be written.
        """
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(describe(event, self._operation, os.getpid(), now)) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def describe(event: Event, operation: str, pid: int, now: float) -> Mapping[str, Any]:
    """Return an event as JSON-ready data; ``time`` in Unix seconds, ``outcome`` is null when the step begins."""
    return {
        "time": round(now, 3),
        "pid": pid,
        "operation": operation,
        "step": event.step.key,
        "title": event.step.title,
        "outcome": event.outcome.value if event.outcome else None,
        "seconds": round(event.seconds, 3),
        "reason": event.reason,
    }
