"""EC2 in memory: state changes take simulated time, and what EC2 refuses is refused here."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.simulated.clock import SimulatedClock
from tests.simulated.disk import Disk, blank
from transcoder.errors import Failed
from transcoder.model import Attachment, ElasticIp, Image, Instance, Volume
from transcoder.world import LaunchRequest, Lock, VolumeRequest

ROOT = "/dev/sda1"
READS = frozenset({"instances", "volumes", "addresses", "images", "stock_image", "lock_holder"})
CREATING, ATTACHING, DETACHING, LAUNCHING, TERMINATING = 1.0, 1.5, 1.5, 6.0, 3.0
"""Seconds that EC2 takes for each of them."""

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """One call of the API."""

    name: str
    arguments: tuple[object, ...]

    @property
    def changes_something(self) -> bool:
        """Whether it is more than a look."""
        return self.name not in READS


class Answer(Failed):
    """EC2 says no, with its own code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class SimulatedCloud:
    """Implements `transcoder.world.Cloud`.

    :param is_mounted: asked whether a machine has a volume mounted: then a detach stays ``busy``.
    """

    def __init__(self, clock: SimulatedClock, lock: threading.RLock) -> None:
        self._clock, self._lock = clock, lock
        self._numbers = itertools.count(1)
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._tokens: dict[str, str] = {}
        self.machines: dict[str, Instance] = {}
        self.disks: dict[str, Disk] = {}
        self.blocks: dict[str, Volume] = {}
        self.elastic: dict[str, ElasticIp] = {}
        self.amis: dict[str, Image] = {}
        self.locks: dict[str, Lock] = {}
        self.calls: list[Call] = []
        self.is_mounted: Callable[[str, str], bool] = lambda _instance, _volume: False
        clock.listen(self.catch_up)

    # what happens by itself

    def catch_up(self) -> None:
        """Let everything happen whose time has come."""
        with self._lock:
            now = self._clock.monotonic()
            for entry in sorted((e for e in self._due if e[0] <= now), key=lambda e: e[0]):
                self._due.remove(entry)
                entry[1]()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._due.append((self._clock.monotonic() + seconds, act))

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers):017x}"

    def _enter(self, name: str, *arguments: object) -> None:
        self.calls.append(Call(name, arguments))

    @property
    def mutations(self) -> list[Call]:
        """The calls that were more than looks."""
        return [call for call in self.calls if call.changes_something]

    def state(self) -> tuple[object, ...]:
        """Return all that EC2 knows, to compare before and after."""
        everything = (self.machines, self.blocks, self.elastic, self.amis, self.locks)
        return tuple(sorted((key, repr(value)) for table in everything for key, value in table.items()))

    # looks

    def instances(self, *, ids: Sequence[str] = (), tags: Tags | None = None) -> tuple[Instance, ...]:
        with self._lock:
            self._enter("instances", tuple(ids), dict(tags or {}))
            return tuple(i for i in self.machines.values() if _wanted(i.id, i.tags, ids, tags))

    def volumes(self, *, ids: Sequence[str] = (), tags: Tags | None = None) -> tuple[Volume, ...]:
        with self._lock:
            self._enter("volumes", tuple(ids), dict(tags or {}))
            return tuple(v for v in self.blocks.values() if _wanted(v.id, v.tags, ids, tags))

    def addresses(self, *, tags: Tags | None = None) -> tuple[ElasticIp, ...]:
        with self._lock:
            self._enter("addresses", dict(tags or {}))
            return tuple(a for a in self.elastic.values() if _wanted(a.allocation_id, a.tags, (), tags))

    def images(self, *, ids: Sequence[str] = (), tags: Tags | None = None) -> tuple[Image, ...]:
        with self._lock:
            self._enter("images", tuple(ids), dict(tags or {}))
            found = [image for image in self.amis.values() if _wanted(image.id, image.tags, ids, tags)]
            return tuple(sorted(found, key=lambda image: (image.created, image.id)))

    def stock_image(self) -> Image:
        raise AssertionError("no recipe asks for the stock image")

    # instances

    def launch(self, request: LaunchRequest) -> Instance:
        with self._lock:
            self._enter("launch", request)
            if request.token in self._tokens:
                return self.machines[self._tokens[request.token]]
            instance = self._make(request)
            self._tokens[request.token] = instance.id
            self._later(LAUNCHING, lambda: self._change_machine(instance.id, state="running"))
            return instance

    def _make(self, request: LaunchRequest) -> Instance:
        if request.image_id not in self.amis:
            raise Answer("InvalidAMIID.NotFound", request.image_id)
        number = len(self.machines) + 10
        instance = Instance(
            id=self._new_id("i"),
            state="pending",
            zone=request.zone,
            image_id=request.image_id,
            type="c4.2xlarge",
            private_ip=f"172.31.0.{number}",
            public_ip=f"203.0.113.{number}",
            launched=str(self._clock.now()),
            tags=dict(request.tags),
        )
        self.machines[instance.id] = instance
        root = self.add_volume(blank(32), request.zone, request.tags)  # RunInstances tags it like the instance
        self.bond(root.id, instance.id, ROOT, "attached")
        return self.machines[instance.id]

    def _change_machine(self, instance_id: str, **changes: object) -> None:
        if instance_id in self.machines:
            self.machines[instance_id] = replace(self.machines[instance_id], **changes)  # type: ignore[arg-type]

    def set_state(self, instance_id: str, state: str) -> None:
        """Put an instance into a state, as an operator or a failure outside would."""
        with self._lock:
            self._change_machine(instance_id, state=state)

    def terminate(self, instance_id: str) -> None:
        with self._lock:
            self._enter("terminate", instance_id)
            self._change_machine(instance_id, state="shutting-down")
            self._later(TERMINATING, lambda: self._end(instance_id))

    def _end(self, instance_id: str) -> None:
        for volume in list(self.blocks.values()):
            bond = volume.attachment
            if bond is None or bond.instance_id != instance_id:
                continue
            if bond.device == ROOT:
                del self.blocks[volume.id], self.disks[volume.id]
            else:
                self.blocks[volume.id] = replace(volume, state="available", attachment=None)
        self.machines.pop(instance_id, None)

    # volumes

    def create_volume(self, request: VolumeRequest) -> Volume:
        with self._lock:
            self._enter("create_volume", request)
            if request.token in self._tokens:
                return self.blocks[self._tokens[request.token]]
            volume = self.add_volume(blank(request.size_gib), request.zone, request.tags, state="creating")
            self._tokens[request.token] = volume.id
            self._later(CREATING, lambda: self._change_volume(volume.id, state="available"))
            return volume

    def add_volume(self, disk: Disk, zone: str, tags: Tags, *, state: str = "available", snapshot: str = "") -> Volume:
        """Put a volume there, as if it had been made earlier."""
        volume = Volume(
            id=self._new_id("vol"),
            zone=zone,
            size_gib=disk.size // 1024**3,
            state=state,
            snapshot_id=snapshot,
            encrypted=True,
            tags=dict(tags),
        )
        self.blocks[volume.id], self.disks[volume.id] = volume, disk
        return volume

    def _change_volume(self, volume_id: str, **changes: object) -> None:
        self.blocks[volume_id] = replace(self.blocks[volume_id], **changes)  # type: ignore[arg-type]

    def attach(self, volume_id: str, instance_id: str, device: str) -> None:
        with self._lock:
            self._enter("attach", volume_id, instance_id, device)
            volume, instance = self._volume(volume_id), self._instance(instance_id)
            if volume.state == "in-use":
                raise Answer("VolumeInUse", f"{volume_id} is already attached to an instance")
            if volume.state != "available":
                raise Answer("IncorrectState", f"{volume_id} is not 'available'")
            if volume.zone != instance.zone:
                raise Answer("InvalidVolume.ZoneMismatch", f"{volume_id} is not in {instance.zone}")
            if instance.state not in ("running", "stopped"):
                raise Answer("IncorrectState", f"{instance_id} is not 'running'")
            if device in instance.devices:
                raise Answer("InvalidParameterValue", f"device {device} is already in use")
            self.bond(volume_id, instance_id, device, "attaching")
            self._later(ATTACHING, lambda: self.bond(volume_id, instance_id, device, "attached"))

    def bond(self, volume_id: str, instance_id: str, device: str, state: str) -> None:
        """Make the volume's attachment what is said here."""
        with self._lock:
            self._change_volume(volume_id, state="in-use", attachment=Attachment(instance_id, device, state))
            self._change_machine(instance_id, devices={**self.machines[instance_id].devices, device: volume_id})

    def detach(self, volume_id: str, instance_id: str) -> None:
        with self._lock:
            self._enter("detach", volume_id, instance_id)
            bond = self._volume(volume_id).attachment
            if bond is None or bond.instance_id != instance_id:
                return  # EC2: IncorrectState, InvalidAttachment.NotFound; our cloud takes both as "detached already"
            self.bond(volume_id, instance_id, bond.device, "detaching")
            self._later(DETACHING, lambda: self._let_go(volume_id, instance_id))

    def _let_go(self, volume_id: str, instance_id: str) -> None:
        bond = self.blocks[volume_id].attachment
        if bond is None or bond.instance_id != instance_id or bond.state not in ("detaching", "busy"):
            return
        if self.is_mounted(instance_id, volume_id):
            self.bond(volume_id, instance_id, bond.device, "busy")
            self._later(DETACHING, lambda: self._let_go(volume_id, instance_id))
            return
        self._change_volume(volume_id, state="available", attachment=None)
        kept = {name: volume for name, volume in self.machines[instance_id].devices.items() if volume != volume_id}
        self._change_machine(instance_id, devices=kept)

    def _volume(self, volume_id: str) -> Volume:
        if volume_id not in self.blocks:
            raise Answer("InvalidVolume.NotFound", volume_id)
        return self.blocks[volume_id]

    def _instance(self, instance_id: str) -> Instance:
        if instance_id not in self.machines:
            raise Answer("InvalidInstanceID.NotFound", instance_id)
        return self.machines[instance_id]

    # addresses, tags, locks

    def allocate_address(self, tags: Tags) -> ElasticIp:
        with self._lock:
            self._enter("allocate_address", dict(tags))
            address = ElasticIp(self._new_id("eipalloc"), f"198.51.100.{len(self.elastic) + 1}", tags=dict(tags))
            self.elastic[address.allocation_id] = address
            return address

    def associate(self, allocation_id: str, instance_id: str) -> None:
        with self._lock:
            self._enter("associate", allocation_id, instance_id)
            self._instance(instance_id)
            bond = self._new_id("eipassoc")
            held = replace(self.elastic[allocation_id], instance_id=instance_id, association_id=bond)
            self.elastic[allocation_id] = held

    def ensure_security_group(self) -> str:
        with self._lock:
            self._enter("ensure_security_group")
            return "sg-1"

    def tag(self, resource_id: str, tags: Tags) -> None:
        with self._lock:
            self._enter("tag", resource_id, dict(tags))
            self._retag(resource_id, lambda old: {**old, **tags})

    def untag(self, resource_id: str, keys: Sequence[str]) -> None:
        with self._lock:
            self._enter("untag", resource_id, tuple(keys))
            self._retag(resource_id, lambda old: {key: value for key, value in old.items() if key not in keys})

    def _retag(self, resource_id: str, change: Callable[[Tags], Tags]) -> None:
        if resource_id in self.machines:
            self._change_machine(resource_id, tags=change(self.machines[resource_id].tags))
        else:
            self._change_volume(resource_id, tags=change(self._volume(resource_id).tags))

    def take_lock(self, node: str, lock: Lock) -> Lock | None:
        with self._lock:
            self._enter("take_lock", node, lock)
            holder = self.locks.setdefault(node, lock)
            return None if holder is lock else holder

    def lock_holder(self, node: str) -> Lock | None:
        with self._lock:
            self._enter("lock_holder", node)
            return self.locks.get(node)

    def free_lock(self, node: str, lock: Lock | None = None) -> Lock | None:
        with self._lock:
            self._enter("free_lock", node, lock)
            holder = self.locks.get(node)
            if holder is None or (lock is not None and holder != lock):
                return None
            return self.locks.pop(node)


def _wanted(own_id: str, own_tags: Tags, ids: Sequence[str], tags: Tags | None) -> bool:
    """Tell whether a resource matches, as EC2's filters do."""
    return (not ids or own_id in ids) and all(own_tags.get(key) == value for key, value in (tags or {}).items())
