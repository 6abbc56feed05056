"""A machine with its systemd units: disks appear and go with the cloud's attachments, units react as the baked ones.

Mount units find their disk by its label; a disk that appears is mounted and its service started, unless a file of the
unit's name stands in the hold directory (ConditionPathExists=!). A service starts only on the right volume with the
right key, as the start-up check of the image sees to.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field

from tests.simulated.clock import SimulatedClock
from tests.simulated.cloud import ROOT, SimulatedCloud
from tests.simulated.disk import KEYSTORE, RECORDS, Disk, Entry
from tests.simulated.faults import Faults
from tests.simulated.watcher import Watcher
from transcoder.layout import GETH, LIVEPEER, MARKER, VOLUMES, DataVolume
from transcoder.model import Instance

DISKS_AFTER, SSH_AFTER, BOOTED_AFTER = 3.0, 4.0, 8.0
"""Seconds from power on until udev has seen the disks (and they are mounted), sshd answers, the boot has ended."""
GETH_ANSWERS, GETH_PEERS, LIVEPEER_ANSWERS = 1.0, 3.0, 2.0
BLOCK_TIME = 2.0


@dataclass
class Unit:
    """A service's state."""

    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    pid: int = 0
    since: float = 0.0
    told: str = ""
    """Its status, as it tells it to systemd."""


@dataclass
class Rounds:
    """What the protocol's contracts say of the round and of the node; one for all machines."""

    current: int = 1340
    initialized: bool = True
    last_reward: int = 1340
    """The round in which the node called ``reward()`` last."""
    active: bool = True
    balance: int = 10**18
    """ETH of the account, in wei."""
    gas_price: int = 10**8
    """In wei."""
    waiting: int = 0
    """Transactions of the account that are not mined."""
    paid: list[str] = field(default_factory=list)
    """What each call of ``reward()`` that cost gas came to."""

    def reward(self) -> str:
        """Call ``reward()``; return why it reverts, or an empty text. Either costs gas."""
        problem = "" if self.initialized else "current round is not initialized"
        problem = problem or ("" if self.active else "caller must be an active transcoder")
        problem = problem or ("caller has already called reward" if self.last_reward >= self.current else "")
        if not problem:
            self.last_reward = self.current
        self.paid.append(problem)
        return problem


@dataclass
class Machine:
    """One machine. Everything on it that is not on a data volume is forgotten when it stops."""

    instance_id: str
    cloud: SimulatedCloud
    clock: SimulatedClock
    watcher: Watcher
    nitro: bool = True
    faults: Faults = field(default_factory=Faults)
    started: float | None = None
    devices: dict[str, str] = field(default_factory=dict)
    """Volume id -> device path, for what the guest sees."""
    mounts: dict[str, str] = field(default_factory=dict)
    """Mount point -> volume id."""
    held: set[str] = field(default_factory=set)
    units: dict[str, Unit] = field(default_factory=dict)
    journal: dict[str, list[str]] = field(default_factory=dict)
    account: str = ""
    fetches_passphrases: bool = True
    says: dict[tuple[str, ...], str] = field(default_factory=dict)
    """What further commands print that only look: what is not in here prints nothing."""
    rounds: Rounds = field(default_factory=Rounds)
    programs: dict[str, str] = field(default_factory=lambda: {"geth": "1.8.27", "livepeer": "0.2.4"})
    """The versions that the image was baked with; none of ours when empty."""
    parts: tuple[DataVolume, ...] = VOLUMES
    """The volumes that the image has units for."""
    _pids: itertools.count[int] = field(default_factory=lambda: itertools.count(1000))

    # what it is

    @property
    def instance(self) -> Instance | None:
        """EC2's view of it, None when it is gone."""
        return self.cloud.machines.get(self.instance_id)

    def answers(self) -> bool:
        """Whether sshd answers."""
        up = self.started is not None and self.has_power()
        return up and not self.faults.unreachable and self._age() >= SSH_AFTER

    def has_power(self) -> bool:
        """Whether it runs, which EC2 need not know."""
        instance = self.instance
        if instance is None or self.faults.powered_off:
            return False
        on = ("pending", "running", *(("stopping",) if self.instance_id in self.cloud.ending else ()))
        return instance.state in on

    def booted(self) -> bool:
        """Whether systemd has come to the end of the boot."""
        return self._age() >= BOOTED_AFTER

    def _age(self) -> float:
        return -1.0 if self.started is None else self.clock.monotonic() - self.started

    def serial_of(self, volume_id: str) -> str | None:
        """Return the serial of a volume's device; Xen gives none."""
        return volume_id.replace("-", "") if self.nitro and not self.faults.without_serials else None

    def disk_at(self, path: str) -> Disk:
        """Return the disk behind a device path, which must be there."""
        found = [volume for volume, device in self.devices.items() if device == path]
        assert found, f"{self.instance_id} has no device {path}"
        return self.cloud.disks[found[0]]

    def mounted_disk(self, data: DataVolume) -> Disk | None:
        """Return the disk mounted at a volume's mount point."""
        volume = self.mounts.get(data.mount)
        return self.cloud.disks[volume] if volume else None

    # what happens by itself

    def catch_up(self) -> None:
        """Notice power, disks that came or went, and what must not be."""
        instance = self.instance
        if instance is None or not self.has_power():
            self._power_off()
            return
        if instance.state == "running" and self.started is None:
            self.started = self.clock.monotonic()
        if self._age() < DISKS_AFTER:
            return
        self._forget_devices()
        self._see_devices(instance)
        self._retry_livepeer()
        self._check_writer()

    def _power_off(self) -> None:
        """Lose what was in memory: page cache, processes, and the hold directory, which is on tmpfs."""
        self.watcher.ends(self.instance_id)
        for volume_id in self.mounts.values():
            self._lose(volume_id)
        self.started, self.account = None, ""
        for table in (self.devices, self.mounts, self.units):
            table.clear()
        self.held.clear()

    def _lose(self, volume_id: str) -> None:
        disk = self.cloud.disks[volume_id]
        disk.lose_power()
        self.watcher.loses(volume_id, len(disk.records()))

    def shut_down(self) -> None:
        """End in order, as at a stop through EC2: services first, then everything is unmounted."""
        for data in self.parts:
            self.stop(data.mount_unit)

    def _forget_devices(self) -> None:
        for volume_id in list(self.devices):
            volume = self.cloud.blocks.get(volume_id)
            bond = volume.attachment if volume else None
            if bond is None or bond.instance_id != self.instance_id:
                if volume_id in self.mounts.values():
                    self._lose(volume_id)
                    self.watcher.fail(f"{volume_id} was pulled out of {self.instance_id} while it was mounted")
                del self.devices[volume_id]

    def _see_devices(self, instance: Instance) -> None:
        for name, volume_id in instance.devices.items():
            volume = self.cloud.blocks.get(volume_id)
            if (
                name != ROOT
                and volume is not None
                and volume.attached_to(self.instance_id)
                and volume_id not in self.devices
            ):
                self.devices[volume_id] = self._free_path(name)
                self._announce(self.cloud.disks[volume_id])

    def _free_path(self, name: str) -> str:
        if self.nitro:
            return next(path for n in range(1, 26) if (path := f"/dev/nvme{n}n1") not in self.devices.values())
        own = name.replace("/dev/sd", "/dev/xvd")
        if not self.faults.swapped_names:
            return own
        names = ["/dev/xvdh", "/dev/xvdg"] if own == "/dev/xvdg" else ["/dev/xvdg", "/dev/xvdh"]
        return next(path for path in [*names, own] if path not in self.devices.values())

    def _announce(self, disk: Disk) -> None:
        """udev has seen a disk: the mount units are wanted by the device with their label."""
        for data in self.parts:
            if disk.filesystem is not None and disk.filesystem.label == data.label:
                self.start(data.mount_unit)

    def announce_all(self) -> None:
        """Let udev look again, as ``udevadm trigger`` does."""
        for volume_id in list(self.devices):
            self._announce(self.cloud.disks[volume_id])

    def _retry_livepeer(self) -> None:
        if self.unit(LIVEPEER.service.unit).sub == "auto-restart" and self._chain_answers():
            self.start(LIVEPEER.service.unit)

    def _check_writer(self) -> None:
        if self.unit(LIVEPEER.service.unit).active != "active":
            return
        volume_id = self.mounts.get(LIVEPEER.mount, "")
        bond = self.cloud.blocks[volume_id].attachment if volume_id else None
        here = bond is not None and bond.instance_id == self.instance_id
        self.watcher.writes(
            volume_id, self.instance_id, bond=bond.state if bond and here else "elsewhere", mounted=bool(volume_id)
        )

    def work(self) -> None:
        """Let time pass for the programs: a running livepeer writes its next record."""
        self.catch_up()
        if self.unit(LIVEPEER.service.unit).active != "active":
            return
        self._write_record(self.mounts[LIVEPEER.mount])

    def _write_record(self, volume_id: str) -> None:
        """Sync the last record, which is acknowledged by that, and write the next into the page cache."""
        disk = self.cloud.disks[volume_id]
        disk.sync(RECORDS)
        self.watcher.acknowledges(volume_id, self.account, disk.count())
        if LIVEPEER.mount in self.faults.full:
            return
        entry, number = disk.needed().tree.get(RECORDS), disk.count() + 1
        before = (entry.data or b"") if entry else b""
        disk.put(RECORDS, Entry(0o644, LIVEPEER.service.id, LIVEPEER.service.id, before + f"{number}\n".encode()))
        self.watcher.written[volume_id] = number

    # units

    def unit(self, name: str) -> Unit:
        """Return a service's state."""
        return self.units.setdefault(name, Unit())

    def start(self, name: str) -> str:
        """Start a unit; return why it failed, or an empty text. A condition that is not met is no failure."""
        if name in self.held:
            return ""
        for data in self.parts:
            if name == data.mount_unit:
                return self._mount(data)
            if name == data.service.unit:
                return self._start_service(data)
        raise AssertionError(f"start of an unknown unit {name}")

    def _mount(self, data: DataVolume) -> str:
        if data.mount in self.mounts:
            return ""
        labelled = [v for v in self.devices if _label(self.cloud.disks[v]) == data.label]
        if not labelled:
            return f"Dependency failed for {data.mount}: no disk labelled {data.label}"
        volume_id = labelled[-1]
        disk = self.cloud.disks[volume_id]
        if disk.needed().type != "ext4" or disk.damaged:
            return f"mount: {data.mount}: wrong fs type, bad superblock on {self.devices[volume_id]}"
        disk.mount()
        self.mounts[data.mount] = volume_id
        self.start(data.service.unit)  # the service is wanted by the mount; when it fails, the mount stays
        return ""

    def _start_service(self, data: DataVolume) -> str:
        unit = self.unit(data.service.unit)
        if unit.active == "active":
            return ""
        if problem := self.start(data.mount_unit) or self._volume_problem(data):
            self._fail(data, problem)
            return problem
        if data is LIVEPEER and not self._chain_is_there():
            unit.active, unit.sub = "activating", "auto-restart"
            return "not yet: the chain does not answer"
        unit.active, unit.sub, unit.result = "active", "running", "success"
        unit.pid, unit.since = next(self._pids), self.clock.monotonic()
        if data is GETH:
            self.faults.geth_stalls_at = 0.0
        if data is LIVEPEER:
            self.faults.livepeer_talks_nonsense = False
            self.account, disk = self.faults.runs_as or self.address(), self.mounted_disk(data)
            self.watcher.starts(self.account, self.instance_id, len(disk.records()) if disk else 0)
        return ""

    def _chain_is_there(self) -> bool:
        if GETH in self.parts:
            self.start(GETH.service.unit)  # Wants=geth.service
        return self._chain_answers()

    def _chain_answers(self) -> bool:
        """Whether what livepeer reads its chain through is there: the machine's geth, or somebody else's RPC."""
        return self.unit(GETH.service.unit).active == "active" if GETH in self.parts else not self.faults.rpc_is_away

    def _fail(self, data: DataVolume, problem: str) -> None:
        unit = self.unit(data.service.unit)
        unit.active, unit.sub, unit.result, unit.pid = "failed", "failed", "exit-code", 0
        unit.since = self.clock.monotonic()
        self.journal.setdefault(data.service.unit, []).append(f"check-volume: refused: {problem}")

    def _volume_problem(self, data: DataVolume) -> str:
        """Return why the start-up check refuses the volume."""
        disk = self.mounted_disk(data)
        if disk is None:
            return f"nothing is mounted on {data.mount}"
        tree = disk.needed().tree
        entry = tree.get(f"/{MARKER}")
        if entry is None or json.loads(entry.data or b"{}").get("role") != data.role:
            return f"{data.mount}/{MARKER} is missing or of another role"
        for directory in data.directories:
            found = tree.get(directory.path[len(data.mount) :])
            if found is None or found.uid != data.service.id:
                return f"{directory.path} is missing or not writable"
        return self._key_problem(tree) if data is LIVEPEER else ""

    def _key_problem(self, tree: dict[str, Entry]) -> str:
        address = self.address()
        if not address:
            return "the volume has no Ethereum address yet"
        keys = [path for path in tree if path.startswith(KEYSTORE + "/") and path.endswith(address[2:])]
        return "" if keys else f"the keystore has no key of {address}"

    def address(self) -> str:
        """Return the address in the livepeer volume's marker."""
        disk = self.mounted_disk(LIVEPEER)
        entry = disk.needed().tree.get(f"/{MARKER}") if disk else None
        return str(json.loads(entry.data or b"{}").get("address", "")) if entry else ""

    def stop_takes(self, name: str) -> float:
        """Return for how many seconds a stop of this unit lasts."""
        running = self.unit(GETH.service.unit).active == "active"
        return self.faults.geth_stop_takes if running and name in (GETH.mount_unit, GETH.service.unit) else 0.0

    def stop(self, name: str) -> None:
        """Stop a unit; a mount stops its service first (BindsTo)."""
        for data in self.parts:
            if name in (data.mount_unit, data.service.unit):
                self._stop_service(data)
            if name == data.mount_unit and data.mount in self.mounts:
                self.cloud.disks[self.mounts.pop(data.mount)].unmount()

    def busy(self, name: str) -> str:
        """Return what systemctl says of a mount that somebody is looking into: its stop fails, and it stays mounted."""
        for data in self.parts:
            if name == data.mount_unit and self.faults.in_use.get(data.mount, 0):
                self.faults.in_use[data.mount] -= 1
                return f"Job for {name} failed.\n"
        return ""

    def _stop_service(self, data: DataVolume) -> None:
        self.units[data.service.unit] = Unit(since=self.clock.monotonic())
        if data is LIVEPEER:
            self.account = ""
            self.watcher.ends(self.instance_id)

    # programs

    def since_start(self, data: DataVolume) -> float:
        """Return for how many seconds a service has been running; negative when it is not."""
        unit = self.unit(data.service.unit)
        return self.clock.monotonic() - unit.since if unit.active == "active" else -1.0


def _label(disk: Disk) -> str:
    return disk.filesystem.label if disk.filesystem else ""
