"""`fab adopt`: a volume made by hand, after the reference README, becomes a node's volume.

Label set, files of the reference's user ``ubuntu`` given to the service user, marker written; nothing else is touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from transcoder import guest, layout, shape, tags
from transcoder.actions.attachment import AttachVolume
from transcoder.actions.guest import HoldUnits
from transcoder.actions.volume import Mark, Mount, Place, SeeDevice, VolumeStep, is_tagged
from transcoder.errors import Refused
from transcoder.guest import Guest, Inspection
from transcoder.layout import LIVEPEER, DataVolume
from transcoder.model import Instance, Marker, Volume
from transcoder.operate import Operation
from transcoder.recipes.create_key import accounts
from transcoder.recipes.devices import names_for, no_name_left
from transcoder.recipes.give_back import plan_give_back
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.settings import Settings
from transcoder.step import Plan, Skip, Step
from transcoder.world import World

REFERENCE_OWNER = 1000
"""The uid and gid of ``ubuntu`` on Ubuntu's images: the user that the reference runs both programs as."""
EXPECTED = {"livepeer": "livepeer", "geth": "geth-data"}
"""The directory that a volume of this role has at its root in the reference's layout."""


@dataclass(frozen=True)
class Request:
    """Take ``volume`` over as the ``role`` volume of ``node``, at ``instance`` (empty: the one that carries it)."""

    node: str
    volume: str
    role: str
    instance: str = ""

    @property
    def data(self) -> DataVolume:
        """The volume of the layout that is meant."""
        found = [data for data in layout.VOLUMES if data.role == self.role]
        if not found:
            raise Refused(f"role {self.role!r} is neither of: {', '.join(d.role for d in layout.VOLUMES)}")
        return found[0]


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``seen`` is None until the machine sees the volume."""

    settings: Settings
    request: Request
    node: NodeFacts
    instance: Instance
    volume: Volume
    guest: Guest
    seen: Inspection | None
    address: str


@dataclass(frozen=True, kw_only=True)
class SetLabel(VolumeStep):
    """Give an unmounted ext4 file system the label that the mount unit looks for."""

    verb: ClassVar[str] = "label"

    @property
    def title(self) -> str:
        return f"label {self.volume.id} {self.data.label}"

    def is_done(self, world: World) -> bool:
        return self.needed_device(world).label == self.data.label

    def do(self, world: World) -> None:
        host = self.host(world)
        host.run("e2label", self.needed_device(world).path, self.data.label)
        host.run("udevadm", "trigger", "--subsystem-match=block")
        host.run("udevadm", "settle", "--timeout=30")


@dataclass(frozen=True, kw_only=True)
class MapOwners(VolumeStep):
    """Give what belongs to the reference's user to the service user; other owners stay as they are."""

    verb: ClassVar[str] = "owners"

    @property
    def title(self) -> str:
        return f"files of uid {REFERENCE_OWNER} on {self.data.mount} to {self.data.service.user}"

    def is_done(self, world: World) -> bool:
        # One file system only; the first match is enough to know that there is something to do.
        command = (
            "find",
            self.data.mount,
            "-xdev",
            "(",
            "-uid",
            str(REFERENCE_OWNER),
            "-o",
            "-gid",
            str(REFERENCE_OWNER),
        )
        return not self.host(world).run(*command, ")", "-print", "-quit", timeout=600).stdout.strip()

    def do(self, world: World) -> None:
        owner, old = str(self.data.service.id), str(REFERENCE_OWNER)
        change = ("chown", "--recursive", "--no-dereference")
        host = self.host(world)
        host.run(*change, f"--from={old}", owner, self.data.mount, timeout=3600)
        host.run(*change, f"--from=:{old}", f":{owner}", self.data.mount, timeout=3600)


def operation(request: Request) -> Operation:
    """Return the operation for `transcoder.operate`."""
    attached: list[str] = []

    def make(world: World) -> Plan:
        made = plan(observe(world, request))
        attached.extend(step.volume.id for step in made.pending if isinstance(step, AttachVolume))
        return made

    def give_back(world: World) -> Plan | None:
        return plan_give_back(world, _instance(observe_node(world, request.node), request), attached)

    return Operation("fab adopt", request.node, make, give_back)


def observe(world: World, request: Request) -> Observed:
    """Look at the volume, the machine, and the key on the volume.

    :raises Refused: when the volume or the machine does not exist, or a node of this environment has no such volume.
    """
    node = observe_node(world, request.node)
    if request.data not in node.parts:
        raise Refused(
            f"a node of this environment has no {request.role} volume: {shape.said_of_geth(world.settings)}",
            hint="adopt its livepeer volume alone: what livepeer needs of the chain it asks a hosted RPC for",
        )
    instance = _instance(node, request)
    found = world.cloud.volumes(ids=[request.volume])
    if not found:
        raise Refused(f"volume {request.volume} does not exist")
    host = world.hosts(instance)
    machine = guest.observe(host)
    device = machine.device_of(found[0])
    seen = guest.inspect(host, device) if device is not None else None
    if seen is not None and machine.mounted(request.data.mount):  # the block device lags behind the page cache
        seen = replace(seen, marker=guest.read_marker(host, request.data), marker_problem="")
    address = _key_address(world, instance) if request.data is LIVEPEER and machine.mounted(LIVEPEER.mount) else ""
    return Observed(world.settings, request, node, instance, found[0], machine, seen, address)


def _instance(node: NodeFacts, request: Request) -> Instance:
    instance = node.find(request.instance) if request.instance else node.carrier
    if instance is None:
        raise Refused(f"no instance carries node {node.name}", hint="name one: fab adopt --instance NAME ...")
    return instance


def _key_address(world: World, instance: Instance) -> str:
    """Return the one account in the keystore; empty when there is none.

    :raises Refused: when there are several: only the operator knows which one the node is.
    """
    found = accounts(world.hosts(instance))
    if len(found) > 1:
        raise Refused("the keystore on the volume has several accounts", reasons=found, hint="move the others away")
    return found[0] if found else ""


def plan(observed: Observed) -> Plan:
    """Return what is to be done: attach it, then label, mount, map owners and mark.

    :raises Refused: with every reason why it is not a volume of the reference.
    """
    reasons = _reasons(observed)
    if reasons:
        raise Refused(f"{observed.volume.id} can't be adopted", reasons=reasons, hint="nothing was written to it")
    data, volume, instance = observed.request.data, observed.volume, observed.instance
    title = f"adopt {volume.id} as the {data.role} volume of node {observed.node.name}"
    if observed.seen is None:
        return Plan(title, _attach(observed), ("then: look at it, label, mount, map owners, mark",))
    place, mounted = Place(instance, volume, data, observed.node.name), observed.guest.mounted(data.mount)
    labelled = Skip.DONE if observed.seen.device.label == data.label else None
    marked = observed.seen.marker is not None and not mounted
    steps: list[Step] = [
        SetLabel(place=place, skip=labelled),
        Mount(place=place, skip=Skip.DONE if mounted else None),
    ]
    if mounted:
        done = Skip.DONE if _is_marked(observed) else None
        owner = MapOwners(place=place, skip=done)
        mark = Mark(place=place, address=observed.address, skip=done)
        steps += [owner, mark]
    notes = () if marked else (f"then start the node: fab attach --node {observed.node.name}",)
    return Plan(title, tuple(steps), notes)


def _is_marked(observed: Observed) -> bool:
    """Tell whether the marker, and after it EC2's tags, say that it is the node's."""
    marker = observed.seen.marker if observed.seen else None
    known = observed.address or (marker.address if marker else "")
    wanted = Marker(observed.node.name, observed.request.role, known)
    return marker == wanted and is_tagged(observed.volume, marker, observed.settings.name)


def _attach(observed: Observed) -> tuple[Step, ...]:
    data, volume, instance = observed.request.data, observed.volume, observed.instance
    hold = HoldUnits(instance=instance, units=shape.units(observed.settings))
    done = Skip.DONE if volume.attached_to(instance.id) else None
    device, *spares = names_for(observed.settings, instance, data, volume)
    return (
        hold,
        AttachVolume(
            volume=volume, instance=instance, device=device, spares=tuple(spares), label=data.label, skip=done
        ),
        SeeDevice(place=Place(instance, volume, data, observed.node.name)),
    )


def _reasons(observed: Observed) -> list[str]:
    volume, instance, data = observed.volume, observed.instance, observed.request.data
    reasons = []
    other = observed.node.volume(data)
    if other is not None and other.id != volume.id:
        reasons.append(f"node {observed.node.name} has a {data.role} volume already: {other.id}")
    if volume.tags.get(tags.NODE, observed.node.name) != observed.node.name:
        reasons.append(f"it is tagged for node {volume.tags[tags.NODE]}")
    if volume.zone != instance.zone:
        reasons.append(f"it is in zone {volume.zone}, {instance.name} in {instance.zone}")
    if volume.attachment is not None and volume.attachment.instance_id != instance.id:
        reasons.append(f"it is in use ({volume.attachment.state}) by instance {volume.attachment.instance_id}")
    if not names_for(observed.settings, instance, data, volume):
        reasons.append(no_name_left(instance, data))
    if observed.seen is not None:
        reasons += _content_reasons(observed, observed.seen, data)
    return reasons


def _content_reasons(observed: Observed, seen: Inspection, data: DataVolume) -> list[str]:
    if seen.marker is not None:
        if (seen.marker.node, seen.marker.role) == (observed.node.name, data.role):
            return []
        return [f"it carries the marker of node {seen.marker.node} ({seen.marker.role})"]
    if seen.signatures != ("ext4",):
        return [f"it holds {' and '.join(seen.signatures) or 'no file system'}, not ext4"]
    if seen.device.label not in ("", data.label):
        return [f"its label is {seen.device.label!r}: of something else?"]
    wanted = EXPECTED[data.role]
    if wanted not in seen.entries:
        return [f"it has no directory {wanted!r} at its root: not a {data.role} volume of the reference layout"]
    return []
