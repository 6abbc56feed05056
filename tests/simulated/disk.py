"""What is on a volume. The content belongs to the disk and travels with it from machine to machine."""

from __future__ import annotations

import copy
import hashlib
import itertools
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


_NUMBERS = itertools.count(1)
"""One for each file system that is made: no two have the same UUID, unless one is a copy."""


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
    """e2fsck can't repair it without a question."""
    untidy: bool = False
    """A thorough e2fsck finds something, and repairs it."""
    open: bool = False
    """Mounted; when the power goes, or the disk is pulled out, the journal has to be replayed."""
    dirty: bool = False
    """It was not unmounted in order: the journal is replayed by the next fsck or mount."""
    changes: int = 0
    checked: bool = False
    """e2fsck has seen it since it was mounted last."""
    unchecked_mounts: int = 0
    """How many times it was mounted without that, as at a boot."""
    formatted: int = 0
    """How many times it was formatted."""
    unsynced: dict[str, Entry | None] = field(default_factory=dict)
    """What the last bytes on the disk are for the files that are newer in the page cache (None: no such file)."""

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
        self.table, self.noise, self.damaged, self.untidy, self.dirty = "", False, False, False, False
        self.unsynced.clear()
        self.formatted += 1
        self.filesystem = ext4(label)

    def touched(self) -> FileSystem:
        """Return the file system for a change that is on the disk at once, which is counted."""
        self.changes += 1
        return self.needed()

    def put(self, path: str, entry: Entry | None) -> None:
        """Write a file, or remove it where ``entry`` is None: into the page cache, not yet onto the disk."""
        tree = self.touched().tree
        self.unsynced.setdefault(path, tree.get(path))
        if entry is None:
            tree.pop(path, None)
        else:
            tree[path] = entry

    def sync(self, path: str = "") -> None:
        """Write one file back, or all of them."""
        for name in [path] if path else list(self.unsynced):
            self.unsynced.pop(name, None)

    def mount(self) -> None:
        """Open the file system: what is in its journal is replayed, and its superblock gets the time."""
        self.changes += 1
        self.unchecked_mounts += not self.checked
        self.open, self.dirty, self.checked = True, False, False

    def unmount(self) -> None:
        """Close it in order: everything is on the disk."""
        self.sync()
        self.open = False

    def lose_power(self) -> None:
        """Forget the page cache, as when the machine dies or the disk is pulled out."""
        for path, entry in self.unsynced.items():
            if entry is None:
                self.needed().tree.pop(path, None)
            else:
                self.needed().tree[path] = entry
        self.unsynced.clear()
        self.dirty = self.dirty or self.open
        self.open = False

    def needed(self) -> FileSystem:
        """Return the file system, which must be there."""
        assert self.filesystem is not None, "there is no file system on this disk"
        return self.filesystem

    def records(self) -> list[int]:
        """Return the numbered records that livepeer has written."""
        entry = self.filesystem.tree.get(RECORDS) if self.filesystem else None
        return [int(line) for line in (entry.data or b"").split()] if entry else []

    def count(self) -> int:
        """Return how many there are, without looking at each: a livepeer that has run for hours has thousands."""
        entry = self.filesystem.tree.get(RECORDS) if self.filesystem else None
        return (entry.data or b"").count(b"\n") if entry else 0

    def copy(self) -> Disk:
        """Return an independent copy of what is on the disk: the page cache is not, and the journal is as it is."""
        twin = copy.deepcopy(self)
        twin.lose_power()
        twin.formatted, twin.unchecked_mounts = 0, 0
        return twin


def ext4(label: str, tree: dict[str, Entry] | None = None) -> FileSystem:
    """Return an ext4 as it is right after ``mkfs``, and with ``tree`` in it."""
    own = {"/lost+found": Entry(0o700, 0, 0), **(tree or {})}
    return FileSystem("ext4", label, f"11111111-2222-4333-8444-{next(_NUMBERS):012x}", own)


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
        tree |= key_files(data.service.id, given)
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


def key_files(owner: int, address: str = KEY) -> dict[str, Entry]:
    """Return a keystore with one key."""
    file = KEY_FILE.replace(KEY[2:], address[2:])
    return {
        KEYSTORE: Entry(0o700, owner, owner),
        f"{KEYSTORE}/{file}": Entry(0o600, owner, owner, key_content(address)),
    }


def key_content(address: str) -> bytes:
    """Return a key file of this address; no passphrase opens it."""
    crypto = {"cipher": "aes-128-ctr", "ciphertext": "a1" * 32, "cipherparams": {"iv": "b2" * 16}, "kdf": "scrypt"}
    crypto |= {"kdfparams": {"dklen": 32, "n": 262144, "p": 1, "r": 8, "salt": "c3" * 32}, "mac": "d4" * 32}
    return json.dumps({"address": address[2:], "crypto": crypto, "id": "1a95a032", "version": 3}).encode()
