"""``blkid -p``: what a probe of the device itself finds. Recorded with util-linux 2.31.1 and 2.38.1.

Exit code 2 means four things: a blank device, a path that does not exist, a directory, a device of length zero (2.31
prints an error for two of them, 2.38 for none). `Nothing` therefore means "no signature seen", not "blank"; ask
`transcoder.facts.wipefs` too, which fails for what is not a device, and read the bytes before anything is formatted.
Exit code 8 means that there are several signatures and blkid does not choose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from transcoder.facts.reading import unreadable

TOOL = "blkid"
NOTHING_FOUND = 2
AMBIVALENT = 8


def command(device: str) -> tuple[str, ...]:
    """Return the command that probes ``device`` (low level: neither a cache nor udev is asked)."""
    return ("blkid", "-p", "-o", "export", device)


@dataclass(frozen=True)
class FileSystem:
    """Something that can be mounted or is part of something (``usage`` is blkid's: filesystem, raid, crypto, other)."""

    type: str
    label: str = ""
    uuid: str = ""
    usage: str = ""


@dataclass(frozen=True)
class PartitionTable:
    """A partition table; ``type`` is ``gpt``, ``dos``, ..."""

    type: str


@dataclass(frozen=True)
class Ambivalent:
    """Several signatures, of which blkid does not choose one; `wipefs` lists them."""


@dataclass(frozen=True)
class Nothing:
    """No signature seen. Not a proof that the device is blank, nor that it exists."""


Finding = FileSystem | PartitionTable | Ambivalent | Nothing


def parse_blkid(text: str, *, exit_code: int) -> Finding:
    """Return what the probe found.

    A label with characters beyond ASCII stays in blkid's own notation (``M-C`` ...), since that cannot be undone.

    :raises Failed: for another exit code than 0, 2 and 8, or output of another form.
    """
    if exit_code == NOTHING_FOUND and not text.strip():
        return Nothing()
    if exit_code == AMBIVALENT:
        return Ambivalent()
    if exit_code != 0:
        raise unreadable(TOOL, f"exit code {exit_code}", text)
    return _finding(_values(text), text)


def _finding(values: dict[str, str], text: str) -> Finding:
    if values.get("TYPE"):
        usage = values.get("USAGE", "")
        return FileSystem(values["TYPE"], values.get("LABEL", ""), values.get("UUID", ""), usage)
    if values.get("PTTYPE"):
        return PartitionTable(values["PTTYPE"])
    if "PART_ENTRY_SCHEME" in values:
        return Nothing()  # a partition without content: only its entry in the table around it is known
    raise unreadable(TOOL, "neither a file system nor a partition table in its output", text)


def _values(text: str) -> dict[str, str]:
    values = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if not separator:
            raise unreadable(TOOL, "expected KEY=value", line)
        values[key] = re.sub(r"\\(.)", r"\1", value)
    return values
