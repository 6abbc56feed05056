"""Steps that detach and attach a volume, with EC2's habits: states that take time, reads that lag, names that stick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from transcoder import tags
from transcoder.errors import Failed, NameTaken, NotReady
from transcoder.model import Instance, Volume
from transcoder.step import Step
from transcoder.world import ApiCall, World

T = TypeVar("T")

VOLUME_BUDGET = 120.0
"""Seconds for a volume to change its state; EC2 takes 1-4 s, 30 min have been seen (kubernetes#32881)."""
STUCK_ATTACHING = 90.0
"""Seconds after which an ``attaching`` is given up and another device name is tried (aws-ebs-csi-driver PR 2833)."""
FORCE_AFTER = 20.0
"""Seconds that a detach gets although the operator has said that it may be forced."""
LAG = 5.0
"""Seconds for which what exists may be missing in a read: EC2 is eventually consistent."""


def looked_up(world: World, read: Callable[[], Sequence[T]]) -> Sequence[T]:
    """Return what ``read`` finds; nothing only when it finds nothing for `LAG` seconds."""
    started = world.clock.monotonic()
    while not (found := read()) and world.clock.monotonic() - started < LAG:
        world.clock.sleep(1.0)
    return found


def agreed(world: World, probe: Callable[[], bool]) -> bool:
    """Tell whether two reads in a row agree that it is so: one read may be of an earlier state."""
    if not probe():
        return False
    world.clock.sleep(0.5)
    return probe()


def the_volume(world: World, volume_id: str) -> Volume:
    """Return a volume that must exist.

    :raises Failed: when EC2 does not know it, and goes on not knowing it.
    """
    found = looked_up(world, lambda: world.cloud.volumes(ids=[volume_id]))
    if not found:
        raise Failed(f"volume {volume_id} is gone", hint="fab status")
    return found[0]


def the_attached_volume(world: World, volume_id: str) -> Volume:
    """Return a volume that has just been attached: a read of the time before is read again, for `LAG` seconds.

    :raises Failed: when EC2 does not know it.
    """
    found = looked_up(world, lambda: [volume for volume in world.cloud.volumes(ids=[volume_id]) if volume.attachment])
    return found[0] if found else the_volume(world, volume_id)


def _is_free(world: World, volume_id: str) -> bool:
    volume = the_volume(world, volume_id)
    return volume.attachment is None and volume.state == "available"


@dataclass(frozen=True, kw_only=True)
class DetachVolume(Step):
    """Detach a volume from one instance and wait until EC2 says it is free.

    ``force``: only for a volume that the operator has named. It is asked in order first.
    """

    volume: Volume
    instance: Instance
    label: str
    force: bool = False
    verb: ClassVar[str] = "detach"
    calls: ClassVar[tuple[str, ...]] = ("DetachVolume",)

    @property
    def title(self) -> str:
        how = f", by force after {FORCE_AFTER:.0f} s" if self.force else ""
        return f"detach {self.volume.id} ({self.label}) from {self.instance.name}{how}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        return (ApiCall("DetachVolume", {"VolumeId": self.volume.id, "InstanceId": self.instance.id}),)

    def is_done(self, world: World) -> bool:
        return agreed(world, lambda: self._has_left(world))

    def do(self, world: World) -> str | None:
        world.cloud.detach(self.volume.id, self.instance.id)
        if not self.force:
            return None
        try:
            world.wait(self.title, lambda: _is_free(world, self.volume.id), FORCE_AFTER)
        except Failed:
            world.cloud.force_detach(self.volume.id, self.instance.id)
            return "forced, as you said: the file system is checked before it is mounted again"
        return "force was not needed"

    def verify(self, world: World) -> None:
        try:
            # The next attachment is the second witness: EC2 refuses to attach what it has not let go of.
            world.wait(f"{self.title}: free", lambda: _is_free(world, self.volume.id), VOLUME_BUDGET)
        except Failed as error:
            volume = the_volume(world, self.volume.id)
            seen = volume.attachment.state if volume.attachment else volume.state
            raise Failed(f"{error.message}; EC2 says {seen!r}", hint=self._way_on(seen)) from error

    def _way_on(self, seen: str) -> str:
        if seen == "busy":
            return "busy means that the machine still has it open: `fab status`, then the same command again"
        if self.force:
            return "EC2 does not let go even by force: stop the instance (or open a case with AWS), then run it again"
        return (
            "the same command again waits on; when nothing on that machine uses it any more and EC2 goes on like "
            f"this, add: --force-detach {self.volume.id}"
        )

    def _has_left(self, world: World) -> bool:
        bond = the_volume(world, self.volume.id).attachment
        return bond is None or bond.instance_id != self.instance.id


@dataclass(frozen=True, kw_only=True)
class AttachVolume(Step):
    """Attach a free volume to an instance and wait until EC2 says ``attached`` for that very instance.

    ``spares`` are the device names to try when EC2 does not come to an end with ``device``: a name that was in use
    before can stay ``attaching`` for ever (kubernetes#31891). A name that failed is remembered in a tag of the
    instance and not used again.
    """

    volume: Volume
    instance: Instance
    device: str
    label: str
    spares: tuple[str, ...] = ()
    verb: ClassVar[str] = "attach"
    calls: ClassVar[tuple[str, ...]] = ("AttachVolume", "DetachVolume", "CreateTags")

    @property
    def title(self) -> str:
        return f"attach {self.volume.id} ({self.label}) to {self.instance.name} as {self.device}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        wanted = {"VolumeId": self.volume.id, "InstanceId": self.instance.id, "Device": self.device}
        return (ApiCall("AttachVolume", wanted),)

    def is_done(self, world: World) -> bool:
        return the_volume(world, self.volume.id).attached_to(self.instance.id)

    def do(self, world: World) -> str | None:
        failed: list[str] = []
        for device in (self.device, *self.spares):
            name = self._begin(world, device)
            if name and self._ends(world):
                return f"as {name}: EC2 did not come to an end with {', '.join(failed)}" if failed else None
            if name:
                self._take_back(world)
            failed.append(name or device)
            self._remember(world, failed)
        raise Failed(
            f"{self.title}: EC2 came to no end with any of the device names {', '.join(failed)}",
            hint="migrate to another instance: fab migrate --to new",
        )

    def verify(self, world: World) -> None:
        world.wait(f"{self.title}: attached", lambda: self.is_done(world), VOLUME_BUDGET)

    def _begin(self, world: World, device: str) -> str:
        """Have it attached as ``device``, or as what it is on its way already; empty when that name is taken."""
        try:
            return world.wait(
                f"{self.volume.id} ({self.label}) free to be attached to {self.instance.name}",
                lambda: self._try(world, device),
                VOLUME_BUDGET,
            )
        except NameTaken:
            return ""
        except Failed as error:
            bond = the_volume(world, self.volume.id).attachment
            where = f"; it is {bond.state} at {bond.instance_id}" if bond else ""
            raise Failed(f"{error.message}{where}", hint="fab status") from error

    def _try(self, world: World, device: str) -> str:
        """Attach when EC2 has it free, by what it says now or by what it answers; a read may be of an earlier state."""
        volume = the_volume(world, self.volume.id)
        bond = volume.attachment
        if bond is not None and bond.instance_id == self.instance.id and bond.state in ("attaching", "attached"):
            return bond.device
        if bond is not None or volume.state != "available":
            return ""
        try:
            world.cloud.attach(self.volume.id, self.instance.id, device)
        except NotReady:
            return ""
        return device

    def _ends(self, world: World) -> bool:
        try:
            return world.wait(self.title, lambda: self.is_done(world), STUCK_ATTACHING)
        except Failed:
            return False

    def _take_back(self, world: World) -> None:
        world.cloud.detach(self.volume.id, self.instance.id)
        world.wait(
            f"{self.volume.id} ({self.label}) taken back", lambda: _is_free(world, self.volume.id), VOLUME_BUDGET
        )

    def _remember(self, world: World, failed: Sequence[str]) -> None:
        known = bad_devices(self.instance)
        world.cloud.tag(self.instance.id, {tags.BAD_DEVICES: ",".join(dict.fromkeys([*known, *failed]))})


DEVICES = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")
"""The names that AWS recommends for EBS volumes (EC2 User Guide, "Device names on Linux instances")."""


def bad_devices(instance: Instance) -> tuple[str, ...]:
    """Return the device names that have failed at this instance."""
    return tuple(name for name in instance.tags.get(tags.BAD_DEVICES, "").split(",") if name)


def device_names(instance: Instance, preferred: str, others: Sequence[str], volume_id: str) -> tuple[str, ...]:
    """Return the names under which a volume can be attached to an instance, the one to try first at the front.

    :param preferred: the environment's name for it.
    :param others: the names that the environment gives to other volumes; two lanes must not pick the same spare, so
        each takes its own half of what is left.
    """
    taken = {_place(name) for name, holder in instance.devices.items() if holder != volume_id}
    bad = {_place(name) for name in bad_devices(instance)}
    left = [name for name in DEVICES if name not in (preferred, *others)]
    half = left[0::2] if all(preferred < other for other in others) else left[1::2]
    return tuple(name for name in (preferred, *half) if _place(name) not in taken | bad)


def _place(device: str) -> str:
    """Return what a device name stands for: /dev/sdg and /dev/xvdg are the same place."""
    return device.removeprefix("/dev/").replace("xvd", "sd", 1)
