"""`fab migrate --to X`: the node goes to another instance, with its volumes and its address.

Downtime is what a migration costs, so the plan has lanes::

    livepeer  stop livepeer, umount /d1, detach, attach, see device, check, mount /d1 ─────────────────┐
    geth      stop geth,     umount /d2, detach, attach, see device, check, mount /d2, geth in sync ───┴─ livepeer
    address   (both have left the source) Elastic IP -> X ──────────────────────────────────────────────┘

The lock, the target's boot and the hold on its units come before the first stop. The fence against two nodes with one
key is EBS itself: a volume is at one instance at a time, and a livepeer without its volume does not start.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from transcoder import guest, tags
from transcoder.actions.guest import WaitReachable, has_booted
from transcoder.actions.services import livepeer_address
from transcoder.errors import Refused, Unreachable
from transcoder.guest import Guest
from transcoder.layout import LIVEPEER, VOLUMES, DataVolume
from transcoder.model import Instance, Marker
from transcoder.operate import Operation
from transcoder.recipes.attach import device_name
from transcoder.recipes.launch import launch_step, newest_image
from transcoder.recipes.move import Move, is_at
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.settings import Settings
from transcoder.step import Plan
from transcoder.world import World

NEW = "new"
BOOTING = "has not finished booting"


@dataclass(frozen=True)
class Request:
    """Move ``node`` to the instance meant by ``to``: a Name, an instance id, or ``new``."""

    node: str
    to: str


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``source`` is None once the node has left; ``target`` None until launched."""

    settings: Settings
    node: NodeFacts
    source: Instance | None
    source_guest: Guest | None
    source_problem: str
    target: Instance | None
    target_guest: Guest | None
    target_problem: str
    target_runs_as: str
    target_marker: Marker | None = None
    """The marker of the livepeer volume once the target has mounted it."""
    launch: LaunchFacts | None = None


@dataclass(frozen=True)
class LaunchFacts:
    """What a launch of the target needs to know."""

    image_id: str
    name: str
    zone: str
    token: str


def operation(request: Request) -> Operation:
    """Return the operation for `transcoder.operate`."""
    resolved: dict[str, str] = {}
    launches: list[LaunchFacts] = []

    def make(world: World) -> Plan:
        # Once a target of `new` is known it stays the target of this run, also after its tag is gone at the end.
        observed = observe(world, Request(request.node, resolved.get("target", request.to)))
        if observed.target is not None:
            resolved["target"] = observed.target.id
        if observed.launch is not None:  # one name and token for all looks: what was printed is what is run
            launches.append(observed.launch)
            observed = replace(observed, launch=launches[0])
        return plan(observed)

    return Operation(f"fab migrate --to {request.to}", request.node, make)


def observe(world: World, request: Request) -> Observed:
    """Look at EC2 and at both machines.

    :raises Refused: when the node or the target does not exist.
    """
    node = observe_node(world, request.node)
    target = node.target if request.to == NEW else node.find(request.to)
    source = _source(node, target)
    source_guest, source_problem = _look(world, source)
    target_guest, target_problem = _look(world, target)
    if target is not None and target_guest is not None and not has_booted(world, target):
        target_guest, target_problem = None, BOOTING
    runs_as, marker = _look_closer(world, target, target_guest)
    launch = _launch_facts(world, node, request) if target is None else None
    return Observed(
        world.settings,
        node,
        source,
        source_guest,
        source_problem,
        target,
        target_guest,
        target_problem,
        runs_as,
        marker,
        launch,
    )


def _look_closer(world: World, target: Instance | None, seen: Guest | None) -> tuple[str, Marker | None]:
    """Return the account that the target's livepeer runs as, and the marker of the volume mounted there."""
    if target is None or seen is None:
        return "", None
    host = world.hosts(target)
    runs_as = livepeer_address(host) if seen.service(LIVEPEER.service.unit).running else ""
    return runs_as, guest.read_marker(host, LIVEPEER) if seen.mounted(LIVEPEER.mount) else None


def _source(node: NodeFacts, target: Instance | None) -> Instance | None:
    """Return the machine the node is leaving: whoever has one of its volumes, else whoever is tagged for it."""
    bonds = [volume.attachment for volume in (node.livepeer, node.geth) if volume and volume.attachment]
    holders = [node.by_id(bond.instance_id) for bond in bonds]
    candidates = [*holders, node.tagged]
    return next((i for i in candidates if i is not None and (target is None or i.id != target.id)), None)


def _look(world: World, instance: Instance | None) -> tuple[Guest | None, str]:
    if instance is None:
        return None, ""
    if instance.state != "running":
        return None, f"is {instance.state}"
    try:
        return guest.observe(world.hosts(instance)), ""
    except Unreachable as error:
        return None, f"does not answer: {error.message}"


def _launch_facts(world: World, node: NodeFacts, request: Request) -> LaunchFacts:
    image = newest_image(world)
    volume = node.livepeer
    zone = volume.zone if volume else world.settings.aws.availability_zone
    stamp = datetime.fromtimestamp(world.clock.now(), UTC).strftime("%Y%m%d-%H%M%S")
    return LaunchFacts(image.id, f"{request.node}-{stamp}", zone, str(uuid.uuid4()))


def plan(observed: Observed) -> Plan:
    """Return what is to be done: launch the target when there is none, else the move.

    :raises Refused: with every reason.
    """
    reasons = _reasons(observed)
    if reasons:
        to = observed.target.name if observed.target else NEW
        raise Refused(f"node {observed.node.name} can't be migrated to {to}", reasons=reasons, hint="fab status")
    if observed.target is None:
        return _launch_plan(observed)
    if observed.target_guest is None:
        return _boot_plan(observed.target)
    return Move(observed, observed.target, observed.target_guest).plan()


def _reasons(observed: Observed) -> list[str]:
    node, target = observed.node, observed.target
    reasons = [
        f"node {node.name} has no {data.role} volume in this environment"
        for data in VOLUMES
        if node.volume(data) is None
    ]
    if observed.source_problem and _needs_source(observed):
        assert observed.source is not None  # noqa: S101 - only a source can have a problem
        reasons.append(f"the source {observed.source.name} ({observed.source.id}) {observed.source_problem}")
    if target is None:
        return reasons
    booting = (
        target.state == "pending" or observed.target_problem == BOOTING or target.tags.get(tags.TARGET_FOR) == node.name
    )
    if observed.target_problem and not (booting and target.state in ("pending", "running")):
        reasons.append(f"the target {target.name} ({target.id}) {observed.target_problem}")
    other = target.tags.get(tags.NODE, node.name)
    if other != node.name:
        reasons.append(f"the target {target.name} carries node {other}")
    for data in VOLUMES:
        reasons += _volume_reasons(observed, data, target)
    return reasons


def _needs_source(observed: Observed) -> bool:
    """Tell whether anything is still to be done on the source machine: it has a volume."""
    source = observed.source
    if source is None or source.state == "stopped":  # a stopped machine runs nothing: its volumes are simply detached
        return False
    return any(is_at(observed.node.volume(data), source) for data in VOLUMES)


def _volume_reasons(observed: Observed, data: DataVolume, target: Instance) -> list[str]:
    volume, source, seen = observed.node.volume(data), observed.source, observed.target_guest
    if volume is None:
        return []
    reasons = []
    if volume.zone != target.zone:
        reasons.append(f"{volume.id} is in zone {volume.zone}, the target in {target.zone}")
    bond = volume.attachment
    if bond is not None and bond.instance_id not in (target.id, source.id if source else ""):
        reasons.append(f"{volume.id} is at {bond.instance_id}, which is neither the source nor the target")
    device = device_name(observed.settings, data)
    taken = target.devices.get(device)
    if taken is not None and taken != volume.id:
        reasons.append(f"device {device} of the target is taken by {taken}")
    if seen is not None:
        clash = [d.path for d in seen.devices if d.label == data.label and seen.device_of(volume) != d]
        reasons += [f"the target has another disk labelled {data.label}: {path}" for path in clash]
        if seen.service(data.service.unit).load == "not-found":
            reasons.append(f"the target has no {data.service.unit}: it is not one of our images")
    return reasons


def _launch_plan(observed: Observed) -> Plan:
    facts = observed.launch
    assert facts is not None  # noqa: S101 - observed together with the missing target
    extra = {tags.TARGET_FOR: observed.node.name}
    step = launch_step(observed.settings, facts.name, facts.image_id, facts.zone, facts.token, extra)
    return Plan(
        f"launch a target for node {observed.node.name}",
        (step,),
        ("then, when it has booted: move the volumes and the Elastic IP to it (that plan is printed before it runs)",),
    )


def _boot_plan(target: Instance) -> Plan:
    note = "then: move the volumes and the Elastic IP to it (that plan is printed before it runs)"
    return Plan(f"wait for {target.name}", (WaitReachable(instance=target),), (note,))
