"""Who may change what runs as root, and what runs as root whoever starts it."""

import os
import stat
from typing import Iterator, List, Set

from .machine import Machine, Wanted

TRUSTED = ("/etc", "/usr/local", "/lib/systemd", "/usr/lib/systemd", "/opt")
"""Places from which root runs programs and takes its orders."""


def writable_by_others(machine: Machine, _: Wanted) -> "Iterator[str]":
    """A unit that everybody may write to is everybody's way to root."""
    for path in machine.walk(*TRUSTED):
        found = os.lstat(machine.on_disk(path))
        if found.st_mode & stat.S_IWOTH:
            yield "{}: everybody may write to it ({:o})".format(path, stat.S_IMODE(found.st_mode))


def owners(machine: Machine, _: Wanted) -> "Iterator[str]":
    """What was baked is root's, and nobody else may write to it."""
    for path in machine.baked_files():
        if not machine.exists(path):
            yield "{}: was baked, and is not there".format(path)
            continue
        found = os.lstat(machine.on_disk(path))
        if (found.st_uid, found.st_gid) != machine.owner or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            mode = stat.S_IMODE(found.st_mode)
            yield "{}: owner {}:{}, mode {:o}".format(path, found.st_uid, found.st_gid, mode)


def set_user_id(machine: Machine, _: Wanted) -> "Iterator[str]":
    """A program that runs as its owner has to come from a package; one from anywhere else is a surprise."""
    argv = ["find", machine.on_disk("/"), "-xdev", "-type", "f", "-perm", "/6000", "-not", "-path", "*/snap/*"]
    status, output = machine.run(*argv)
    if status:
        yield "`find` fails with {}: {}".format(status, output)
        return
    paths = sorted(path[len(machine.root) :] for path in output.splitlines())
    packaged = _packaged(machine, paths)
    for path in paths:
        if not packaged & {path, _other_name(path)}:
            yield "{}: runs as its owner or group, and no package has brought it".format(path)


def _packaged(machine: Machine, paths: "List[str]") -> "Set[str]":
    """Return those of these files that a package has brought. dpkg lists what it knows and fails for the rest."""
    if not paths:
        return set()
    output = machine.run("dpkg-query", "--search", *paths, *map(_other_name, paths)).output
    return {line.partition(": ")[2] for line in output.splitlines()}


def _other_name(path: str) -> str:
    """Where /bin is a link to /usr/bin, a package may still call its file by the old name."""
    return path[len("/usr") :] if path.startswith("/usr/") else "/usr" + path
