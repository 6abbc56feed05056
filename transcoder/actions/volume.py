"""Steps about one data volume on one machine: see, check, format, mount, unmount, mark, make directories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from transcoder import guest, layout, tags
from transcoder.actions.attachment import VOLUME_BUDGET, the_attached_volume, the_volume
from transcoder.actions.guest import GuestStep, release_command
from transcoder.content import Content, judge
from transcoder.errors import Failed
from transcoder.facts import lsblk, marker
from transcoder.layout import DataVolume
from transcoder.model import BlockDevice, Instance, Marker, Volume
from transcoder.step import Step
from transcoder.world import Command, Host, Output, World

DEVICE_BUDGET = 120.0
"""Seconds for the guest to see a device that EC2 calls attached; up to 30 s have been published (dstack PR 4002)."""
DEVICE_POLL = 0.05
SYNC_BUDGET = 720.0
"""Seconds to write back what the page cache holds, and to unmount."""
BUSY_BUDGET = 10.0
"""Seconds for somebody who looks into a mounted volume, as the node's watch does now and then, to look away again."""
FSCK_BUDGET = 3600.0
FSCK_REPAIRED, FSCK_LEFT = 1, 4
"""e2fsck's exit code 1: errors were corrected; 0: clean. From 4 on the file system must not be mounted."""


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
        return guest.find_device(devices, the_attached_volume(world, self.volume.id))

    def needed_device(self, world: World) -> BlockDevice:
        """Return the device, which must be there."""
        device = self.device(world)
        if device is None:
            raise Failed(f"{self.instance.name} sees no device for {self.volume.id}", hint="fab status")
        return device

    def appeared(self, world: World) -> BlockDevice:
        """Wait until the machine sees the volume in its full size. EC2 is asked once: from here on only the machine
        is late.

        :raises Failed: when it does not within `DEVICE_BUDGET`.
        """
        volume = the_attached_volume(world, self.volume.id)
        found: list[BlockDevice] = []

        def look() -> bool:
            devices = self.host(world).run(*lsblk.COMMAND, sudo=False)
            device = guest.find_device(lsblk.parse_lsblk(devices.stdout), volume)
            if device is not None and device.size == volume.size_gib * guest.GIB:
                found.append(device)
            return bool(found)

        world.wait(f"see {self.describe_volume()} on {self.instance.name}", look, DEVICE_BUDGET, every=DEVICE_POLL)
        return found[0]

    def is_mounted_in(self, world: World, seen: Sequence[Output]) -> bool:
        """Tell whether the volume is mounted in its place, by answers to `LIST_MOUNTS` and `LIST_DEVICES`.

        :raises Failed: when something else is mounted there.
        """
        mounts, devices = guest.read_mounts(seen[0]), lsblk.parse_lsblk(seen[1].stdout)
        sources = [mount.source for mount in mounts if mount.target == self.data.mount]
        if not sources:
            return False
        device = guest.find_device(devices, the_attached_volume(world, self.volume.id))
        if device is None or sources[-1] != device.path:
            known = device.path if device else f"the device of {self.volume.id}, which the machine does not see"
            raise Failed(f"{self.data.mount} on {self.instance.name} is {sources[-1]}, not {known}", hint="fab status")
        return True

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
        self.appeared(world)


@dataclass(frozen=True, kw_only=True)
class CheckVolume(VolumeStep):
    """Prove that the device is the node's volume, and check its file system: never mount on a guess.

    The machine may see it later than EC2 calls it attached. ``thorough``: the file system is checked from end to end,
    also when it says that it is clean; for a volume that was taken from a machine which could not unmount it.
    """

    thorough: bool = False
    verb: ClassVar[str] = "check"

    @property
    def title(self) -> str:
        return f"check label, marker and file system of {self.describe_volume()}"

    def do(self, world: World) -> str:
        host = self.host(world)
        device = self.appeared(world)
        if self.data.mount in device.mountpoints:
            return "mounted already"
        seen = guest.inspect(host, device)
        verdict = judge(self.volume, seen, self.data, self.node)
        if verdict.content is not Content.OURS:
            self._tell_damage(host, seen)
            raise Failed(f"{self.describe_volume()} is not to be mounted: {verdict.reason}", hint=verdict.hint)
        options = ("-p", "-f") if self.thorough else ("-p",)
        output = host.run("e2fsck", *options, device.path, ok=(0, FSCK_REPAIRED, 4, 8, 12), timeout=FSCK_BUDGET)
        found = " / ".join(line.removeprefix(f"{device.path}: ") for line in output.stdout.strip().splitlines())
        if output.exit_code > FSCK_REPAIRED:
            raise self._damaged(device, f"e2fsck ended with {output.exit_code}: {found[-800:]}")
        return f"e2fsck: {found}"

    def _tell_damage(self, host: Host, seen: guest.Inspection) -> None:
        """Say so when a volume with our label has no marker because its file system is broken: nothing is written.

        :raises Failed: then.
        """
        if seen.signatures != ("ext4",) or seen.device.label != self.data.label:
            return
        look = ("e2fsck", "-n", "-f", seen.device.path)
        output = host.run(*look, ok=(0, FSCK_REPAIRED, 4, 8, 12), timeout=FSCK_BUDGET)
        if output.exit_code & FSCK_LEFT:
            raise self._damaged(seen.device, "its file system is damaged, so that its marker cannot be read")

    def _damaged(self, device: BlockDevice, how: str) -> Failed:
        way = f"take a snapshot of {self.volume.id}; on {self.instance.name}: sudo e2fsck -y {device.path}"
        return Failed(f"{self.describe_volume()}: {how}", hint=f"{way}; then the same command again")

    def verify(self, world: World) -> None:
        """The check is its own proof."""


@dataclass(frozen=True, kw_only=True)
class FormatVolume(VolumeStep):
    """Format a volume that is proven blank. The proof is taken again right before ``mkfs.ext4``."""

    may_format: bool = False
    verb: ClassVar[str] = "format"
    calls: ClassVar[tuple[str, ...]] = ("CreateTags",)

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
        # From here on what is on it is ours, also when this is broken off right after the format.
        world.cloud.tag(self.volume.id, {tags.BLANK: "yes"})
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
    looks_first: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"mount {self.data.label} at {self.data.mount} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        if not is_mounted(self.host(world), self.data):
            return False
        return self.is_mounted_in(world, self.host(world).run_all(guest.LIST_MOUNTS, guest.LIST_DEVICES, sudo=False))

    def do(self, world: World) -> None:
        start = Command(("systemctl", "start", self.data.mount_unit))
        *_, mounts, devices = self.host(world).run_all(
            release_command((self.data.mount_unit,)), start, guest.LIST_MOUNTS, guest.LIST_DEVICES, timeout=120
        )
        if not self.is_mounted_in(world, (mounts, devices)):
            raise Failed(
                f"{self.title}: started, but nothing is mounted there", hint=f"fab logs --unit {self.data.mount_unit}"
            )

    def verify(self, world: World) -> None:
        """What is mounted was looked at right after the start, in the same exchange."""


@dataclass(frozen=True, kw_only=True)
class Unmount(GuestStep):
    """Unmount a volume; its units are held first, so that nothing mounts it again."""

    data: DataVolume
    verb: ClassVar[str] = "unmount"
    looks_first: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"unmount {self.data.mount} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        return not is_mounted(self.host(world), self.data)

    def do(self, world: World) -> None:
        try:
            world.wait(self.title, lambda: self._unmounted(world), BUSY_BUDGET)
        except Failed as error:
            who = f"on {self.instance.name}, `sudo fuser -vm {self.data.mount}` says who"
            raise Failed(
                f"{error.message}: somebody has it open", hint=f"{who}; then the same command again"
            ) from error

    def _unmounted(self, world: World) -> bool:
        *_, mounts = self.host(world).run_all(
            Command(("sync", "--file-system", self.data.mount)),
            Command(("systemctl", "stop", self.data.mount_unit), ok=(0, 1)),
            guest.LIST_MOUNTS,
            timeout=SYNC_BUDGET,
        )
        return all(mount.target != self.data.mount for mount in guest.read_mounts(mounts))

    def verify(self, world: World) -> None:
        """What is mounted was looked at right after the stop, in the same exchange."""


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
