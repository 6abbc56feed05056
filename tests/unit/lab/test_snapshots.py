"""How long a snapshot stays pending, and what it says of itself meanwhile; no EC2, no disks, no waiting."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from lab.configuration import Latencies
from lab.reconcile import snapshots
from lab.reconcile.snapshots import Snapshots
from transcoder.errors import Failed

LATENCIES = Latencies(snapshot=30, snapshot_incremental=5)
HOME, AWAY = "us-east-1", "us-west-2"


class Regions:
    """Two regions whose snapshots are taken and copied by the code under test, on a clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.broken = False
        self.backends = {region: self.backend() for region in (HOME, AWAY)}
        self.waiting: list[tuple[float, Callable[[], None]]] = []
        driver = SimpleNamespace(snapshot=self.copy_disk, copy_disk=self.copy_disk)
        cloud: Any = SimpleNamespace(
            latencies=LATENCIES,
            parameters={},
            bookkeeping=False,
            driver=driver,
            configuration=SimpleNamespace(regions=(HOME, AWAY)),
            later=lambda _, seconds, change: self.waiting.append((seconds, change)),
        )
        self.snapshots = Snapshots(cloud)
        monkeypatch.setattr(snapshots, "ec2_backend", self.backends.__getitem__)
        monkeypatch.setattr(snapshots, "time", SimpleNamespace(monotonic=lambda: self.now))

    def backend(self) -> Any:
        volumes = {name: SimpleNamespace(id=name, size=1, status="available", attachment=None) for name in ("a", "b")}
        return SimpleNamespace(snapshots={}, get_volume=volumes.__getitem__)

    def copy_disk(self, *_: str) -> None:
        if self.broken:
            raise Failed("no space left on device")

    def make(self, backend: Any, *_: Any) -> Any:
        """Do what moto does: a snapshot that is complete at once."""
        made = SimpleNamespace(id=f"snap-{len(backend.snapshots)}", ec2_backend=backend, status="completed")
        made.volume, made.encrypted = SimpleNamespace(id="moto's", size=1), False
        backend.snapshots[made.id] = made
        return made

    def take(self, volume: str) -> Any:
        return self.snapshots.create_snapshot(self.make, self.backends[HOME], volume)

    def copy(self, source: Any, target: str) -> Any:
        return self.snapshots.copy_snapshot(self.make, self.backends[target], source.id, HOME)

    def wait(self) -> list[float]:
        """Let everything complete; return how long each had to wait."""
        done, self.waiting = self.waiting, []
        for _, change in done:
            change()
        return [seconds for seconds, _ in done]


@pytest.fixture
def regions(monkeypatch: pytest.MonkeyPatch) -> Regions:
    return Regions(monkeypatch)


def test_the_first_snapshot_of_a_volume_takes_long_and_the_later_ones_do_not(regions: Regions) -> None:
    for volume, seconds in (("a", 30), ("a", 5), ("a", 5), ("b", 30)):
        regions.take(volume)
        assert regions.wait() == [seconds]


def test_a_snapshot_builds_on_a_complete_one_only(regions: Regions) -> None:
    regions.take("a")
    regions.take("a")
    assert regions.wait() == [30, 30]


def test_a_deleted_snapshot_is_nothing_to_build_on(regions: Regions) -> None:
    first = regions.take("a")
    regions.wait()
    del regions.backends[HOME].snapshots[first.id]
    regions.take("a")
    assert regions.wait() == [30]


def test_each_region_keeps_its_own_blocks(regions: Regions) -> None:
    first = regions.take("a")
    regions.wait()
    regions.copy(first, AWAY)
    second = regions.take("a")
    assert regions.wait() == [30, 5]
    regions.copy(second, AWAY)
    assert regions.wait() == [5]


def test_progress_goes_up_and_is_whole_at_the_end_only(regions: Regions) -> None:
    snapshot = regions.take("a")
    said = []
    for regions.now in (0, 15, 29.9, 31):
        said.append(snapshots.snapshot_progress(snapshot))
    assert said == ["0%", "50%", "99%", "99%"]
    regions.wait()
    assert snapshots.snapshot_progress(snapshot) == "100%"


def test_a_copy_names_no_volume_of_its_source(regions: Regions) -> None:
    first = regions.take("a")
    regions.wait()
    assert regions.copy(first, AWAY).volume.id == "vol-ffffffff"


def test_a_snapshot_whose_disk_cannot_be_copied_is_not_there(regions: Regions) -> None:
    regions.broken = True
    with pytest.raises(Failed):
        regions.take("a")
    assert regions.backends[HOME].snapshots == {}
    assert regions.waiting == []
