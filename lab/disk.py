"""Disks of the lab: volumes, snapshots and images are sparse files, and a copy is a sparse copy."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lab.command import run
from transcoder.errors import Failed

GIB = 1024**3


class DiskStore:
    """Disk files by the id of the volume, snapshot or image that they are.

    A file appears under its name when it is complete: a crash leaves a ``.partial`` file, which the next start removes.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for partial in directory.glob("*.partial"):
            partial.unlink()
        self._directory = directory

    def path(self, disk_id: str) -> Path:
        """Return where the disk's file is, or would be.

        :raises ValueError: the id is not one of EC2's, and could point elsewhere.
        """
        if not re.fullmatch(r"[a-z]+-[A-Za-z0-9-]+", disk_id):
            raise ValueError(f"{disk_id!r} is not the id of a disk")
        return self._directory / f"{disk_id}.img"

    def exists(self, disk_id: str) -> bool:
        """Say whether there is such a disk."""
        return self.path(disk_id).exists()

    def size_bytes(self, disk_id: str) -> int:
        """Return the size that a machine sees, not what the file takes."""
        return self.path(disk_id).stat().st_size

    def create(self, disk_id: str, size_gib: int) -> Path:
        """Make a blank disk: zeros, which take no room.

        :raises Failed: there is one of that id.
        """
        path = self._new(disk_id)
        with path.open("xb") as file:
            file.truncate(size_gib * GIB)
        return path

    def copy(self, source_id: str, disk_id: str, size_gib: int | None = None) -> Path:
        """Copy a disk that nobody is writing to, larger if wanted: a snapshot, or a volume of a snapshot.

        :raises Failed: there is no such source, there is a disk of the new id, or the new size is smaller.
        """
        return self.add(self.path(source_id), disk_id, size_gib)

    def add(self, source: Path, disk_id: str, size_gib: int | None = None) -> Path:
        """Copy a file from outside into the store, as ``copy`` does: the stock image becomes a snapshot."""
        path = self._new(disk_id)
        if not source.exists():
            raise Failed(f"there is no disk {source.stem}")
        wanted = source.stat().st_size if size_gib is None else size_gib * GIB
        if wanted < source.stat().st_size:
            raise Failed(f"{disk_id} of {wanted} bytes cannot hold the {source.stat().st_size} bytes of {source.stem}")
        partial = path.with_suffix(".partial")
        sparse_copy(source, partial)
        with partial.open("r+b") as file:
            file.truncate(wanted)
        return partial.rename(path)

    def take_in(self, source: Path, disk_id: str) -> Path:
        """Make a file from outside a disk that nobody will ever write to, a snapshot: without a copy where possible.

        :raises Failed: there is no such file, or there is a disk of that id.
        """
        path = self._new(disk_id)
        partial = path.with_suffix(".partial")
        link_or_copy(source, partial)
        return partial.rename(path)

    def delete(self, disk_id: str) -> None:
        """Remove a disk; one that is not there is passed over."""
        self.path(disk_id).unlink(missing_ok=True)

    def _new(self, disk_id: str) -> Path:
        path = self.path(disk_id)
        if path.exists():
            raise Failed(f"there is a disk {disk_id} already")
        return path


def sparse_copy(source: Path, target: Path) -> None:
    """Copy a file; where it is zeros the copy takes no room.

    :raises Failed: with what cp says.
    """
    run("cp", "--sparse=always", "--reflink=auto", str(source), str(target))


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that nobody writes to any more a second name; where that cannot be (two file systems), copy it.

    :raises Failed: there is no such file, or it cannot be copied.
    """
    try:
        os.link(source, target)
    except OSError:
        sparse_copy(source, target)
