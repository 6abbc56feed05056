"""No machines: volumes and instances are state only, an instance "boots" at once. Needs no root and no bridge."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from lab.drivers import BootPlan, DiskPlan, ExitListener, StockImage, Wiring
from transcoder.errors import Failed


class NoMachines:
    """A driver that remembers what it was told. A test can make a device busy."""

    has_disks = False

    def __init__(self, stock_image: str, size_gib: int = 2) -> None:
        self._stock = StockImage(
            name=f"lab/stock/{stock_image}-amd64-no-machines",
            description="Nothing is on this image: this lab has no machines",
            size_gib=size_gib,
        )
        self._lock = threading.Lock()
        self._plugged: dict[str, set[str]] = {}
        self.wiring = Wiring()

    def prepare(self, progress: Callable[[str], None]) -> StockImage:
        """Return an image without a disk."""
        progress("no machines: instances and volumes are state only")
        return self._stock

    def listen(self, listener: ExitListener) -> None:
        """Do nothing: a machine that does not exist does not end by itself."""

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        """Do nothing: a volume here is its state."""

    def grow_volume(self, volume_id: str, size_gib: int) -> None:
        """Do nothing: a volume here is its state."""

    def import_disk(self, disk_id: str, path: Path) -> None:
        """Do nothing: there are no disks."""

    def disk_file(self, disk_id: str) -> Path:
        """Refuse: there are no disks."""
        raise Failed(f"there is no file of {disk_id}: this lab has no machines", hint='machines = "uml"')

    def copy_disk(self, source_id: str, target_id: str) -> None:
        """Do nothing: there are no disks."""

    def snapshot(self, volume_id: str, snapshot_id: str, instance_id: str = "") -> None:
        """Do nothing: there are no disks."""

    def delete_disk(self, disk_id: str) -> None:
        """Do nothing: there are no disks."""

    def boot(self, plan: BootPlan) -> bool:
        """Say at once that it is up."""
        with self._lock:
            self._plugged[plan.instance_id] = {plan.root.volume_id, *(disk.volume_id for disk in plan.disks)}
        return True

    def running(self, instance_id: str) -> bool:
        """Tell whether it was booted and not shut down."""
        return instance_id in self._plugged

    def shut_down(self, instance_id: str, *, graceful: bool) -> None:
        """Forget that it was booted."""
        with self._lock:
            self._plugged.pop(instance_id, None)

    def forget(self, instance_id: str) -> None:
        """Do nothing: nothing is left of it."""

    def plug(self, instance_id: str, disk: DiskPlan) -> None:
        """Remember the disk."""
        with self._lock:
            self._plugged.get(instance_id, set()).add(disk.volume_id)

    def unplug(self, instance_id: str, volume_id: str) -> None:
        """Forget the disk: nobody has it mounted."""
        with self._lock:
            self._plugged.get(instance_id, set()).discard(volume_id)

    def console(self, instance_id: str) -> str:
        """Say why there is none."""
        return "this lab has no machines, so there is no console\n"

    def apply(self, wiring: Wiring) -> None:
        """Remember it."""
        self.wiring = wiring

    def close(self) -> None:
        """Forget every machine."""
        with self._lock:
            self._plugged.clear()
