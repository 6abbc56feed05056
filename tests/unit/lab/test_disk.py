"""The disk store: sparse files that come and go whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.disk import GIB, DiskStore
from transcoder.errors import Failed


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    return DiskStore(tmp_path / "disks")


def test_a_blank_disk_has_its_size_and_takes_no_room(store: DiskStore) -> None:
    path = store.create("vol-01", 500)
    assert store.size_bytes("vol-01") == 500 * GIB
    assert path.stat().st_blocks == 0


def test_a_copy_holds_the_same_bytes_and_stays_sparse(store: DiskStore) -> None:
    with store.create("vol-01", 2).open("r+b") as disk:
        disk.seek(GIB)
        disk.write(b"a key, half-way in")
    copy = store.copy("vol-01", "snap-01")
    with copy.open("rb") as disk:
        disk.seek(GIB)
        assert disk.read(18) == b"a key, half-way in"
    assert copy.stat().st_size == 2 * GIB
    assert copy.stat().st_blocks * 512 < 1024**2


def test_a_volume_of_a_snapshot_may_be_larger_and_its_end_is_blank(store: DiskStore) -> None:
    store.create("snap-01", 1)
    with store.copy("snap-01", "vol-01", 3).open("rb") as disk:
        disk.seek(3 * GIB - 16)
        assert disk.read() == bytes(16)


def test_a_volume_smaller_than_its_snapshot_is_refused_and_leaves_nothing(store: DiskStore) -> None:
    store.create("snap-01", 2)
    with pytest.raises(Failed, match="cannot hold"):
        store.copy("snap-01", "vol-01", 1)
    assert not store.exists("vol-01")


def test_a_disk_is_never_overwritten(store: DiskStore) -> None:
    store.create("vol-01", 1)
    store.create("vol-02", 1)
    with pytest.raises(Failed, match="already"):
        store.create("vol-01", 1)
    with pytest.raises(Failed, match="already"):
        store.copy("vol-02", "vol-01")


def test_a_missing_source_is_named(store: DiskStore) -> None:
    with pytest.raises(Failed, match="snap-0404"):
        store.copy("snap-0404", "vol-01")


def test_a_file_from_outside_is_copied_not_taken(store: DiskStore, tmp_path: Path) -> None:
    stock = tmp_path / "stock.img"
    stock.write_bytes(b"stock")
    os.truncate(stock, GIB)
    with store.add(stock, "snap-01", 2).open("rb") as disk:
        assert disk.read(5) == b"stock"
    assert stock.exists()


def test_a_deleted_disk_is_gone_and_deleting_it_again_is_no_error(store: DiskStore) -> None:
    store.create("vol-01", 1)
    store.delete("vol-01")
    store.delete("vol-01")
    assert not store.exists("vol-01")


def test_half_a_copy_that_a_crash_left_is_removed_at_the_next_start(store: DiskStore, tmp_path: Path) -> None:
    partial = tmp_path / "disks" / "vol-01.partial"
    partial.write_bytes(b"half")
    DiskStore(tmp_path / "disks")
    assert not partial.exists()


@pytest.mark.parametrize("disk_id", ["../vol-01", "vol", "/etc/passwd", "vol-01/../x", ""])
def test_an_id_cannot_point_outside_the_store(store: DiskStore, disk_id: str) -> None:
    with pytest.raises(ValueError, match="not the id"):
        store.path(disk_id)
