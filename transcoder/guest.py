"""Look at a machine: its disks, mounts and services, and what a volume holds. Reads only, never mounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transcoder import layout, tags
from transcoder.errors import Failed
from transcoder.facts import blkid, findmnt, lsblk, marker, systemctl, wipefs
from transcoder.layout import DataVolume
from transcoder.model import BlockDevice, Marker, Mount, ServiceState, Volume
from transcoder.world import Command, Host, Output

HOLD_DIRECTORY = "/run/transcoder/hold"
"""A unit with a file of its name in here does not start (``ConditionPathExists=!`` in its unit file). On tmpfs: a
reboot forgets it, and then the machine that has the volume runs the node."""
MIB = 1024 * 1024
GIB = 1024 * MIB
UNITS = tuple(unit for volume in layout.VOLUMES for unit in (volume.mount_unit, volume.service.unit))
"""Looked at on every machine, also where a node has no geth: systemd calls what is not there ``not-found``."""


@dataclass(frozen=True)
class Guest:
    """A machine as it was seen: block devices, mounts, the node's units and which of them are held."""

    devices: tuple[BlockDevice, ...]
    mounts: tuple[Mount, ...]
    services: tuple[ServiceState, ...]
    held: frozenset[str]

    def service(self, unit: str) -> ServiceState:
        """Return the state of a unit; one systemd does not know is ``not-found``."""
        found = [state for state in self.services if state.unit == unit]
        return found[0] if found else ServiceState(unit, "not-found", "inactive", "dead")

    def mounted(self, target: str) -> bool:
        """Tell whether something is mounted at ``target``."""
        return any(mount.target == target for mount in self.mounts)

    def device_of(self, volume: Volume) -> BlockDevice | None:
        """Return the device that is this volume, see `find_device`."""
        return find_device(self.devices, volume)


@dataclass(frozen=True)
class Inspection:
    """What a volume holds. ``signatures`` of file systems and partition tables; ``zero_ends``: its first and last
    MiB are all zero; ``entries``: names in the root of its ext file system, of one with a marker that alone."""

    device: BlockDevice
    signatures: tuple[str, ...]
    partition_table: str
    zero_ends: bool
    marker: Marker | None
    marker_problem: str
    entries: tuple[str, ...]


def observe(host: Host) -> Guest:
    """Look at a machine.

    :raises Unreachable: when it does not answer.
    """
    devices, mounts, units, held = host.run_all(
        LIST_DEVICES, LIST_MOUNTS, Command(systemctl.command(*UNITS)), LIST_HELD, sudo=False
    )
    services = systemctl.parse_systemctl(units.stdout)
    return Guest(lsblk.parse_lsblk(devices.stdout), read_mounts(mounts), services, frozenset(held.stdout.split()))


LIST_DEVICES = Command(lsblk.COMMAND)
LIST_MOUNTS = Command(findmnt.COMMAND, ok=(0, 1))
LIST_HELD = Command(("ls", "-A", HOLD_DIRECTORY), ok=(0, 2))


def read_mounts(output: Output) -> tuple[Mount, ...]:
    """Return the mounts of an answer to `LIST_MOUNTS`."""
    return findmnt.parse_findmnt(output.stdout, exit_code=output.exit_code)


def observe_mounts(host: Host) -> tuple[Mount, ...]:
    """Look at what is mounted on a machine."""
    return read_mounts(host.run(*LIST_MOUNTS.argv, sudo=False, ok=LIST_MOUNTS.ok))


def find_device(devices: Sequence[BlockDevice], volume: Volume) -> BlockDevice | None:
    """Return the device that is ``volume``, or None while the guest does not see it.

    Nitro gives the volume id as serial. Xen gives none: there it is the only device with the label that the volume's
    role has, else the one with the name of the attachment (``/dev/sdg`` is ``/dev/xvdg``), since a kernel may name
    disks in another order; the marker on it is the proof, before anything is mounted.
    """
    serial = volume.id.replace("-", "")
    by_serial = [device for device in devices if device.serial.replace("-", "") == serial]
    if by_serial:
        return by_serial[0]
    if volume.attachment is None:
        return None
    strangers = [device for device in devices if not device.serial and device.size == volume.size_gib * GIB]
    labelled = [device for device in strangers if device.label and device.label == _label(volume)]
    xen = volume.attachment.device.replace("/dev/sd", "/dev/xvd")
    named = [device for device in strangers if device.path in (xen, volume.attachment.device)]
    found = labelled if len(labelled) == 1 else named
    return found[0] if found else None


def _label(volume: Volume) -> str:
    role = volume.tags.get(tags.ROLE)
    return next((data.label for data in layout.VOLUMES if data.role == role), "")


def inspect(host: Host, device: BlockDevice) -> Inspection:
    """Look at what is on a device without mounting it and without writing a byte.

    ``blkid`` alone proves nothing: it ends with 2 for a blank disk and for a missing path alike.
    """
    # debugfs ends with 1 where there is no ext file system, and with 0 for a file that is not there: what it says
    # counts only where the others have found one.
    probe, marked = host.run_all(
        Command(blkid.command(device.path), ok=(0, 2, blkid.AMBIVALENT)),
        Command(("debugfs", "-R", f"cat /{layout.MARKER}", device.path), ok=(0, 1)),
    )
    found = blkid.parse_blkid(probe.stdout, exit_code=probe.exit_code)
    table = found.type if isinstance(found, blkid.PartitionTable) else ""
    fstype = found.type if isinstance(found, blkid.FileSystem) else ""
    label = found.label if isinstance(found, blkid.FileSystem) else ""
    text, problem, entries = _read_root(host, device, marked.stdout) if fstype.startswith("ext") else (None, "", ())
    # A marker proves what it is; whatever has none is looked at with a second pair of eyes.
    signatures = () if text else wipefs.parse_wipefs(host.run(*wipefs.command(device.path)).stdout)
    names = tuple(dict.fromkeys([*([fstype] if fstype else []), *(s.type for s in signatures)]))
    seen = BlockDevice(device.path, device.size, device.serial, fstype, label, device.uuid, device.mountpoints)
    zero = not names and not table and _zero_ends(host, device)  # what has a signature needs no further look
    return Inspection(seen, names, table, zero, text, problem, entries)


def _zero_ends(host: Host, device: BlockDevice) -> bool:
    starts = (0, max(0, device.size - MIB))
    compare = ("cmp", "--quiet", f"--bytes={MIB}")
    codes = [
        host.run(*compare, f"--ignore-initial={start}:0", device.path, "/dev/zero", ok=(0, 1)).exit_code
        for start in starts
    ]
    return codes == [0, 0]


def _read_root(host: Host, device: BlockDevice, text: str) -> tuple[Marker | None, str, tuple[str, ...]]:
    """Return the marker of an ext file system, what is wrong with it, and the names beside it where that matters.

    :param text: what debugfs has printed of the marker's file; nothing where there is none.
    """
    problem = ""
    if text:
        try:
            return marker.parse_marker(text.encode()), "", (layout.MARKER,)
        except Failed as error:
            problem = error.message
    names = host.run("debugfs", "-R", "ls -p /", device.path, ok=(0, 1)).stdout
    # A line of `ls -p` is /inode/mode/uid/gid/name/size/.
    entries = tuple(line.split("/")[5] for line in names.splitlines() if line.count("/") >= 6)
    if not problem and layout.MARKER in entries:
        problem = "the marker is empty"
    return None, problem, entries


def read_marker(host: Host, volume: DataVolume) -> Marker | None:
    """Read the marker of a mounted volume; None where there is none."""
    output = host.run("cat", f"{volume.mount}/{layout.MARKER}", ok=(0, 1))
    return marker.parse_marker(output.stdout.encode()) if output.exit_code == 0 else None


def has_directories(host: Host, data: DataVolume) -> bool:
    """Tell whether the directories of the layout are there, with their owners and modes."""
    paths = [directory.path for directory in data.directories]
    output = host.run("stat", "--format=%u:%g %a", *paths, ok=(0, 1))
    owner = f"{data.service.id}:{data.service.id}"
    wanted = [f"{owner} {int(directory.mode, 8):o}" for directory in data.directories]
    return output.exit_code == 0 and output.stdout.splitlines() == wanted
