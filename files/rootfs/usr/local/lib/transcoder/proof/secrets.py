"""Looks for secrets by what they look like, and never quotes one."""

from typing import Iterator

from .machine import Machine, Wanted
from .patterns import PROGRAM, kinds, kinds_of_name

PLACES = (
    *("/etc", "/home", "/root", "/opt", "/srv", "/usr/local", "/var/lib/cloud", "/var/backups", "/var/spool"),
    *("/var/tmp", "/tmp", "/mnt", "/media"),  # noqa: S108 - looked into, not written to
)
CHUNK, OVERLAP = 4 << 20, 16 << 10


def secret_files(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Look through the places where secrets are left, and through every file that was baked."""
    for path in sorted({*machine.walk(*PLACES), *machine.walk(*machine.baked_files())}):
        for kind in sorted({*kinds_of_name(path), *_kinds_in(machine, path)}):
            yield "{}: {}".format(path, kind)


def _kinds_in(machine: Machine, path: str) -> "Iterator[str]":
    with open(machine.on_disk(path), "rb") as file:
        before, content = b"", file.read(CHUNK)
        if content.startswith(PROGRAM):
            return  # A compiled program is its publisher's, and proven by its sum.
        whole = len(content) < CHUNK
        while content:
            for kind in kinds(before + content):
                if whole or not kind.startswith("32 bytes"):
                    yield kind
            before, content = content[-OVERLAP:], file.read(CHUNK)


def passwords(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Look for users who can log in with a password, or without any."""
    for line in machine.lines("/etc/shadow"):
        name, rest = line.partition(":")[::2]
        word = rest.partition(":")[0]
        if not word.startswith(("!", "*")):
            yield "/etc/shadow: {} has {}".format(name, "a password" if word else "an empty password")
