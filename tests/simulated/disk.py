"""What is on a volume. The content belongs to the disk and travels with it from machine to machine."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass, field

from transcoder.layout import GETH, LIVEPEER, MARKER, DataVolume

GIB = 1024**3
KEY = "0x0f544432cb27103055d8c1b5fba0e45f5a9ccea8"
KEY_FILE = f"UTC--2026-11-22T05-11-48.664775025Z--{KEY[2:]}"
RECORDS = "/livepeer/.lpData/records"
KEYSTORE = "/livepeer/.lpData/keystore"


@dataclass
class Entry:
    """A file, or a directory where ``data`` is None."""

    mode: int
    uid: int
    gid: int
    data: bytes | None = None


@dataclass
class FileSystem:
    """A file system; paths in ``tree`` start at its own root."""

    type: str
    label: str
    uuid: str
    tree: dict[str, Entry] = field(default_factory=dict)


@dataclass
class Disk:
    """The bytes of a volume. ``changes`` counts the writes: a test asserts with it that nothing was written."""

    size: int
    filesystem: FileSystem | None = None
    table: str = ""
    noise: bool = False
    damaged: bool = False
    changes: int = 0

    @property
    def zero_ends(self) -> bool:
        """Whether the first and the last MiB are zero."""
        return self.filesystem is None and not self.table and not self.noise

    def digest(self) -> str:
        """Return a fingerprint of every byte."""
        return hashlib.sha256(repr((self.size, self.filesystem, self.table, self.noise)).encode()).hexdigest()

    def format(self, label: str) -> None:
        """Make an empty ext4, as ``mkfs.ext4`` does off a terminal: over whatever was there, without a word."""
        self.changes += 1
        self.table, self.noise = "", False
        self.filesystem = ext4(label)

    def touched(self) -> FileSystem:
        """Return the file system for a change, which is counted."""
        self.changes += 1
        return self.needed()

    def needed(self) -> FileSystem:
        """Return the file system, which must be there."""
        assert self.filesystem is not None, "there is no file system on this disk"
        return self.filesystem

    def records(self) -> list[int]:
        """Return the numbered records that livepeer has written."""
        entry = self.filesystem.tree.get(RECORDS) if self.filesystem else None
        return [int(line) for line in (entry.data or b"").split()] if entry else []

    def copy(self) -> Disk:
        """Return an independent copy."""
        return copy.deepcopy(self)


def ext4(label: str, tree: dict[str, Entry] | None = None) -> FileSystem:
    """Return an ext4 as it is right after ``mkfs``, and with ``tree`` in it."""
    own = {"/lost+found": Entry(0o700, 0, 0), **(tree or {})}
    return FileSystem("ext4", label, "11111111-2222-4333-8444-555555555555", own)


def blank(size_gib: int = 1) -> Disk:
    """Return a disk of zeros."""
    return Disk(size_gib * GIB)


def with_ext4(label: str = "", size_gib: int = 1) -> Disk:
    """Return somebody's ext4 with a file on it."""
    tree = {"/photos": Entry(0o755, 1000, 1000), "/photos/cat.jpg": Entry(0o644, 1000, 1000, b"meow")}
    return Disk(size_gib * GIB, ext4(label, tree))


def with_xfs(size_gib: int = 1) -> Disk:
    """Return somebody's xfs."""
    return Disk(size_gib * GIB, FileSystem("xfs", "", "73d45113-f087-4547-a73c-f7d68ec5f1b2"))


def with_partitions(size_gib: int = 1) -> Disk:
    """Return a disk with a partition table."""
    return Disk(size_gib * GIB, table="gpt")


def with_noise(size_gib: int = 1) -> Disk:
    """Return a disk of random bytes without any signature, as an encrypted one looks."""
    return Disk(size_gib * GIB, noise=True)


def marker(node: str, role: str, address: str = "") -> bytes:
    """Return the text of a marker file."""
    fields = {"format": "transcoder-volume/1", "node": node, "role": role, "address": address}
    return (json.dumps(fields) + "\n").encode()


def ours(data: DataVolume, node: str = "tc001", address: str = "", size_gib: int = 1) -> Disk:
    """Return a node's own volume, with its key when ``address`` is given."""
    given = address if data is LIVEPEER else ""
    tree = {f"/{MARKER}": Entry(0o644, 0, 0, marker(node, data.role, given)), **directories(data, data.service.id)}
    if given:
        tree |= key_files(data.service.id)
    return Disk(size_gib * GIB, ext4(data.label, tree))


def by_hand(data: DataVolume, label: str = "", size_gib: int = 1) -> Disk:
    """Return a volume made after the reference: no label, no marker, everything owned by ``ubuntu``."""
    tree = directories(data, 1000) | (key_files(1000) if data is LIVEPEER else {})
    if data is GETH:
        tree["/geth-data/LOCK"] = Entry(0o644, 0, 0, b"")
    return Disk(size_gib * GIB, ext4(label, tree))


def directories(data: DataVolume, owner: int) -> dict[str, Entry]:
    """Return the layout's directories of a volume."""
    inside = {directory.path[len(data.mount) :]: int(directory.mode, 8) for directory in data.directories}
    return {path: Entry(mode, owner, owner) for path, mode in inside.items()}


def key_files(owner: int) -> dict[str, Entry]:
    """Return a keystore with one key."""
    return {
        KEYSTORE: Entry(0o700, owner, owner),
        f"{KEYSTORE}/{KEY_FILE}": Entry(0o600, owner, owner, json.dumps({"address": KEY[2:], "version": 3}).encode()),
    }
