"""``wipefs --no-act``: every signature on a device, and where. Recorded with util-linux 2.31.1 and 2.38.1.

It exits 1 for a path that does not exist, a directory and a device of length zero, where ``blkid`` keeps silent. No
signature does not mean blank: random bytes have none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from transcoder.facts.reading import unreadable

TOOL = "wipefs"
FIELDS = 4


def command(device: str) -> tuple[str, ...]:
    """Return the command that lists the signatures of ``device`` and changes nothing."""
    return ("wipefs", "--no-act", "--parsable", device)


@dataclass(frozen=True)
class Signature:
    """A signature: ``offset`` in bytes, ``type`` as libblkid names it (``ext4``, ``gpt``, ``PMBR``, ...)."""

    offset: int
    type: str
    label: str = ""
    uuid: str = ""


def parse_wipefs(text: str, *, exit_code: int = 0) -> tuple[Signature, ...]:
    """Return the signatures in wipefs' order, none for a device without any.

    :raises Failed: when wipefs failed, or a line has another form.
    """
    if exit_code != 0:
        raise unreadable(TOOL, f"exit code {exit_code}: it could not read the device", text)
    return tuple(_signature(line) for line in text.splitlines() if line and not line.startswith("#"))


def _signature(line: str) -> Signature:
    # A comma in a label is not escaped, so the label is what is left between the first two fields and the last.
    parts = line.split(",")
    if len(parts) < FIELDS or not re.fullmatch(r"0x[0-9a-f]+", parts[0]) or not parts[-1]:
        raise unreadable(TOOL, "expected offset,uuid,label,type", line)
    label = ",".join(parts[2:-1])
    return Signature(offset=int(parts[0], 16), type=parts[-1], label=_decoded(label), uuid=_decoded(parts[1]))


def _decoded(value: str) -> str:
    r"""Undo wipefs' ``\x20``; the bytes are UTF-8."""
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), value.encode())
    return raw.decode("utf-8", errors="backslashreplace")
