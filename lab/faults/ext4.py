"""As much of ext4 as it takes to damage one: a few bytes, which are known and can be put back.

Layout: kernel documentation, filesystems/ext4 ("Super Block", "Directory Entries", "Checksums").
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab.command import run
from transcoder.errors import Refused

SUPERBLOCK, SUPERBLOCK_BYTES = 1024, 1024
MAGIC_AT, MAGIC = 0x38, 0xEF53
FREE_BLOCKS_AT, BLOCK_SIZE_AT, STATE_AT, FEATURES_RO_AT, CHECKSUM_AT = 0x0C, 0x18, 0x3A, 0x64, 0x3FC
METADATA_CHECKSUMS = 0x400
CLEAN, HAS_ERRORS = 0x1, 0x2
ROOT_INODE = 2
FILE, DIRECTORY = 1, 2
"""Types in a directory entry."""
CASTAGNOLI = 0x82F63B78


@dataclass(frozen=True)
class Patch:
    """Bytes at an offset of a disk: those that were there, and those that take their place."""

    offset: int
    before: bytes
    after: bytes


def plan_damage(disk: Path, *, beyond_preen: bool) -> tuple[Patch, ...]:
    """Return what makes ``e2fsck -p`` find errors: repair them (exit 1), or refuse to (exit 4). Nothing is written.

    The file system is marked as having errors, so that it is checked at all. Its count of free blocks becomes wrong,
    which ``-p`` sets right; beyond that the type of a directory's entry becomes wrong, about which ``-p`` wants to be
    told (``e2fsck -y`` repairs it, and no file is lost).

    :raises Refused: it is no ext4.
    """
    with disk.open("rb") as file:
        file.seek(SUPERBLOCK)
        superblock = file.read(SUPERBLOCK_BYTES)
        if len(superblock) < SUPERBLOCK_BYTES or struct.unpack_from("<H", superblock, MAGIC_AT)[0] != MAGIC:
            raise Refused(f"{disk.stem} holds no ext4", hint="a volume is formatted when it is attached first")
        patches = [Patch(SUPERBLOCK, superblock, miscounted(superblock))]
        if beyond_preen:
            block_size = 1024 << int(struct.unpack_from("<I", superblock, BLOCK_SIZE_AT)[0])
            offset = root_directory_block(disk) * block_size
            file.seek(offset)
            patches.append(entry_of_wrong_type(offset, file.read(block_size)))
    return tuple(patches)


def miscounted(superblock: bytes) -> bytes:
    """Return a superblock that says that there are errors, and one free block less than there is."""
    new = bytearray(superblock)
    state, free = struct.unpack_from("<H", new, STATE_AT)[0], struct.unpack_from("<I", new, FREE_BLOCKS_AT)[0]
    struct.pack_into("<H", new, STATE_AT, (state & ~CLEAN) | HAS_ERRORS)
    struct.pack_into("<I", new, FREE_BLOCKS_AT, free - 1 if free else 1)
    if struct.unpack_from("<I", new, FEATURES_RO_AT)[0] & METADATA_CHECKSUMS:
        struct.pack_into("<I", new, CHECKSUM_AT, crc32c(bytes(new[:CHECKSUM_AT])))
    return bytes(new)


def root_directory_block(disk: Path) -> int:
    """Return the number of the first block of the root directory.

    :raises Failed: the file system is too broken to be read.
    """
    return int(run("debugfs", "-R", f"blocks <{ROOT_INODE}>", str(disk)).split()[0])


def entry_of_wrong_type(offset: int, block: bytes) -> Patch:
    """Return the patch that makes the first directory in a directory's block look like a file.

    :param offset: of the block on the disk.
    :raises Refused: there is no directory in it.
    """
    for place, name, kind in entries(block):
        if name not in (b".", b"..") and kind == DIRECTORY:
            return Patch(offset + place + 7, bytes([DIRECTORY]), bytes([FILE]))
    raise Refused("the file system's root has no directory in its first block to damage")


def entries(block: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield place, name and type of the entries of a directory's block."""
    place = 0
    while place + 8 <= len(block):
        inode, length, name_length, kind = struct.unpack_from("<IHBB", block, place)
        if length < 8:
            return
        if inode:
            yield place, block[place + 8 : place + 8 + name_length], kind
        place += length


def crc32c(data: bytes) -> int:
    """Return ext4's checksum of a superblock: Castagnoli's polynomial, all ones to begin with, not inverted."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _table()[(value ^ byte) & 0xFF]
    return value


@cache
def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = (value >> 1) ^ (CASTAGNOLI if value & 1 else 0)
        return value

    return tuple(entry(value) for value in range(256))
