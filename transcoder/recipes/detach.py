"""`fab detach`: the node stops and its volumes leave the instance. Also the first half of `invoke terminate`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transcoder import guest, shape
from transcoder.actions.attachment import DetachVolume
from transcoder.actions.cloud import TerminateInstance
from transcoder.actions.guest import HoldUnits, ReleaseUnits
from transcoder.actions.services import StopUnit, stop_budget
from transcoder.actions.volume import Unmount
from transcoder.errors import Refused
from transcoder.guest import Guest
from transcoder.layout import DataVolume
from transcoder.model import Instance
from transcoder.operate import Operation
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.settings import Settings
from transcoder.step import Plan, Skip, Step
from transcoder.world import World


@dataclass(frozen=True)
class Request:
    """Detach the node's volumes from ``instance`` (empty: the one that carries it); ``terminate`` it afterwards."""

    node: str
    instance: str = ""
    terminate: bool = False


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``guest`` is None when the machine is stopped."""

    settings: Settings
    request: Request
    node: NodeFacts
    instance: Instance | None
    guest: Guest | None


def operation(request: Request) -> Operation:
    """Return the operation for `transcoder.operate`."""
    name = "invoke terminate" if request.terminate else "fab detach"
    chosen: list[str] = []

    def make(world: World) -> Plan:
        observed = observe(world, replace(request, instance=chosen[0] if chosen else request.instance))
        chosen[:] = [observed.instance.id] if observed.instance else chosen
        return plan(observed)

    return Operation(name, request.node, make)


def observe(world: World, request: Request) -> Observed:
    """Look at EC2 and at the machine.

    :raises Unreachable: when the machine runs and does not answer: its file systems could not be unmounted.
    """
    node = observe_node(world, request.node, even_gone=True)
    by_id = node.by_id(request.instance)
    gone = request.instance.startswith("i-") and by_id is None
    instance = None if gone else (node.find(request.instance) if request.instance else node.carrier)
    running = instance is not None and instance.state == "running"
    seen = guest.observe(world.hosts(instance)) if instance is not None and running else None
    return Observed(world.settings, request, node, instance, seen)


def plan(observed: Observed) -> Plan:
    """Return what is to be done.

    :raises Refused: when the machine is neither running nor stopped.
    """
    instance, verb = observed.instance, "terminate" if observed.request.terminate else "detach"
    if instance is None:
        return Plan(f"{verb}: no instance carries node {observed.node.name}", ())
    if instance.state not in ("running", "stopped"):
        raise Refused(f"{instance.name} ({instance.id}) is {instance.state}", hint="fab status")
    steps = [step for data in observed.node.parts for step in _lane(observed, instance, data)]
    after = tuple(step.key for step in steps if isinstance(step, DetachVolume))
    end: list[Step] = []
    if observed.request.terminate:
        end = [TerminateInstance(instance=instance, after=after)]
    elif observed.guest is not None:
        held = Skip.DONE if not observed.guest.held and not steps else None
        end = [ReleaseUnits(instance=instance, units=shape.units(observed.settings), after=after, skip=held)]
    note = "the volumes and what is on them stay; fab attach or invoke launch bring the node back"
    return Plan(f"{verb} node {observed.node.name} from {instance.name} ({instance.id})", (*steps, *end), (note,))


def _lane(observed: Observed, instance: Instance, data: DataVolume) -> list[Step]:
    volume, seen = observed.node.volume(data), observed.guest
    if volume is None or volume.attachment is None or volume.attachment.instance_id != instance.id:
        return []
    detach = DetachVolume(lane=data.role, volume=volume, instance=instance, label=data.label)
    return [*(_quiet(observed, instance, data, seen) if seen is not None else []), detach]


def _quiet(observed: Observed, instance: Instance, data: DataVolume, seen: Guest) -> list[Step]:
    """Return the steps that stop what runs on the volume and unmount it."""
    unit = data.service.unit
    budget = stop_budget(observed.settings, data)
    stopped = Skip.DONE if not seen.service(unit).running and seen.service(unit).main_pid == 0 else None
    unmounted = Skip.DONE if not seen.mounted(data.mount) else None
    return [
        HoldUnits(lane=data.role, instance=instance, units=(data.mount_unit, unit)),
        StopUnit(lane=data.role, instance=instance, unit=unit, budget=budget, skip=stopped),
        Unmount(lane=data.role, instance=instance, data=data, skip=unmounted),
    ]
