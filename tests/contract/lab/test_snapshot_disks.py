"""What is on the disks of snapshots, of their copies, and of volumes made of them; needs neither root nor network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.bootstrap import ensure_key
from lab.configuration import LabConfiguration
from lab.control_plane import ControlPlane
from lab.disk import GIB
from lab.hooks import ec2_backend
from tests.contract.lab.rig import wait_for
from tests.contract.lab.test_kept_images import OnlyDisks

THERE = "us-west-2"


class Disks(OnlyDisks):
    """Disks that are made of snapshots too."""

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        if snapshot_id:
            self.disks.copy(snapshot_id, volume_id, size_gib)
        else:
            self.disks.create(volume_id, size_gib)

    def copy_disk(self, source_id: str, target_id: str) -> None:
        self.disks.copy(source_id, target_id)

    def write(self, volume_id: str, content: bytes) -> None:
        with self.disks.path(volume_id).open("r+b") as file:
            file.write(content)

    def read(self, disk_id: str) -> tuple[bytes, int]:
        """Return how a disk begins, and its size in GiB."""
        with self.disks.path(disk_id).open("rb") as file:
            return file.read(5), self.disks.size_bytes(disk_id) // GIB


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    table: dict[str, Any] = {"machines": "none", "second_region": THERE, "latency": "x", "latencies": {"x": {}}}
    table |= {"state_root": tmp_path / "state", "cache_directory": tmp_path / "cache"}
    configuration = LabConfiguration.model_validate(table)
    driver = Disks(configuration)
    plane = ControlPlane(configuration, driver)
    plane.bootstrap(driver.prepare(lambda _: None), ensure_key(configuration.key_file))
    yield plane
    plane.close()


def available(volume: Any) -> str:
    assert wait_for(lambda: bool(volume.status == "available"), 5)
    return str(volume.id)


def complete(snapshot: Any) -> str:
    assert wait_for(lambda: bool(snapshot.status == "completed"), 5)
    return str(snapshot.id)


def test_a_snapshot_is_of_its_moment_in_every_zone_and_region(plane: ControlPlane) -> None:
    here, there, lock = ec2_backend("us-east-1"), ec2_backend(THERE), plane.cloud.lock
    driver = plane.cloud.driver
    assert isinstance(driver, Disks)
    with lock:
        made = here.create_volume(size=1, zone_name="us-east-1a")
    source = available(made)
    driver.write(source, b"first")
    with lock:
        taken = here.create_snapshot(source, "of a moment")
    driver.write(source, b"later")
    snapshot = complete(taken)
    with lock:
        other_zone = here.create_volume(size=2, zone_name="us-east-1b", snapshot_id=snapshot)
        copied = there.copy_snapshot(snapshot, "us-east-1", "copied", None)
    copy = complete(copied)
    with lock:
        other_region = there.create_volume(size=None, zone_name=f"{THERE}a", snapshot_id=copy)
        here.delete_snapshot(snapshot)
    driver.write(available(other_zone), b"mine!")
    assert driver.read(other_zone.id) == (b"mine!", 2)
    assert driver.read(copy) == driver.read(available(other_region)) == (b"first", 1)
    assert driver.read(source) == (b"later", 1)
    assert not driver.disks.exists(snapshot)
