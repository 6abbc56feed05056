"""What carries the instances. One module each, found by its name: ``uml`` (real machines) and ``none`` (state only)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.firewall import Rule

ExitListener = Callable[[str, str], None]
"""Called with the instance id and "reboot", "halt", "crash" or "killed" when a machine ends that nobody told to end."""


class MachineFailed(Exception):
    """A machine did not come up; the text says how far it came."""


class DeviceInUse(Exception):
    """The guest has the device mounted or open, so it cannot be unplugged."""


@dataclass(frozen=True)
class DiskPlan:
    """A volume in a machine; ``device`` is EC2's name for it, such as /dev/sdg.

    ``shown_as`` is the device name under which the guest sees it, where that is another; ``anonymous``: the guest is
    told no serial number, as on Xen.
    """

    volume_id: str
    device: str
    shown_as: str = ""
    anonymous: bool = False


@dataclass(frozen=True)
class BootPlan:
    """A machine as it must come up. ``private_ip`` without a prefix length."""

    instance_id: str
    private_ip: str
    mac: str
    root: DiskPlan
    disks: tuple[DiskPlan, ...]


@dataclass(frozen=True)
class Member:
    """An instance on the network, and what may reach it."""

    instance_id: str
    private_ip: str
    mac: str
    ingress: tuple[Rule, ...]


@dataclass(frozen=True)
class Wiring:
    """The network as it must be: the instances, and which public address leads to which private one.

    ``severed`` are pairs of private addresses between which nothing passes.
    """

    members: tuple[Member, ...] = ()
    elastic: tuple[tuple[str, str], ...] = ()
    severed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class StockImage:
    """The image that the lab starts with. ``name`` says honestly what it is."""

    name: str
    description: str
    size_gib: int
    path: Path | None = None


class MachineDriver(Protocol):
    """Makes disks, machines and wires. Thread-safe; never calls back while it holds a lock of its own."""

    @property
    def has_disks(self) -> bool:
        """Tell whether disks are files, or state only."""

    def prepare(self, progress: Callable[[str], None]) -> StockImage:
        """Set up the network and make the stock image."""

    def listen(self, listener: ExitListener) -> None:
        """Name who is told when a machine ends by itself."""

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        """Make a volume's disk, blank or from a snapshot."""

    def grow_volume(self, volume_id: str, size_gib: int) -> None:
        """Make a volume's disk larger."""

    def import_disk(self, disk_id: str, path: Path) -> None:
        """Take a file in as a snapshot's disk. Nobody writes to a snapshot, so it may be the very same file."""

    def disk_file(self, disk_id: str) -> Path:
        """Return the file of a disk, which may not be there.

        :raises Failed: disks are state only here.
        """

    def copy_disk(self, source_id: str, target_id: str) -> None:
        """Copy a snapshot's disk."""

    def snapshot(self, volume_id: str, snapshot_id: str, instance_id: str = "") -> None:
        """Copy a volume's disk as it is now; ``instance_id`` names the machine that may be writing to it."""

    def delete_disk(self, disk_id: str) -> None:
        """Delete a volume's or a snapshot's disk."""

    def boot(self, plan: BootPlan) -> bool:
        """Start a machine; return True when its sshd answers, False when it ended by itself before that.

        :raises MachineFailed: when it is up and does not answer within its budget.
        """

    def running(self, instance_id: str) -> bool:
        """Tell whether the machine runs."""

    def shut_down(self, instance_id: str, *, graceful: bool) -> None:
        """End a machine: as by its power button, then by cutting its power; or by that at once."""

    def forget(self, instance_id: str) -> None:
        """Drop what is left of a machine that will not come again."""

    def plug(self, instance_id: str, disk: DiskPlan) -> None:
        """Plug a disk in where the machine runs; nothing to do where it does not, or has it."""

    def unplug(self, instance_id: str, volume_id: str) -> None:
        """Unplug a disk; nothing to do where the machine does not have it.

        :raises DeviceInUse: while the guest has it mounted or open.
        """

    def console(self, instance_id: str) -> str:
        """Return the end of what the machine wrote on its console."""

    def apply(self, wiring: Wiring) -> None:
        """Make the network as described."""

    def close(self) -> None:
        """Cut the power of every machine and remove the network."""
