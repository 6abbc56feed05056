"""Steps that happen on a machine: hold units, see devices, check, format, mount, mark, make directories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transcoder import guest, layout, tags
from transcoder.actions.cloud import VOLUME_BUDGET, the_volume
from transcoder.content import Content, judge
from transcoder.errors import Failed, Unreachable
from transcoder.facts import lsblk, marker
from transcoder.layout import DataVolume
from transcoder.model import BlockDevice, Instance, Marker, Volume
from transcoder.step import Step
from transcoder.world import Host, World

DEVICE_BUDGET = 120.0
"""Seconds for the guest to see a device that EC2 calls attached; up to 30 s have been published (dstack PR 4002)."""
FSCK_BUDGET = 3600.0
FSCK_REPAIRED = 1
"""e2fsck's exit code 1: errors were corrected; 0: clean. From 4 on the file system must not be mounted."""


@dataclass(frozen=True, kw_only=True)
class GuestStep(Step):
    """A step on one machine."""

    instance: Instance

    def host(self, world: World) -> Host:
        """Return the machine."""
        return world.hosts(self.instance)


@dataclass(frozen=True, kw_only=True)
class WaitReachable(GuestStep):
    """Wait until the machine takes commands over SSH and has finished booting."""

    verb: ClassVar[str] = "reach"

    @property
    def title(self) -> str:
        return f"reach {self.instance.name} over SSH, booted"

    def is_done(self, world: World) -> bool:
        return has_booted(world, self.instance)

    def do(self, world: World) -> None:
        """Nothing to change: it boots by itself."""

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), world.settings.instance.reachable_budget_seconds)


def has_booted(world: World, instance: Instance) -> bool:
    """Tell whether the machine answers and systemd has come to the end of its boot (``degraded`` is one)."""
    try:
        state = world.hosts(instance).run("systemctl", "is-system-running", sudo=False, ok=(0, 1, 4)).stdout.strip()
    except Unreachable:
        return False
    return state in ("running", "degraded")


@dataclass(frozen=True, kw_only=True)
class HoldUnits(GuestStep):
    """Keep units from starting by themselves when a disk appears."""

    units: tuple[str, ...]
    verb: ClassVar[str] = "hold"

    @property
    def title(self) -> str:
        return f"hold {', '.join(self.units)} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        listed = self.host(world).run("ls", "-A", guest.HOLD_DIRECTORY, sudo=False, ok=(0, 2))
        return set(self.units) <= set(listed.stdout.split())

    def do(self, world: World) -> None:
        host = self.host(world)
        host.run("mkdir", "-p", guest.HOLD_DIRECTORY)
        host.run("touch", *(f"{guest.HOLD_DIRECTORY}/{unit}" for unit in self.units))


@dataclass(frozen=True, kw_only=True)
class ReleaseUnits(GuestStep):
    """Let units start by themselves again, as after a reboot."""

    units: tuple[str, ...]
    verb: ClassVar[str] = "release"

    @property
    def title(self) -> str:
        return f"release {', '.join(self.units)} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        listed = self.host(world).run("ls", "-A", guest.HOLD_DIRECTORY, sudo=False, ok=(0, 2))
        return not set(self.units) & set(listed.stdout.split())

    def do(self, world: World) -> None:
        release(self.host(world), self.units)


def release(host: Host, units: tuple[str, ...]) -> None:
    """Remove the hold of these units."""
    host.run("rm", "-f", *(f"{guest.HOLD_DIRECTORY}/{unit}" for unit in units))


@dataclass(frozen=True)
class Place:
    """A node's data volume at a machine."""

    instance: Instance
    volume: Volume
    data: DataVolume
    node: str


@dataclass(frozen=True, kw_only=True)
class VolumeStep(Step):
    """A step about one data volume on one machine."""

    place: Place

    @property
    def instance(self) -> Instance:
        """The machine."""
        return self.place.instance

    @property
    def volume(self) -> Volume:
        """The volume, as it was when the plan was made."""
        return self.place.volume

    @property
    def data(self) -> DataVolume:
        """Its part in the layout."""
        return self.place.data

    @property
    def node(self) -> str:
        """The node it belongs to."""
        return self.place.node

    def host(self, world: World) -> Host:
        """Return the machine."""
        return world.hosts(self.instance)

    def device(self, world: World) -> BlockDevice | None:
        """Return the device the guest sees for the volume as EC2 has it now."""
        devices = lsblk.parse_lsblk(self.host(world).run(*lsblk.COMMAND, sudo=False).stdout)
        return guest.find_device(devices, the_volume(world, self.volume.id))

    def needed_device(self, world: World) -> BlockDevice:
        """Return the device, which must be there."""
        device = self.device(world)
        if device is None:
            raise Failed(f"{self.instance.name} sees no device for {self.volume.id}", hint="fab status")
        return device

    def describe_volume(self) -> str:
        return f"{self.volume.id} ({self.data.label})"


@dataclass(frozen=True, kw_only=True)
class SeeDevice(VolumeStep):
    """Wait until the machine sees the volume as a device of the right size."""

    verb: ClassVar[str] = "see"

    @property
    def title(self) -> str:
        return f"see {self.describe_volume()} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        device = self.device(world)
        return device is not None and device.size == self.volume.size_gib * guest.GIB

    def do(self, world: World) -> None:
        """Nothing to change: the kernel announces the device."""

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), DEVICE_BUDGET)


@dataclass(frozen=True, kw_only=True)
class CheckVolume(VolumeStep):
    """Prove that the device is the node's volume, and check its file system: never mount on a guess."""

    verb: ClassVar[str] = "check"

    @property
    def title(self) -> str:
        return f"check label, marker and file system of {self.describe_volume()}"

    def is_done(self, world: World) -> bool:
        return is_mounted(self.host(world), self.data)

    def do(self, world: World) -> None:
        host, device = self.host(world), self.needed_device(world)
        verdict = judge(self.volume, guest.inspect(host, device), self.data, self.node)
        if verdict.content is not Content.OURS:
            raise Failed(f"{self.describe_volume()} is not to be mounted: {verdict.reason}", hint=verdict.hint)
        output = host.run("e2fsck", "-p", device.path, ok=(0, FSCK_REPAIRED, 4, 8), timeout=FSCK_BUDGET)
        if output.exit_code > FSCK_REPAIRED:
            raise Failed(
                f"{self.describe_volume()}: e2fsck ended with {output.exit_code}: {output.stdout.strip()[-800:]}",
                hint=f"take a snapshot, then on {self.instance.name}: sudo e2fsck {device.path}",
            )

    def verify(self, world: World) -> None:
        """The check is its own proof."""


@dataclass(frozen=True, kw_only=True)
class FormatVolume(VolumeStep):
    """Format a volume that is proven blank. The proof is taken again right before ``mkfs.ext4``."""

    may_format: bool = False
    verb: ClassVar[str] = "format"

    @property
    def title(self) -> str:
        return f"format {self.describe_volume()} with ext4 (proven blank)"

    def is_done(self, world: World) -> bool:
        return self._content(world) in (Content.UNFINISHED, Content.OURS)

    def do(self, world: World) -> None:
        # mkfs.ext4 off a terminal overwrites a file system without a word, so the proof must be ours, and fresh.
        content = self._content(world)
        if content is not Content.BLANK:
            raise Failed(
                f"{self.describe_volume()} is not blank any more: {content.value}", hint="fab attach --dry-run"
            )
        device = self.needed_device(world)
        command = ("mkfs.ext4", "-q", "-m", "0", "-L", self.data.label, device.path)
        self.host(world).run(*command, timeout=FSCK_BUDGET)
        self.host(world).run("udevadm", "settle", "--timeout=30")

    def _content(self, world: World) -> Content:
        seen = guest.inspect(self.host(world), self.needed_device(world))
        volume = the_volume(world, self.volume.id)
        return judge(volume, seen, self.data, self.node, may_format=self.may_format).content


@dataclass(frozen=True, kw_only=True)
class Mount(VolumeStep):
    """Mount the volume by its label through its systemd unit."""

    verb: ClassVar[str] = "mount"

    @property
    def title(self) -> str:
        return f"mount {self.data.label} at {self.data.mount} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        host = self.host(world)
        sources = [mount.source for mount in guest.observe_mounts(host) if mount.target == self.data.mount]
        if not sources:
            return False
        device = self.needed_device(world)
        if sources[-1] != device.path:
            raise Failed(f"{self.data.mount} on {self.instance.name} is {sources[-1]}, not {device.path}")
        return True

    def do(self, world: World) -> None:
        release(self.host(world), (self.data.mount_unit,))
        self.host(world).run("systemctl", "start", self.data.mount_unit)


@dataclass(frozen=True, kw_only=True)
class Unmount(GuestStep):
    """Unmount a volume; its units are held first, so that nothing mounts it again."""

    data: DataVolume
    verb: ClassVar[str] = "unmount"

    @property
    def title(self) -> str:
        return f"unmount {self.data.mount} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        return not is_mounted(self.host(world), self.data)

    def do(self, world: World) -> None:
        host = self.host(world)
        host.run("sync", "--file-system", self.data.mount, timeout=600)
        host.run("systemctl", "stop", self.data.mount_unit, timeout=120)


@dataclass(frozen=True, kw_only=True)
class Mark(VolumeStep):
    """Write the marker: this volume belongs to this node. Only on a volume that has just been formatted or adopted."""

    address: str = ""
    verb: ClassVar[str] = "mark"

    @property
    def title(self) -> str:
        return f"mark {self.describe_volume()} as node {self.node}'s"

    calls: ClassVar[tuple[str, ...]] = ("CreateTags", "DeleteTags")

    def is_done(self, world: World) -> bool:
        found = guest.read_marker(self.host(world), self.data)
        volume = the_volume(world, self.volume.id)
        return found == self._wanted(found) and is_tagged(volume, found, world.settings.name)

    def do(self, world: World) -> None:
        host = self.host(world)
        found = guest.read_marker(host, self.data)
        wanted = self._wanted(found)
        if found != wanted:
            write_marker(host, self.data, wanted)
        world.cloud.tag(self.volume.id, volume_tags(wanted, world.settings.name))
        world.cloud.untag(self.volume.id, [tags.BLANK])

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), VOLUME_BUDGET)

    def _wanted(self, found: Marker | None) -> Marker:
        """Return the marker as it is to be: an address that is on it stays when none is given."""
        return Marker(self.node, self.data.role, self.address or (found.address if found else ""))


def volume_tags(content: Marker, environment: str) -> dict[str, str]:
    """Return the EC2 tags of a volume with this marker."""
    known = {tags.ADDRESS: content.address} if content.address else {}
    return {tags.ENVIRONMENT: environment, tags.NODE: content.node, tags.ROLE: content.role, **known}


def is_tagged(volume: Volume, content: Marker | None, environment: str) -> bool:
    """Tell whether EC2's tags say what the volume's marker says; they are written after it."""
    if content is None or tags.BLANK in volume.tags:
        return False
    return all(volume.tags.get(key) == value for key, value in volume_tags(content, environment).items())


def write_marker(host: Host, data: DataVolume, content: Marker) -> None:
    """Write the marker of a mounted volume: to a temporary name, synced, then renamed."""
    path = f"{data.mount}/{layout.MARKER}"
    temporary = f"{path}.new"
    host.run("install", "-m", "0644", "/dev/stdin", temporary, stdin=marker.render_marker(content).decode())
    host.run("sync", temporary)
    host.run("mv", "--no-target-directory", temporary, path)
    host.run("sync", "--file-system", data.mount)


@dataclass(frozen=True, kw_only=True)
class MakeDirectories(VolumeStep):
    """Make the directories of the layout with their owners."""

    verb: ClassVar[str] = "layout"

    @property
    def title(self) -> str:
        return f"make {', '.join(directory.path for directory in self.data.directories)}"

    def is_done(self, world: World) -> bool:
        return guest.has_directories(self.host(world), self.data)

    def do(self, world: World) -> None:
        owner = str(self.data.service.id)
        for directory in self.data.directories:
            self.host(world).run("install", "-d", "-o", owner, "-g", owner, "-m", directory.mode, directory.path)


def is_mounted(host: Host, data: DataVolume) -> bool:
    """Tell whether the volume's mount point is mounted now."""
    return any(mount.target == data.mount for mount in guest.observe_mounts(host))
