"""Baked AMIs across two starts of a control plane, with disks but without machines: needs neither root nor network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.bootstrap import ensure_key
from lab.configuration import LabConfiguration
from lab.control_plane import ControlPlane
from lab.disk import DiskStore
from lab.drivers import StockImage
from lab.drivers.none import NoMachines
from tests.contract.lab.rig import wait_for

CONTENT = b"a baked root"
AT_ONCE: Mapping[str, float] = {}
TAGS = {"transcoder:digest": "abc", "Name": "baked"}


class OnlyDisks(NoMachines):
    """A driver whose disks are files, and whose machines are state only."""

    has_disks = True

    def __init__(self, configuration: LabConfiguration) -> None:
        super().__init__("ubuntu-18.04")
        self.disks = DiskStore(configuration.state_directory / "disks")
        self.path = configuration.cache_directory / "stock.img"

    def prepare(self, progress: Callable[[str], None]) -> StockImage:
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(b"stock")
        return StockImage("lab/stock/ubuntu-18.04-0123", "a stock image", 1, self.path)

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        self.disks.create(volume_id, size_gib)

    def import_disk(self, disk_id: str, path: Path) -> None:
        self.disks.take_in(path, disk_id)

    def disk_file(self, disk_id: str) -> Path:
        return self.disks.path(disk_id)

    def snapshot(self, volume_id: str, snapshot_id: str, instance_id: str = "") -> None:
        self.disks.copy(volume_id, snapshot_id)

    def delete_disk(self, disk_id: str) -> None:
        self.disks.delete(disk_id)


class Lab:
    """A control plane that is up, and what the tests do with it."""

    def __init__(self, plane: ControlPlane, driver: OnlyDisks, stock_id: str) -> None:
        self.plane, self.driver, self.stock_id = plane, driver, stock_id

    @property
    def amis(self) -> dict[str, Any]:
        return dict(self.plane.cloud.backend.amis)

    @property
    def baked(self) -> set[str]:
        return set(self.amis) - {self.stock_id}

    def bake(self, name: str) -> Any:
        """Register an AMI from a snapshot of a volume that was written to, as the API would; wait until it is there."""
        backend, cloud = self.plane.cloud.backend, self.plane.cloud
        with cloud.lock:
            volume = backend.create_volume(size=1, zone_name="us-east-1a")
            with self.driver.disks.path(volume.id).open("r+b") as file:
                file.write(CONTENT)
        assert wait_for(lambda: volume.status == "available", 5)
        with cloud.lock:
            snapshot = backend.create_snapshot(volume.id, "of a bake")
            snapshot.add_tags({"Name": "its root"})
        assert wait_for(lambda: snapshot.status == "completed", 5)
        mapping = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot.id}}
        with cloud.lock, cloud.request({"RootDeviceName": "/dev/xvda", "BlockDeviceMappings": [mapping]}):
            image = backend.register_image(name, "a node's image")
            image.add_tags(TAGS)
        assert wait_for(lambda: bool(image.state == "available"), 5)
        return image


Start = Callable[[], Any]


@pytest.fixture
def configuration(tmp_path: Path) -> LabConfiguration:
    table = {"latency": "none", "latencies": {"none": AT_ONCE}}
    return LabConfiguration.model_validate(
        {**table, "name": "kept", "state_root": str(tmp_path / "state"), "cache_directory": str(tmp_path / "cache")}
    )


@pytest.fixture
def start(configuration: LabConfiguration) -> Callable[[], Any]:
    """Return what starts a lab with an empty state directory; leaving it is an orderly end, but for an exception."""
    starts = iter(range(100))
    key = ensure_key(configuration.cache_directory / "key")

    @contextmanager
    def started() -> Iterator[Lab]:
        root = configuration.state_root / str(next(starts))
        fresh = configuration.model_copy(update={"state_root": root})
        driver = OnlyDisks(fresh)
        plane = ControlPlane(fresh, driver)
        try:
            yield Lab(plane, driver, plane.bootstrap(driver.prepare(lambda _: None), key))
            plane.keep_images()
        finally:
            plane.close()

    return started


def shown(image: Any) -> dict[str, Any]:
    """Return what DescribeImages shows of an AMI and DescribeSnapshots of its snapshot."""
    snapshot = image.ec2_backend.snapshots[image.lab_mappings[0]["Ebs"]["SnapshotId"]]
    of_image: tuple[str, ...] = (
        "id",
        "name",
        "description",
        "state",
        "creation_date",
        "root_device_name",
        "root_device_type",
    )
    of_image += ("architecture", "virtualization_type", "image_location", "owner_id", "block_device_mappings")
    of_snapshot = ("id", "status", "description", "start_time", "volume_id", "volume_size", "from_ami", "owner_id")
    found = {name: getattr(image, name) for name in of_image}
    found |= {f"snapshot {name}": getattr(snapshot, name) for name in of_snapshot}
    return found | {"tags": image.get_tags(), "snapshot tags": snapshot.get_tags()}


def test_a_baked_ami_comes_back_as_it_was_with_its_disk(start: Start) -> None:
    with start() as lab:
        before = shown(lab.bake("livepeer-1"))
    with start() as again:
        assert again.plane.restored == (before["id"],)
        image = again.amis[before["id"]]
        assert shown(image) == before
        disk = again.driver.disk_file(before["snapshot id"])
        with disk.open("rb") as file:
            assert file.read(len(CONTENT)) == CONTENT
    with start() as third:
        assert shown(third.amis[before["id"]]) == before


def test_the_stock_ami_has_the_same_id_in_every_start_until_its_file_is_made_anew(start: Start) -> None:
    with start() as first, first.plane.cloud.lock:
        path = first.driver.path
    with start() as second:
        assert second.stock_id == first.stock_id
    path.unlink()
    with start() as third:
        assert third.stock_id != first.stock_id


def test_the_stock_ami_is_not_kept(start: Start) -> None:
    with start() as lab:
        pass
    with start() as again:
        assert again.plane.restored == ()
        assert set(again.amis) == {lab.stock_id}


def test_an_ami_that_is_pending_or_gone_does_not_come_back(start: Start) -> None:
    with start() as lab:
        pending, gone, baked = (lab.bake(f"livepeer-{number}") for number in range(3))
        pending.state = "pending"
        lab.plane.cloud.backend.deregister_image(gone.id)
    with start() as again:
        assert again.baked == {baked.id}


def test_after_a_crash_the_amis_of_the_last_orderly_end_are_there(start: Start) -> None:
    with start() as lab:
        kept = lab.bake("livepeer-1")
    with pytest.raises(RuntimeError, match="power"), start() as crashing:
        crashing.bake("livepeer-2")
        crashing.driver.delete_disk(kept.lab_mappings[0]["Ebs"]["SnapshotId"])
        raise RuntimeError("the power failed")
    with start() as again:
        assert again.baked == {kept.id}


def test_a_lab_without_disks_keeps_nothing(start: Start, configuration: LabConfiguration) -> None:
    with start() as lab:
        lab.driver.has_disks = False
        lab.bake("livepeer-1")
    assert not (configuration.cache_directory / "amis").exists()
