"""One machine: a User-Mode-Linux kernel with disks, one network card and a management console.

What is known about User-Mode-Linux and shapes this module: a machine pinned to one core boots twice as fast; its memory
is a file in TMPDIR, so that must be memory; a guest's reboot inside the process fails (the tap is still held), so every
end of the kernel ends the process and its last console line says which end it was; a disk that is configured before
the disk driver is up panics the kernel; one disk file given to two machines is accepted, so nobody but the control
plane keeps a volume single.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from lab import mconsole, process_group
from lab.console import Console
from lab.process_group import reap
from transcoder.errors import Failed, Unreachable

__all__ = ["DeviceBusy", "Disk", "Launch", "Machine", "reap"]

MCONSOLE_SECONDS = 10.0
DRIVER_SECONDS = 30.0
POLL_SECONDS = 0.02
# ubda is the root; the driver has sixteen.
SLOTS = "bcdefghijklmnop"
DEVICE_BUSY = -16  # EBUSY of the ubd driver: "Device is currently open"


class DeviceBusy(Failed):
    """A disk cannot be unplugged while the guest has it mounted or open; EC2 calls the attachment ``busy``."""


@dataclass(frozen=True)
class Disk:
    """A volume as a machine gets it.

    :param path: the raw file, absolute.
    :param device: the device name that the guest sees, ``/dev/sdg``; the root's is ``/dev/sda1``.
    :param anonymous: the guest is not told which volume it is.
    """

    volume_id: str
    path: Path
    device: str
    anonymous: bool = False


@dataclass(frozen=True)
class Launch:
    """Everything that the kernel's command line says.

    :param address: with its prefix length, ``N.10/25``.
    """

    instance_id: str
    root: Disk
    disks: tuple[Disk, ...]
    mac: str
    tap: str
    address: str
    gateway: str
    memory_mb: int
    uml_directory: Path


def render_kernel_arguments(launch: Launch) -> list[str]:
    """Return the command line of the kernel, the program itself not included.

    :raises Failed: more disks than the driver has names.
    """
    if len(launch.disks) > len(SLOTS):
        raise Failed(f"{launch.instance_id} cannot have {len(launch.disks)} volumes, only {len(SLOTS)}")
    disks = [f"ubd{slot}={render_disk(disk)}" for slot, disk in zip(SLOTS, launch.disks, strict=False)]
    card = f"vec0:transport=tap,ifname={launch.tap},depth=128,gro=1,mac={launch.mac}"
    return [
        *(f"mem={launch.memory_mb}M", f"ubda={render_disk(launch.root)}", *disks, "root=/dev/ubda", "rw"),
        *("con=null", "con0=null,fd:2", f"uml_dir={launch.uml_directory}/", f"umid={launch.instance_id}", card),
        *(f"lab.ip={launch.address}", f"lab.gw={launch.gateway}", "systemd.show_status=0", "quiet", "noreboot"),
    ]


def render_disk(disk: Disk) -> str:
    """Return a disk as the ubd driver takes it: file, no backing file, and the serial that the guest's udev reads.

    :raises Failed: the path has a character that the driver splits at.
    """
    if set(str(disk.path)) & set(",: "):
        raise Failed(f"{disk.path} cannot be a disk: the driver takes no comma, colon or space in a path")
    # A disk of Xen has a name and no serial number: the stock image's udev rule knows only those that begin with vol.
    identity = "xen" if disk.anonymous else disk.volume_id.replace("-", "")
    return f"{disk.path},,{identity}.{guest_device_name(disk.device)}"


def guest_device_name(device: str) -> str:
    """Return the name under which the guest sees a device: ``/dev/sdg`` is ``xvdg``; the root keeps ``sda1``."""
    name = device.removeprefix("/dev/")
    if name in ("sda", "sda1", "xvda", "xvda1"):
        return "sda1"
    return "xvd" + name.removeprefix("xvd").removeprefix("sd")


class Machine:
    """A machine that can be switched on again and again; its methods may be called from any thread.

    :param run_directory: for the management console and the process record; its path must be short (UNIX sockets).
    :param log_directory: for the console's log.
    :param core: of the host, the only one it runs on.
    :param exec_prefix: runs a command in the lab's network namespace.
    :param on_exit: called once a run, from a thread of this object, with why it ended: ``reboot`` or ``halt`` (the
        guest's own wish, or ``halt`` by shut_down), ``crash`` (a panic, or somebody else's kill), ``killed`` (by kill).
    """

    def __init__(
        self,
        instance_id: str,
        run_directory: Path,
        log_directory: Path,
        core: int,
        memory_mb: int,
        exec_prefix: Sequence[str],
        on_exit: Callable[[str], None],
    ) -> None:
        self.instance_id = instance_id
        self._uml_directory = run_directory / "uml"
        self._record = run_directory / f"{instance_id}{process_group.SUFFIX}"
        self._core = core
        self._memory_mb = memory_mb
        self._exec_prefix = tuple(exec_prefix)
        self._on_exit = on_exit
        self._console = Console(log_directory / f"{instance_id}.console.log")
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._intent = ""
        self._slots: dict[str, str] = {}
        self._root: Path | None = None

    def start(self, root: Disk, disks: Sequence[Disk], mac: str, tap: str, address: str, gateway: str) -> None:
        """Switch the machine on and return at once; sshd answers some seconds later.

        :raises Failed: it is running.
        """
        with self._lock:
            if self.running:
                raise Failed(f"{self.instance_id} is running already")
            launch = Launch(
                *(self.instance_id, root, tuple(disks), mac, tap, address, gateway, self._memory_mb),
                uml_directory=self._uml_directory,
            )
            self._clear_traces()
            self._console.begin()
            self._intent = ""
            self._root = root.path
            self._slots = {disk.volume_id: slot for slot, disk in zip(SLOTS, disks, strict=False)}
            self._spawn(launch)

    @property
    def running(self) -> bool:
        """True from start until the last process of the machine is gone."""
        return self._process is not None

    @property
    def plugged(self) -> tuple[str, ...]:
        """The volumes that are plugged in, the root not among them."""
        return tuple(self._slots)

    def console(self) -> str:
        """Return the last 64 KiB that this run, or the last one, has printed."""
        return self._console.text()

    def plug(self, disk: Disk) -> None:
        """Hot-plug a disk; waits until the guest's disk driver is up, when the machine is just booting.

        :raises Failed: no slot is free, the volume is plugged in, or the guest's driver refused the disk.
        :raises Unreachable: the machine is off, or does not come up.
        """
        with self._lock:
            if disk.volume_id in self._slots:
                raise Failed(f"{disk.volume_id} is plugged into {self.instance_id} already")
            free = [slot for slot in SLOTS if slot not in self._slots.values()]
            if not free:
                raise Failed(f"{self.instance_id} has no slot left: a machine of the lab has {len(SLOTS)}")
            self._wait_for_disk_driver()
            self._command(f"config ubd{free[0]}={render_disk(disk)}")
            self._slots[disk.volume_id] = free[0]

    def unplug(self, volume_id: str) -> None:
        """Take a disk out.

        :raises DeviceBusy: the guest has it mounted or open; nothing has changed.
        :raises Failed: it is not plugged in.
        :raises Unreachable: the machine is off, or does not answer.
        """
        with self._lock:
            if volume_id not in self._slots:
                raise Failed(f"{volume_id} is not plugged into {self.instance_id}")
            self._wait_for_disk_driver()
            try:
                self._command(f"remove ubd{self._slots[volume_id]}")
            except mconsole.MconsoleError as refusal:
                if refusal.code != DEVICE_BUSY:
                    raise
                hint = "unmount it in the machine first"
                raise DeviceBusy(f"{volume_id} is in use by {self.instance_id}", hint=hint) from refusal
            del self._slots[volume_id]

    def shut_down(self, timeout: float) -> bool:
        """Press the power button, wait, and cut the power when the guest takes longer. Says whether it was orderly.

        :param timeout: seconds for the guest; EC2 gives some minutes.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            if not self.running:
                return True
            ended, self._intent = self._ended, "halt"
        while not self._press_power_button() and not ended.is_set() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if ended.wait(max(0.0, deadline - time.monotonic())):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """Cut the power: what the guest had not synced is lost. Returns when every process of the machine is gone."""
        process, ended = self._process, self._ended
        if process is None:
            return
        self._intent = "killed"
        process_group.kill(process.pid)
        ended.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the machine's clock and processor for the time of the block, so that its disks can be copied.

        The copy is what a power loss at that moment would leave. A machine that is off needs no freezing.
        """
        with self._lock:
            if not self.running:
                yield
                return
            self._wait_for_disk_driver()
            self._command("stop")
            try:
                yield
            finally:
                if self.running:
                    self._command("go")

    def _spawn(self, launch: Launch) -> None:
        pinned = ["taskset", "--cpu-list", str(self._core), *self._exec_prefix]
        process = subprocess.Popen(
            [*pinned, "linux.uml", *render_kernel_arguments(launch)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Its own group, named after the first process: the power cut kills exactly that group.
            start_new_session=True,
            env={**os.environ, "TMPDIR": "/dev/shm"},  # noqa: S108 - the machine's memory belongs into memory
        )
        self._record.write_text(f"{process.pid}\n")
        self._process = process
        self._ended = threading.Event()
        name = f"machine-{self.instance_id}"
        threading.Thread(target=self._supervise, args=(process,), name=name, daemon=True).start()

    def _clear_traces(self) -> None:
        # A socket of an earlier run makes the kernel choose a random name for its console.
        traces = self._uml_directory / self.instance_id
        if traces.exists():
            shutil.rmtree(traces)
        self._uml_directory.mkdir(parents=True, exist_ok=True)

    def _supervise(self, process: subprocess.Popen[bytes]) -> None:
        output = cast(BinaryIO, process.stdout)
        reader = threading.Thread(target=self._console.collect, args=(output,), daemon=True)
        reader.start()
        process.wait()
        process_group.kill(process.pid)
        reader.join()
        output.close()
        self._record.unlink(missing_ok=True)
        self._process, self._slots = None, {}
        reason = self._intent or reason_of_end(self._console.text())
        self._ended.set()
        self._on_exit(reason)

    def _command(self, command: str) -> str:
        if not self.running:
            raise Unreachable(f"{self.instance_id} is off")
        return mconsole.request(self._uml_directory / self.instance_id / "mconsole", command, MCONSOLE_SECONDS)

    def _press_power_button(self) -> bool:
        try:
            self._command("cad")
        except Unreachable:
            return False
        return True

    def _wait_for_disk_driver(self) -> None:
        """Wait until the guest has its root open: then the driver is up, whatever the console is told to print.

        A disk that is configured earlier panics the kernel.
        """
        deadline = time.monotonic() + DRIVER_SECONDS
        while not self._has_root_open():
            if not self.running:
                raise Unreachable(f"{self.instance_id} is off")
            if time.monotonic() > deadline:
                raise Unreachable(f"{self.instance_id} has not mounted its root after {DRIVER_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def _has_root_open(self) -> bool:
        process = self._process
        if process is None:
            return False
        descriptors = Path(f"/proc/{process.pid}/fd")
        try:
            return any(link.readlink() == self._root for link in descriptors.iterdir())
        except FileNotFoundError:
            # A descriptor was closed, or the machine ended, while it was being looked at.
            return False


def reason_of_end(console: str) -> str:
    """Say why a machine that nobody killed has ended, by the kernel's last words."""
    last_words = console.rstrip().splitlines()[-3:]
    if any("reboot: Restarting system" in line for line in last_words):
        return "reboot"
    if any("reboot: System halted" in line or "reboot: Power down" in line for line in last_words):
        return "halt"
    return "crash"
