# ruff: noqa: C419, PTH123, PTH208, UP006, UP032, UP035 - runs on Python 3.6, inside a machine
"""Runs inside a machine (Python 3.6, standard library only), read from standard input: holds up each process of sshd.

sshd and all its children are traced (ptrace, PTRACE_SEIZE): a process that has just become another program is stopped
until its command line and its environment have been read, so that none is missed however short it lives. A line of
JSON for each, with what was found of the ``canaries``, given by position: nothing secret is printed.

The program is read from standard input; what is looked for follows as ``watch([...])`` (base64).
"""

import base64
import ctypes
import json
import os
import select
import sys
import threading
from typing import List

CONT, SEIZE = 7, 0x4206
FORK, VFORK, CLONE, EXEC = 1, 2, 3, 4
"""linux/ptrace.h: requests and events."""
OPTIONS = (1 << FORK) | (1 << VFORK) | (1 << CLONE) | (1 << EXEC)
ALL = 0x40000000
"""bits/waitflags.h: __WALL."""
TRAP = 5
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


def trace(request: int, pid: int, data: int = 0) -> bool:
    """Make a request of ptrace; False when the process has ended."""
    return int(LIBC.ptrace(request, pid, None, data)) == 0


def daemons() -> List[int]:
    """Return sshd's processes that listen: those whose parent is process 1."""
    found = []
    for name in os.listdir("/proc"):
        if (
            name.isdigit()
            and read(name, "comm") == b"sshd\n"
            and read(name, "stat").rpartition(b") ")[2].split()[1] == b"1"
        ):
            found.append(int(name))
    return found


def read(pid: str, name: str) -> bytes:
    """Return a file of a process."""
    try:
        with open("/proc/{}/{}".format(pid, name), "rb") as file:
            return file.read()
    except OSError:
        return b"? ? ?"


def say(**line: object) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def look(pid: int, canaries: List[bytes]) -> None:
    """Say what a process that has just become another program was given."""
    line, environment = read(str(pid), "cmdline"), read(str(pid), "environ")
    found = [number for number, canary in enumerate(canaries) if canary in line or canary in environment]
    argv = [part.decode("utf-8", "replace") for part in line.split(b"\0")[:-1]]
    say(argv=argv, environment=len(environment), found=found)


def end_with_reader() -> None:
    """End when nobody reads any more: whoever is traced then goes on by himself."""
    end = select.poll()
    end.register(sys.stdout.fileno(), 0)
    end.poll()
    os._exit(0)


def watch(encoded: List[str]) -> None:
    """Trace sshd. ``watching`` is said once it is traced."""
    threading.Thread(target=end_with_reader, daemon=True).start()
    canaries = [base64.b64decode(text) for text in encoded]
    traced = daemons()
    if not traced or not all([trace(SEIZE, pid, OPTIONS) for pid in traced]):
        raise SystemExit("sshd cannot be traced: {}, errno {}".format(traced, ctypes.get_errno()))
    say(watching=traced)
    while True:
        pid, status = os.waitpid(-1, ALL)
        if not os.WIFSTOPPED(status):
            continue
        number, event = os.WSTOPSIG(status), status >> 16
        if event == EXEC:
            look(pid, canaries)
        trace(CONT, pid, 0 if event or number == TRAP else number)
