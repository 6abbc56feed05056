"""`fab attach`: the node's volumes at an instance, formatted only when proven blank, mounted, services started."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transcoder import guest, shape, tags
from transcoder.actions.attachment import AttachVolume
from transcoder.actions.cloud import AssociateAddress, CreateVolume, Tag
from transcoder.actions.guest import HoldUnits, ReleaseUnits
from transcoder.actions.services import StartUnit, WaitGethInSync, WaitLivepeerHealthy, livepeer_address
from transcoder.actions.volume import (
    CheckVolume,
    FormatVolume,
    MakeDirectories,
    Mark,
    Mount,
    Place,
    SeeDevice,
    is_tagged,
)
from transcoder.content import Content, Verdict, judge
from transcoder.errors import Refused
from transcoder.guest import Guest, Inspection
from transcoder.layout import GETH, LIVEPEER, DataVolume
from transcoder.model import Instance, Marker, Volume
from transcoder.operate import Operation
from transcoder.recipes.devices import names_for, no_name_left
from transcoder.recipes.give_back import plan_give_back
from transcoder.recipes.leaving import end, retire_others
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.recipes.obstacles import image_reasons
from transcoder.settings import Settings
from transcoder.step import Plan, Skip, Step
from transcoder.world import Host, World


@dataclass(frozen=True)
class Request:
    """Attach the node's volumes to ``instance`` (a Name or an id; empty: the one that carries the node).

    ``livepeer_volume`` and ``geth_volume`` name volumes to take; ``may_format`` names those that may be formatted
    although this project did not create them, once they are proven blank.
    """

    node: str
    instance: str = ""
    livepeer_volume: str = ""
    geth_volume: str = ""
    may_format: tuple[str, ...] = ()

    def volume(self, data: DataVolume) -> str:
        """Return the volume id that was named for this role, or an empty text."""
        return self.livepeer_volume if data is LIVEPEER else self.geth_volume


@dataclass(frozen=True)
class Slot:
    """One of the volumes as it was seen. ``seen`` is None while the machine does not see it."""

    data: DataVolume
    volume: Volume | None
    seen: Inspection | None = None
    mounted: bool = False
    laid_out: bool = False

    @property
    def needed(self) -> Volume:
        """The volume, where the stage guarantees that there is one."""
        assert self.volume is not None  # noqa: S101 - the first stage creates it
        return self.volume


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from."""

    settings: Settings
    request: Request
    node: NodeFacts
    instance: Instance
    guest: Guest
    slots: tuple[Slot, ...]
    """Its volumes, livepeer's first."""
    livepeer_runs_as: str
    token: str

    @property
    def livepeer(self) -> Slot:
        """The livepeer volume."""
        return self.slots[0]

    @property
    def has_geth(self) -> bool:
        """Whether a geth is part of the node."""
        return GETH in self.node.parts


def operation(request: Request) -> Operation:
    """Return the operation for `transcoder.operate`."""
    attached: list[str] = []
    token = str(uuid.uuid4())  # one for all looks: the plan that was printed is the plan that is run

    def make(world: World) -> Plan:
        made = plan(replace(observe(world, request), token=token))
        attached.extend(step.volume.id for step in made.pending if isinstance(step, AttachVolume))
        return made

    def give_back(world: World) -> Plan | None:
        return plan_give_back(world, _instance(observe_node(world, request.node), request), attached)

    return Operation("fab attach", request.node, make, give_back)


def observe(world: World, request: Request) -> Observed:
    """Look at EC2 and at the machine.

    :raises Refused: when the instance or a named volume does not exist, or the machine is not running.
    """
    node = observe_node(world, request.node)
    if request.geth_volume and GETH not in node.parts:
        raise Refused(
            f"--geth-volume {request.geth_volume}: a node of this environment has none",
            hint=f"{shape.said_of_geth(world.settings)}: leave the option out",
        )
    instance = _instance(node, request)
    host = world.hosts(instance)
    seen = guest.observe(host)
    slots = tuple(_slot(world, host, seen, node, request, data) for data in node.parts)
    runs_as = livepeer_address(host, world.settings) if seen.service(LIVEPEER.service.unit).running else ""
    return Observed(world.settings, request, node, instance, seen, slots, runs_as, str(uuid.uuid4()))


def _instance(node: NodeFacts, request: Request) -> Instance:
    instance = node.find(request.instance) if request.instance else node.carrier
    if instance is None:
        raise Refused(
            f"no instance carries node {node.name}",
            hint=f"invoke launch --node {node.name}, or name one: fab attach --instance NAME",
        )
    if instance.state != "running":
        raise Refused(f"{instance.name} ({instance.id}) is {instance.state}, not running")
    return instance


def _slot(world: World, host: Host, seen: Guest, node: NodeFacts, request: Request, data: DataVolume) -> Slot:
    named = request.volume(data)
    volume = _named(world, named) if named else node.volume(data)
    if volume is None:
        return Slot(data, None)
    device = seen.device_of(volume)
    if device is None or volume.attachment is None:
        return Slot(data, volume)
    mounted = any((m.target, m.source) == (data.mount, device.path) for m in seen.mounts)
    inspection = guest.inspect(host, device)
    if mounted:  # the block device lags behind the page cache of a mounted file system
        inspection = replace(inspection, marker=guest.read_marker(host, data), marker_problem="")
    return Slot(data, volume, inspection, mounted, laid_out=mounted and guest.has_directories(host, data))


def _named(world: World, volume_id: str) -> Volume:
    found = world.cloud.volumes(ids=[volume_id])
    if not found:
        raise Refused(f"volume {volume_id} does not exist", hint="nothing was done")
    return found[0]


def plan(observed: Observed) -> Plan:
    """Return what is to be done next: attach what exists, create what is missing, then format, mount and start.

    What exists comes first: a volume that is refused once its content is seen leaves nothing created behind.

    :raises Refused: with every reason.
    """
    verdicts = _refuse(observed)
    where = f"{observed.instance.name} ({observed.instance.id})"
    existing = [slot for slot in observed.slots if slot.volume is not None]
    if not all(_is_here(observed, slot) for slot in existing):
        note = "then: look at what they hold; format only what is proven blank, mount, start"
        return Plan(f"attach node {observed.node.name} to {where}", _attach_steps(observed, existing), (note,))
    if len(existing) < len(observed.slots):
        steps: Sequence[Step] = [_create(observed, slot.data) for slot in observed.slots if slot.volume is None]
        start = ", start geth" if observed.has_geth else ""
        note = f"then: attach to {where}, format what is proven blank, mount, make the directories{start}"
        return Plan(f"create the missing volumes of node {observed.node.name}", tuple(steps), (note,))
    return Plan(
        f"mount and start node {observed.node.name} on {where}", _use_steps(observed, verdicts), _notes(observed)
    )


def _is_here(observed: Observed, slot: Slot) -> bool:
    return slot.needed.attached_to(observed.instance.id) and slot.seen is not None


def _refuse(observed: Observed) -> dict[str, Verdict]:
    """Collect every reason against it; return the verdicts on what the volumes hold."""
    reasons = image_reasons(observed.node.parts, observed.guest, observed.instance.name)
    verdicts = {}
    for slot in observed.slots:
        reasons += _placement_reasons(observed, slot)
        if slot.seen is not None and slot.volume is not None:
            allowed = slot.volume.id in observed.request.may_format
            verdict = judge(slot.volume, slot.seen, slot.data, observed.node.name, may_format=allowed)
            verdicts[slot.data.role] = verdict
            if verdict.content is Content.FOREIGN:
                reasons.append(f"{slot.volume.id} ({slot.data.role}) {verdict.reason}; {verdict.hint}")
    if reasons:
        raise Refused(
            f"node {observed.node.name} can't be attached to {observed.instance.name}",
            reasons=reasons,
            hint="fab status",
        )
    return verdicts


def _placement_reasons(observed: Observed, slot: Slot) -> list[str]:
    volume, instance = slot.volume, observed.instance
    if volume is None:
        return []
    reasons = []
    tagged = observed.node.volume(slot.data)
    if tagged is not None and tagged.id != volume.id:
        reasons.append(f"{volume.id}: node {observed.node.name} has a {slot.data.role} volume already: {tagged.id}")
    owner = volume.tags.get(tags.NODE, observed.node.name)
    if owner != observed.node.name:
        reasons.append(f"{volume.id} is tagged for node {owner}")
    if tags.REPLACED_BY in volume.tags and tags.NODE not in volume.tags:
        reasons.append(f"{volume.id} was replaced by {volume.tags[tags.REPLACED_BY]}: what is on it is old")
    if volume.zone != instance.zone:
        reasons.append(f"{volume.id} is in zone {volume.zone}, {instance.name} in {instance.zone}")
    bond = volume.attachment
    if bond is not None and bond.instance_id != instance.id:
        reasons.append(f"{volume.id} is in use ({bond.state}) by instance {bond.instance_id}")
    if bond is None and volume.state not in ("available", "creating"):
        reasons.append(f"{volume.id} is {volume.state}")
    if bond is None and not names_for(observed.settings, instance, slot.data, volume):
        reasons.append(no_name_left(instance, slot.data))
    return reasons


def _create(observed: Observed, data: DataVolume) -> CreateVolume:
    wanted = shape.volume_settings(observed.settings, data)
    return CreateVolume(
        lane=data.role,
        node=observed.node.name,
        role=data.role,
        label=data.label,
        zone=observed.instance.zone,
        size_gib=wanted.size_gib,
        type=wanted.type,
        encrypted=wanted.encrypted,
        token=f"{observed.token}-{data.role}",
    )


def _attach_steps(observed: Observed, slots: Sequence[Slot]) -> tuple[Step, ...]:
    """Hold the units first: a disk with our label must not be mounted before somebody has looked at it."""
    hold = HoldUnits(instance=observed.instance, units=shape.units(observed.settings))
    steps: list[Step] = [hold]
    for slot in slots:
        place = _place(observed, slot)
        device, *spares = names_for(observed.settings, place.instance, slot.data, place.volume) or ("",)
        steps += [
            AttachVolume(
                lane=slot.data.role,
                volume=place.volume,
                instance=place.instance,
                device=device,
                spares=tuple(spares),
                label=slot.data.label,
                after=(hold.key,),
                skip=Skip.DONE if place.volume.attached_to(place.instance.id) else None,
            ),
            SeeDevice(lane=slot.data.role, place=place),
        ]
    return tuple(steps)


def _place(observed: Observed, slot: Slot) -> Place:
    return Place(observed.instance, slot.needed, slot.data, observed.node.name)


def _use_steps(observed: Observed, verdicts: dict[str, Verdict]) -> tuple[Step, ...]:
    lanes = [_mount_steps(observed, slot, verdicts[slot.data.role].content) for slot in observed.slots]
    mounted = [step for lane in reversed(lanes) for step in lane]
    return (*mounted, *_start_steps(observed, lanes[0][-1].key), *_tag_steps(observed))


def _mount_steps(observed: Observed, slot: Slot, content: Content) -> tuple[Step, ...]:
    place, lane = _place(observed, slot), slot.data.role
    mounted = Skip.DONE if slot.mounted else None
    marker = slot.seen.marker if slot.seen else None
    tagged = is_tagged(place.volume, marker, observed.settings.name)
    ours = Skip.DONE if content is Content.OURS and tagged else None
    laid_out = Skip.DONE if slot.laid_out else None
    return (
        _prepare(observed, slot, content),
        Mount(lane=lane, place=place, skip=mounted),
        Mark(lane=lane, place=place, skip=ours),
        MakeDirectories(lane=lane, place=place, skip=laid_out),
    )


def _prepare(observed: Observed, slot: Slot, content: Content) -> Step:
    """Return the step before the mount: a check of what is the node's own, a format of what is proven blank."""
    place, lane = _place(observed, slot), slot.data.role
    if content is Content.OURS:
        return CheckVolume(lane=lane, place=place, skip=Skip.DONE if slot.mounted else None)
    formatted = Skip.DONE if content is Content.UNFINISHED else None
    may_format = place.volume.id in observed.request.may_format
    return FormatVolume(lane=lane, place=place, may_format=may_format, skip=formatted)


def _start_steps(observed: Observed, livepeer_mounted: str) -> tuple[Step, ...]:
    """Start geth where there is one, wait until it is in sync, then livepeer: as far as there is a key for it."""
    instance, settings, address = observed.instance, observed.settings, _address(observed)
    done = Skip.DONE if address and observed.livepeer_runs_as.lower() == address.lower() else None
    steps = _geth_steps(observed, synced=done, wait=bool(address)) if observed.has_geth else []
    ready = (*(step.key for step in steps[-1:]), livepeer_mounted)
    # Nothing else goes on at the machine while its address may change: a probe of geth would lose its connection.
    moved = _address_steps(observed, after=ready)
    before = (*ready, *(step.key for step in moved))
    if not address:
        return (*steps, *moved, _release(observed, after=before))
    return (
        *steps,
        *moved,
        StartUnit(lane="node", instance=instance, unit=LIVEPEER.service.unit, skip=done, after=before),
        WaitLivepeerHealthy(
            lane="node",
            instance=instance,
            address=address,
            budget=settings.livepeer.healthy_budget_seconds,
            skip=done,
        ),
        _release(observed, after=()),
    )


def _geth_steps(observed: Observed, *, synced: Skip | None, wait: bool) -> list[Step]:
    """Return geth's start and, when livepeer is to follow, the wait until it is in sync."""
    instance, budget = observed.instance, observed.settings.geth.in_sync_budget_seconds
    runs = Skip.DONE if observed.guest.service(GETH.service.unit).running else None
    start = StartUnit(lane="geth", instance=instance, unit=GETH.service.unit, skip=runs)
    return [start, *([WaitGethInSync(lane="geth", instance=instance, budget=budget, skip=synced)] if wait else [])]


def _address_steps(observed: Observed, after: tuple[str, ...]) -> list[Step]:
    """Bring the node's Elastic IP, where it has one: livepeer announces the address it finds when it starts."""
    address, instance = observed.node.address, observed.instance
    if address is None:
        return []
    done = Skip.DONE if address.instance_id == instance.id else None
    return [AssociateAddress(lane="address", address=address, instance=instance, skip=done, after=after)]


def _release(observed: Observed, after: tuple[str, ...]) -> ReleaseUnits:
    """Free every unit at the end, those too that were running before they were held.

    A machine on which something stays held does not take its volumes back by itself.
    """
    units = shape.units(observed.settings)
    held = Skip.DONE if not observed.guest.held & set(units) else None
    return ReleaseUnits(lane="node", instance=observed.instance, units=units, skip=held, after=after)


def _address(observed: Observed) -> str:
    """Return the account on the livepeer volume, as its marker says; empty while there is no key."""
    seen = observed.livepeer.seen
    marker: Marker | None = seen.marker if seen else None
    return marker.address if marker else ""


def _tag_steps(observed: Observed) -> tuple[Step, ...]:
    wanted = {tags.NODE: observed.node.name, tags.ROLE: "node"}
    present = observed.instance.tags
    done = tags.RETIRED not in present and all(present.get(key) == value for key, value in wanted.items())
    return (
        *retire_others(observed.node, observed.instance),
        *end(observed.livepeer.volume),
        Tag(
            lane="tags",
            resource_id=observed.instance.id,
            what=observed.instance.name,
            why=f"carries node {observed.node.name}",
            set_tags=wanted,
            remove=(tags.RETIRED,) if tags.RETIRED in present else (),
            skip=Skip.DONE if done else None,
        ),
    )


def _notes(observed: Observed) -> tuple[str, ...]:
    if _address(observed):
        return ()
    return (f"there is no key on it yet, so livepeer does not start: fab create-key --node {observed.node.name}",)
