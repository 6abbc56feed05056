"""Real machines: User-Mode-Linux on disks that are files, on a bridge in a network namespace. Needs root."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from lab import base_image
from lab.configuration import LabConfiguration
from lab.disk import GIB, DiskStore
from lab.drivers import BootPlan, DeviceInUse, DiskPlan, ExitListener, MachineFailed, StockImage, Wiring
from lab.machine import DeviceBusy, Disk, Machine, reap
from lab.namespace import call_inside
from lab.network import Guest, Network, NetworkState
from transcoder.errors import Refused, TranscoderError

log = logging.getLogger("lab.uml")

SSH_PORT = 22
BANNER_POLL_SECONDS = 0.1
PREFIX_LENGTH = 25


class UmlMachines:
    """A driver whose machines are User-Mode-Linux kernels.

    :param ca_certificate: PEM; the stock image trusts it.
    """

    has_disks = True

    def __init__(self, configuration: LabConfiguration, ca_certificate: bytes) -> None:
        self.configuration = configuration
        self.network = Network(configuration.name, configuration.network, configuration.run_directory)
        self._ca_certificate = ca_certificate
        self._disks: DiskStore | None = None
        self._lock = threading.Lock()
        self._machines: dict[str, Machine] = {}
        self._taps: dict[str, str] = {}
        self._cores = itertools.cycle(sorted(os.sched_getaffinity(0)))
        self._told_to_end: set[str] = set()
        self._listener: ExitListener | None = None

    @property
    def disks(self) -> DiskStore:
        """The disk files; there once `prepare` has run."""
        if self._disks is None:
            raise MachineFailed("the lab is not up yet")
        return self._disks

    def listen(self, listener: ExitListener) -> None:
        """Name who is told when a machine ends by itself."""
        self._listener = listener

    def prepare(self, progress: Callable[[str], None]) -> StockImage:
        """Clear what a crash left, set up the network, and make the first stock image that can be made here."""
        reap(self.configuration.run_directory)
        self._disks = DiskStore(self.configuration.state_directory / "disks")
        progress(f"network {self.configuration.network} in namespace {self.configuration.name}")
        self.network.up()
        return self._stock_image(progress)

    def _stock_image(self, progress: Callable[[str], None]) -> StockImage:
        reasons = []
        for name in self.configuration.stock_images:
            started = time.monotonic()
            try:
                image = base_image.ensure(name, self.configuration.cache_directory, self._ca_certificate, progress)
            except TranscoderError as error:
                reasons.append(f"{name}: {error}")
                progress(f"stock image {name} cannot be made here: {error.message}")
                continue
            progress(f"stock image {image.name} ready in {time.monotonic() - started:.1f} s")
            text = f"{image.os}, made from the distribution's own packages for this lab; log in as {image.user}"
            return StockImage(image.name, text, image.size_gib, image.path)
        raise Refused("no stock image can be made on this machine", reasons=reasons)

    # disks

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str = "") -> None:
        """Make a volume's disk, blank or from a snapshot."""
        if snapshot_id:
            self.disks.copy(snapshot_id, volume_id, size_gib)
        else:
            self.disks.create(volume_id, size_gib)

    def grow_volume(self, volume_id: str, size_gib: int) -> None:
        """Make a volume's file longer; a guest that has it sees that after it is plugged in again."""
        with self.disks.path(volume_id).open("r+b") as file:
            file.truncate(size_gib * GIB)

    def import_disk(self, disk_id: str, path: Path) -> None:
        """Take a file in as a snapshot's disk."""
        self.disks.take_in(path, disk_id)

    def disk_file(self, disk_id: str) -> Path:
        """Return the file of a disk."""
        return self.disks.path(disk_id)

    def copy_disk(self, source_id: str, target_id: str) -> None:
        """Copy a snapshot's disk."""
        self.disks.copy(source_id, target_id)

    def snapshot(self, volume_id: str, snapshot_id: str, instance_id: str = "") -> None:
        """Copy a volume's disk as a power loss at this moment would leave it."""
        machine = self._machines.get(instance_id)
        with machine.frozen() if machine else nullcontext():
            self.disks.copy(volume_id, snapshot_id)

    def delete_disk(self, disk_id: str) -> None:
        """Delete a volume's or a snapshot's file."""
        self.disks.delete(disk_id)

    # machines

    def boot(self, plan: BootPlan) -> bool:
        """Start a machine and wait for its sshd's banner.

        :raises MachineFailed: it could not be started.
        """
        machine = self._machine(plan.instance_id)
        with self._lock:
            self._told_to_end.discard(plan.instance_id)
        try:
            machine.start(
                self._disk(plan.root),
                [self._disk(disk) for disk in plan.disks],
                plan.mac,
                self._tap(plan.instance_id),
                f"{plan.private_ip}/{PREFIX_LENGTH}",
                self.network.gateway,
            )
        except (TranscoderError, OSError) as error:
            raise MachineFailed(f"{plan.instance_id} could not be started: {error}") from error
        return self._answers(machine, plan.private_ip)

    def _answers(self, machine: Machine, address: str) -> bool:
        deadline = time.monotonic() + self.configuration.boot_budget_seconds
        while machine.running and time.monotonic() < deadline:
            # From inside the namespace: a security group that lets nobody in must not keep an instance pending.
            if call_inside(self.configuration.name, lambda: has_ssh_banner(address)):
                return True
            time.sleep(BANNER_POLL_SECONDS)
        return False

    def running(self, instance_id: str) -> bool:
        """Tell whether the machine runs."""
        machine = self._machines.get(instance_id)
        return machine is not None and machine.running

    def shut_down(self, instance_id: str, *, graceful: bool) -> None:
        """Press the power button and wait; or cut the power at once."""
        machine = self._machines.get(instance_id)
        if machine is None:
            return
        with self._lock:
            self._told_to_end.add(instance_id)
        if graceful:
            machine.shut_down(self.configuration.stop_budget_seconds)
        machine.kill()

    def forget(self, instance_id: str) -> None:
        """Drop a terminated machine's tap; its console stays readable."""
        with self._lock:
            tap = self._taps.pop(instance_id, None)
        if tap:
            self.network.delete_tap(tap)

    def plug(self, instance_id: str, disk: DiskPlan) -> None:
        """Plug a disk in where the machine runs and does not have it."""
        machine = self._machines.get(instance_id)
        if machine is not None and machine.running and disk.volume_id not in machine.plugged:
            machine.plug(self._disk(disk))

    def unplug(self, instance_id: str, volume_id: str) -> None:
        """Unplug a disk where the machine runs and has it.

        :raises DeviceInUse: while the guest has it mounted or open.
        """
        machine = self._machines.get(instance_id)
        if machine is None or not machine.running or volume_id not in machine.plugged:
            return
        try:
            machine.unplug(volume_id)
        except DeviceBusy as error:
            raise DeviceInUse(str(error)) from error

    def console(self, instance_id: str) -> str:
        """Return the end of the console's log."""
        machine = self._machines.get(instance_id)
        return machine.console() if machine else ""

    def apply(self, wiring: Wiring) -> None:
        """Put security groups and public addresses in force."""
        guests = [
            Guest(member.instance_id, member.private_ip, member.mac, self._tap(member.instance_id), member.ingress)
            for member in wiring.members
        ]
        self.network.apply(NetworkState(tuple(guests), wiring.elastic, wiring.severed))

    def close(self) -> None:
        """Cut the power of every machine, and remove the network."""
        machines = list(self._machines.values())
        with self._lock:
            self._told_to_end.update(self._machines)
        if machines:
            with ThreadPoolExecutor(len(machines)) as pool:
                list(pool.map(Machine.kill, machines))
        self.network.down()

    def _machine(self, instance_id: str) -> Machine:
        with self._lock:
            if instance_id not in self._machines:
                # One core each: all of a machine's hand-overs stay on one CPU, which halves its boot time.
                core = next(self._cores)
                self._machines[instance_id] = Machine(
                    instance_id,
                    self.configuration.run_directory,
                    self.configuration.log_directory,
                    core,
                    self.configuration.machine_memory_mb,
                    self.network.exec_prefix,
                    lambda how: self._ended(instance_id, how),
                )
            return self._machines[instance_id]

    def _ended(self, instance_id: str, how: str) -> None:
        with self._lock:
            expected = instance_id in self._told_to_end
        if not expected and self._listener is not None:
            self._listener(instance_id, how)

    def _disk(self, plan: DiskPlan) -> Disk:
        shown_as = plan.shown_as or plan.device
        return Disk(plan.volume_id, self.disks.path(plan.volume_id), shown_as, anonymous=plan.anonymous)

    def _tap(self, instance_id: str) -> str:
        with self._lock:
            if instance_id not in self._taps:
                self._taps[instance_id] = self.network.create_tap(instance_id)
            return self._taps[instance_id]


def has_ssh_banner(address: str, timeout_seconds: float = 2.0) -> bool:
    """Tell whether an SSH server greets at an address."""
    try:
        with socket.create_connection((address, SSH_PORT), timeout_seconds) as connection:
            connection.settimeout(timeout_seconds)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
