# ruff: noqa: PTH113, PTH114, PTH118, PTH123, PTH202, PTH207, T201, UP006, UP035 - runs on Python 3.6, inside a machine
"""Runs inside a machine as root, read from standard input: where are these bytes, of all places where they must not be?

``look([...])`` follows (base64), and a line of JSON answers: for each, in the order given, the names of the places.
"""

import base64
import glob
import json
import os
import subprocess
from typing import Iterator, List, Set, Tuple

PROCESSES = ["/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"]
FILES = ["/run", "/etc", "/tmp", "/var", "/root", "/home", "/d1"]
LARGEST = 32 * 1024 * 1024
"""Bytes. What is larger is livepeer's record of what it wrote, and nobody else's."""


def places() -> Iterator[Tuple[str, bytes]]:
    """Yield all that every process was called with, the journal, and the files in which a secret might lie."""
    for pattern in PROCESSES:
        for path in glob.glob(pattern):
            yield path, read(path)
    journal = subprocess.Popen(["journalctl", "--no-pager", "--output=export"], stdout=subprocess.PIPE)
    yield "journal", journal.communicate()[0]
    for path in (os.path.join(at, name) for top in FILES for at, _, names in os.walk(top) for name in names):
        if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) < LARGEST:
            yield path, read(path)


def read(path: str) -> bytes:
    """Return a file; nothing of one that has gone meanwhile."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def look(needles: List[str]) -> None:
    """Print where each of them is."""
    wanted = [base64.b64decode(needle) for needle in needles]
    found: List[Set[str]] = [set() for _ in wanted]
    for name, content in places():
        for number, needle in enumerate(wanted):
            if needle in content:
                found[number].add(name)
    print(json.dumps([sorted(names) for names in found]))
