"""``lsblk``: the block devices of a machine. Recorded with util-linux 2.31.1 and 2.38.1.

util-linux 2.31 has neither the column PATH nor MOUNTPOINTS (it exits 1), and prints every number as text; hence
``--paths`` and MOUNTPOINT, which both versions have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transcoder.facts.reading import json_object, rows, text_at, unreadable, whole_number
from transcoder.model import BlockDevice

TOOL = "lsblk"
COMMAND = (
    *("lsblk", "--json", "--bytes", "--paths"),
    *("--output", "NAME,SIZE,SERIAL,FSTYPE,LABEL,UUID,MOUNTPOINT,TYPE"),
)


def parse_lsblk(text: str) -> tuple[BlockDevice, ...]:
    """Return every device, partitions behind their disk, each once.

    ``mountpoints`` holds what lsblk tells: with MOUNTPOINT one of possibly several places, so `findmnt` is the
    authority on mounts. FSTYPE, LABEL and UUID are udev's memory: right after ``mkfs`` they may be empty, and they are
    never a proof that a device is blank (see `transcoder.facts.blkid` and `transcoder.facts.wipefs`).

    :raises Failed: when the text is not lsblk's JSON, or a device has no path or size.
    """
    found: dict[str, BlockDevice] = {}
    for row in rows(TOOL, json_object(TOOL, text), "blockdevices"):
        for device in _flattened(row):
            found.setdefault(device.path, device)  # a RAID device appears under each of its members
    return tuple(found.values())


def _flattened(row: Mapping[str, Any]) -> Iterator[BlockDevice]:
    children = rows(TOOL, row, "children") if row.get("children") else []
    yield _device(row, len(children))
    for child in children:
        yield from _flattened(child)


def _device(row: Mapping[str, Any], children: int) -> BlockDevice:
    path = text_at(TOOL, row, "name", required=True)
    if not path.startswith("/"):
        raise unreadable(TOOL, "expected a path in 'name' (is --paths missing?)", path)
    return BlockDevice(
        path=path,
        size=whole_number(TOOL, f"the size of {path}", row.get("size")),
        serial=text_at(TOOL, row, "serial").strip(),
        fstype=text_at(TOOL, row, "fstype"),
        label=text_at(TOOL, row, "label"),
        uuid=text_at(TOOL, row, "uuid"),
        mountpoints=_mountpoints(row),
        children=children,
    )


def _mountpoints(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return MOUNTPOINT or, where somebody asked for it, MOUNTPOINTS (which lists ``null`` for none)."""
    if "mountpoints" not in row:
        one = text_at(TOOL, row, "mountpoint")
        return (one,) if one else ()
    several = row["mountpoints"]
    if not isinstance(several, list) or not all(isinstance(one, str | None) for one in several):
        raise unreadable(TOOL, "expected a list of texts in 'mountpoints'", str(several))
    return tuple(one for one in several if one)
