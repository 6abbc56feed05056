# ruff: noqa: B905, PTH119, PTH123, PTH208, RUF007, UP006, UP035 - runs on Python 3.6, and each sample is to cost little
"""Runs inside a machine (Python 3.6, standard library only), read from standard input: says what it sees.

A line of JSON a sample: seconds since the machine was booted, every livepeer process with the account on its command
line, what is mounted at /d1, and the highest number in its records. The records are read only while a livepeer
process lives: nothing else may hold the volume when it is to be unmounted.
"""

import json
import os
import sys
import time
from typing import List, Tuple

INTERVAL = 0.3
RECORDS = "/d1/livepeer/.lpData/records.log"
TAIL = 4096
SHELLS = ("sh", "bash", "dash")


def livepeers() -> List[Tuple[int, str]]:
    """Return [pid, account] of every process whose program is livepeer; the account is empty before it is known."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/" + name + "/cmdline", "rb") as file:
                words = file.read().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if os.path.basename(program(words)) == "livepeer":
            found.append((int(name), account(words)))
    return found


def program(words: List[str]) -> str:
    """Return what a command line runs: its first word, or the script that an interpreter was given.

    Others may name livepeer's file without being it: ``sha256sum /usr/local/bin/livepeer``.
    """
    first = os.path.basename(words[0])
    if first.startswith("python") or first in SHELLS:
        return next((word for word in words[1:] if not word.startswith("-")), "")
    return words[0]


def account(words: List[str]) -> str:
    """Return the account that a command line names."""
    for before, word in zip(words, words[1:]):
        if before.lstrip("-") == "ethAcctAddr":
            return word.lower()
    return ""


def mounted() -> str:
    """Return the device that is mounted at /d1, or nothing."""
    with open("/proc/mounts") as file:
        return next((line.split()[0] for line in file if line.split()[1] == "/d1"), "")


def last_record() -> int:
    """Return the number of the last whole record; 0 when there is none to read."""
    try:
        with open(RECORDS, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            lines = file.read().split(b"\n")[:-1]
        return int(lines[-1].split()[0]) if lines else 0
    except (OSError, ValueError, IndexError):
        return 0


def main() -> None:
    """Print samples until nobody reads them."""
    while True:
        with open("/proc/uptime") as file:
            up = float(file.read().split()[0])
        alive = livepeers()
        sample = {"up": up, "livepeers": alive, "d1": mounted(), "record": last_record() if alive else 0}
        sys.stdout.write(json.dumps(sample) + "\n")
        sys.stdout.flush()
        time.sleep(INTERVAL)


if __name__ == "__main__":
    main()
