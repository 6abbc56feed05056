"""Baked AMIs in the cache: whole or not at all, the newest two, and nothing that is broken."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab.disk import GIB, DiskStore
from lab.kept_images import DESCRIPTION, KeptImage, KeptImages, KeptSnapshot

CONTENT = b"a baked root"


def image(number: int, *, size_gib: int = 1) -> KeptImage:
    """Return an AMI; a higher number is a newer one."""
    snapshot = KeptSnapshot(
        f"snap-0{number}", size_gib, "vol-01", "of a bake", False, "2026-01-31T16:00:00", {"Name": "baked"}
    )
    ebs = {"SnapshotId": snapshot.id, "VolumeSize": size_gib, "DeleteOnTermination": True, "VolumeType": "gp2"}
    return KeptImage(
        id=f"ami-0{number}",
        name=f"livepeer-{number}",
        description="",
        architecture="x86_64",
        root_device="/dev/sda1",
        created=f"2026-01-31T16:0{number}:00",
        source_instance_id="i-01",
        launch_permissions=[{"Group": "all"}],
        mappings=[{"DeviceName": "/dev/sda1", "Ebs": ebs}],
        snapshots=(snapshot,),
        tags={"transcoder:digest": "abc"},
    )


@pytest.fixture
def disks(tmp_path: Path) -> DiskStore:
    """Return the disks of a lab: a snapshot for each AMI of the tests."""
    store = DiskStore(tmp_path / "disks")
    for number in range(1, 5):
        with store.create(f"snap-0{number}", 1).open("r+b") as file:
            file.write(CONTENT)
    return store


@pytest.fixture
def kept(tmp_path: Path) -> KeptImages:
    return KeptImages(tmp_path / "cache" / "amis" / "lab")


def test_what_was_kept_is_read_again_with_its_disk(kept: KeptImages, disks: DiskStore) -> None:
    kept.keep([image(1)], disks.path)
    disks.delete("snap-01")
    assert kept.read() == (image(1),)
    disk = kept.disk(image(1), "snap-01")
    assert disk.read_bytes()[: len(CONTENT)] == CONTENT
    assert disk.stat().st_size == GIB
    assert disk.stat().st_blocks * 512 < 1024**2


def test_only_the_newest_two_are_kept(kept: KeptImages, disks: DiskStore) -> None:
    kept.keep([image(1)], disks.path)
    kept.keep([image(3), image(2), image(1)], disks.path)
    assert [each.id for each in kept.read()] == ["ami-02", "ami-03"]
    assert kept.names() == ("ami-02", "ami-03")


def test_an_image_that_was_deregistered_is_kept_no_longer(kept: KeptImages, disks: DiskStore) -> None:
    kept.keep([image(1), image(2)], disks.path)
    kept.keep([image(2)], disks.path)
    assert [each.id for each in kept.read()] == ["ami-02"]


def test_an_image_kept_again_has_the_tags_of_now(kept: KeptImages, disks: DiskStore) -> None:
    kept.keep([image(1)], disks.path)
    changed = replace(image(1), tags={"transcoder:digest": "abc", "checked": "yes"})
    kept.keep([changed], disks.path)
    assert kept.read() == (changed,)


def test_on_another_file_system_the_disk_is_copied(
    kept: KeptImages, disks: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    kept.keep([image(1)], disks.path)
    copy = kept.disk(image(1), "snap-01").stat()
    assert copy.st_ino != disks.path("snap-01").stat().st_ino
    assert copy.st_blocks * 512 < 1024**2
    assert kept.read() == (image(1),)


def test_an_image_whose_disk_cannot_be_had_is_left_out_and_the_others_are_kept(
    kept: KeptImages, disks: DiskStore, caplog: pytest.LogCaptureFixture
) -> None:
    disks.delete("snap-02")
    kept.keep([image(1), image(2)], disks.path)
    assert [each.id for each in kept.read()] == ["ami-01"]
    assert kept.names() == ("ami-01",)
    assert "ami-02 (livepeer-2) cannot be kept" in caplog.text


def _half_written(directory: Path) -> None:
    directory.rename(directory.with_name(directory.name + ".partial"))


def _short_disk(directory: Path) -> None:
    os.truncate(directory / "snap-01.img", 5)


def _no_disk(directory: Path) -> None:
    (directory / "snap-01.img").unlink()


def _half_described(directory: Path) -> None:
    os.truncate(directory / DESCRIPTION, 100)


def _edited(**changes: object) -> Callable[[Path], None]:
    def edit(directory: Path) -> None:
        path = directory / DESCRIPTION
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.mark.parametrize(
    "breaks",
    [
        *(_half_written, _short_disk, _no_disk, _half_described),
        *(_edited(schema=99), _edited(id="ami-99"), _edited(snapshots=[]), _edited(mappings=[]), _edited(mappings=[1])),
        *(_edited(snapshots=["snap-01"]), _edited(snapshots=[{"id": "../../etc/passwd"}])),
    ],
)
def test_what_is_broken_is_dropped_with_a_line_in_the_log(
    kept: KeptImages, disks: DiskStore, caplog: pytest.LogCaptureFixture, breaks: Callable[[Path], None]
) -> None:
    kept.keep([image(1), image(2)], disks.path)
    breaks(kept.directory / "ami-01")
    with caplog.at_level(logging.WARNING):
        assert [each.id for each in kept.read()] == ["ami-02"]
    assert "the kept AMI ami-01" in caplog.text
    assert [path.name for path in kept.directory.iterdir()] == ["ami-02"]


def test_forgetting_leaves_nothing(kept: KeptImages, disks: DiskStore) -> None:
    kept.keep([image(1)], disks.path)
    assert kept.forget() == ("ami-01",)
    assert not kept.directory.exists()
    assert kept.read() == ()
    assert kept.forget() == ()
