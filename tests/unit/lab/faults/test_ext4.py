"""The bytes that damage an ext4."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.faults import ext4
from transcoder.errors import Refused


def test_the_checksum_is_castagnolis_without_the_last_inversion() -> None:
    assert ext4.crc32c(b"123456789") ^ 0xFFFFFFFF == 0xE3069283  # RFC 3720, appendix B.4


def test_a_miscounted_superblock_has_errors_a_wrong_count_and_a_right_checksum() -> None:
    superblock = bytearray(ext4.SUPERBLOCK_BYTES)
    struct.pack_into("<I", superblock, ext4.FREE_BLOCKS_AT, 100)
    struct.pack_into("<H", superblock, ext4.STATE_AT, ext4.CLEAN)
    struct.pack_into("<I", superblock, ext4.FEATURES_RO_AT, ext4.METADATA_CHECKSUMS)
    new = ext4.miscounted(bytes(superblock))
    assert struct.unpack_from("<I", new, ext4.FREE_BLOCKS_AT)[0] == 99
    assert struct.unpack_from("<H", new, ext4.STATE_AT)[0] == ext4.HAS_ERRORS
    assert struct.unpack_from("<I", new, ext4.CHECKSUM_AT)[0] == ext4.crc32c(new[: ext4.CHECKSUM_AT])


def entry(name: bytes, kind: int, length: int) -> bytes:
    """Return a directory entry."""
    return (struct.pack("<IHBB", 11, length, len(name), kind) + name).ljust(length, b"\0")


def test_the_first_real_directory_is_made_to_look_like_a_file() -> None:
    block = entry(b".", 2, 12) + entry(b"..", 2, 12) + entry(b"note", 1, 16) + entry(b"lost+found", 2, 984)
    patch = ext4.entry_of_wrong_type(4096, block)
    assert (patch.before, patch.after) == (b"\x02", b"\x01")
    assert block[patch.offset - 4096 + 1 :].startswith(b"lost+found")


def test_what_is_no_ext4_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "vol-1.img"
    disk.write_bytes(b"\0" * 4096)
    with pytest.raises(Refused, match="vol-1 holds no ext4"):
        ext4.plan_damage(disk, beyond_preen=True)
