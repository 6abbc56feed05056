"""Found by an operator's Python through PYTHONPATH: notes every file opened for writing, and every program started.

One line of JSON each in the file that ``REHEARSAL_AUDIT`` names. Interpreter and libraries call the audit hook before
they act (PEP 578), so that a file that is gone again a moment later is noted, too.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
STARTS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"})
NOTES = os.open(os.environ["REHEARSAL_AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(event: str, what: object) -> None:
    """Append a line."""
    os.write(NOTES, json.dumps([event, what], default=repr).encode() + b"\n")


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what writes, and what starts another program."""
    if event == "open" and not isinstance(arguments[0], int) and (arguments[2] or 0) & WRITES:
        note(event, os.fspath(arguments[0]) if arguments[0] is not None else "")
    elif event in STARTS:
        note(event, [repr(each) for each in arguments])


sys.addaudithook(hook)
