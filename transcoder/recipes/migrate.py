"""`fab migrate --to X`: the node goes to another instance, with its volumes and its address.

Downtime is what a migration costs, so the plan has lanes::

    livepeer  stop livepeer, umount /d1, detach, attach, see device, check, mount /d1 ─────────────────┐
    geth      stop geth,     umount /d2, detach, attach, see device, check, mount /d2, geth in sync ───┴─ livepeer
    address   (both have left the source) Elastic IP -> X ──────────────────────────────────────────────┘

The lock, the target's boot and the hold on its units come before the first stop. The fence against two nodes with one
key is EBS itself: a volume is at one instance at a time, and a livepeer without its volume does not start.
Where the target is in another zone, `transcoder.recipes.transfer` brings copies of the volumes there first.
A node without a geth has no geth lane.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from transcoder import guest, tags
from transcoder.actions.guest import WaitReachable, has_booted
from transcoder.actions.services import livepeer_address, livepeer_round
from transcoder.errors import Refused, Unreachable
from transcoder.facts.livepeer_api import RoundState
from transcoder.guest import Guest
from transcoder.layout import LIVEPEER
from transcoder.model import Instance, Marker
from transcoder.operate import Operation
from transcoder.recipes.launch import launch_step, newest_image
from transcoder.recipes.move import Move
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.recipes.obstacles import BOOTING, is_at, obstacles
from transcoder.recipes.preflight import Survey, denials, livepeer_runs, survey
from transcoder.recipes.transfer import NO_COPIES, Copies, Transfer, observe_copies
from transcoder.settings import Settings
from transcoder.step import Plan
from transcoder.world import World

NEW = "new"


@dataclass(frozen=True)
class Request:
    """Move ``node`` to the instance meant by ``to``: a Name, an instance id, or ``new``.

    ``source_lost``: the source does not answer any more, stop it through EC2. ``force_detach`` names the volumes whose
    detachment may be forced. ``ignore_round``: go on although the reward of this round is still to be called.
    ``zone`` is where ``new`` is launched; empty: where the volumes are.
    """

    node: str
    to: str
    source_lost: bool = False
    force_detach: tuple[str, ...] = ()
    ignore_round: bool = False
    zone: str = ""


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``source`` is None once the node has left; ``target`` None until launched."""

    settings: Settings
    request: Request
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
    surveys: tuple[Survey | None, Survey | None] = (None, None)
    """Source and target; looked at only while the node still runs at the source, since it would cost downtime later."""
    round: RoundState | None = None
    copies: Copies = NO_COPIES
    """What there is of the volumes in the target's zone, when that is another one."""

    @property
    def serving(self) -> bool:
        """Whether the node still runs at the source, so that what can be refused must be refused now."""
        return livepeer_runs(self.source_guest)


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
        observed = observe(world, replace(request, to=resolved.get("target", request.to)))
        if observed.target is not None:
            resolved["target"] = observed.target.id
        if observed.source is not None and observed.source_guest is not None:
            resolved.setdefault("origin", observed.source.id)
        if observed.launch is not None:  # one name and token for all looks: what was printed is what is run
            launches.append(observed.launch)
            observed = replace(observed, launch=launches[0])
        return plan(observed, (lambda made: denials(world, made)) if observed.serving else _nothing)

    def undo(world: World) -> Operation | None:
        """Bring the node back to where this run found it, the same way: with the same fences."""
        origin = resolved.get("origin", "")
        if not origin or request.source_lost or _serves(world, resolved.get("target", "")):
            return None
        return operation(Request(request.node, origin, ignore_round=True))

    def on_silence(world: World) -> str:
        """Name the way on when it is the source that does not answer, and it still has a volume of the node."""
        node, origin = observe_node(world, request.node), resolved.get("origin", "")
        source = node.by_id(origin)
        if source is None or not any(is_at(volume, source) for volume in node.volumes):
            return ""
        _, problem = look(world, source)
        return f"if {source.name}, which {problem}, is lost: the same command with --source-lost" if problem else ""

    return Operation(f"fab migrate --to {request.to}", request.node, make, on_silence=on_silence, undo=undo)


def _nothing(_plan: Plan) -> list[str]:
    return []


def _serves(world: World, target: str) -> bool:
    """Tell whether the node has arrived: then there is nothing to be undone, only something to be finished."""
    instance = next(iter(world.cloud.instances(ids=[target])), None) if target else None
    seen, _ = look(world, instance)
    return livepeer_runs(seen)


def observe(world: World, request: Request) -> Observed:
    """Look at EC2 and at both machines.

    :raises Refused: when the node or the target does not exist.
    """
    node = observe_node(world, request.node)
    target = node.target if request.to == NEW else node.find(request.to)
    source = source_of(node, target)
    source_guest, source_problem = look(world, source)
    target_guest, target_problem = look_at_target(world, target)
    runs_as, marker = _look_closer(world, target, target_guest)
    launch = launch_facts(world, node, request) if target is None else None
    serving = livepeer_runs(source_guest)
    looked_at = (source, target if target_guest else None) if serving else (None, None)
    surveys = [survey(world, instance) if instance else None for instance in looked_at]
    return Observed(
        world.settings,
        request,
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
        (surveys[0], surveys[1]),
        livepeer_round(world.hosts(source), world.settings) if serving and source is not None else None,
        observe_copies(world, node, target) if target is not None else NO_COPIES,
    )


def _look_closer(world: World, target: Instance | None, seen: Guest | None) -> tuple[str, Marker | None]:
    """Return the account that the target's livepeer runs as, and the marker of the volume mounted there."""
    if target is None or seen is None:
        return "", None
    host = world.hosts(target)
    runs_as = livepeer_address(host, world.settings) if seen.service(LIVEPEER.service.unit).running else ""
    return runs_as, guest.read_marker(host, LIVEPEER) if seen.mounted(LIVEPEER.mount) else None


def source_of(node: NodeFacts, target: Instance | None) -> Instance | None:
    """Return the machine the node is leaving: whoever has one of its volumes, else whoever is tagged for it."""
    bonds = [volume.attachment for volume in node.volumes if volume.attachment]
    holders = [node.by_id(bond.instance_id) for bond in bonds]
    candidates = [*holders, node.tagged]
    return next((i for i in candidates if i is not None and (target is None or i.id != target.id)), None)


def look(world: World, instance: Instance | None) -> tuple[Guest | None, str]:
    """Return what a machine says of itself, or why it says nothing."""
    if instance is None:
        return None, ""
    if instance.state != "running":
        return None, f"is {instance.state}"
    try:
        return guest.observe(world.hosts(instance)), ""
    except Unreachable as error:
        return None, f"does not answer: {error.message}"


def look_at_target(world: World, target: Instance | None) -> tuple[Guest | None, str]:
    """Return what a machine says of itself once it has booted, or why it says nothing."""
    seen, problem = look(world, target)
    if target is not None and seen is not None and not has_booted(world, target):
        return None, BOOTING
    return seen, problem


def launch_facts(world: World, node: NodeFacts, request: Request) -> LaunchFacts:
    """Return with what a target would be launched.

    :raises Refused: when there is no image for it.
    """
    image = newest_image(world)
    volume = node.livepeer
    zone = request.zone or (volume.zone if volume else world.settings.aws.availability_zone)
    stamp = datetime.fromtimestamp(world.clock.now(), UTC).strftime("%Y%m%d-%H%M%S")
    return LaunchFacts(image.id, f"{request.node}-{stamp}", zone, str(uuid.uuid4()))


def plan(observed: Observed, denied: Callable[[Plan], list[str]] = _nothing) -> Plan:
    """Return what is to be done: launch the target when there is none, else the move.

    :param denied: returns which calls of a plan EC2 would not let be made.
    :raises Refused: with every reason.
    """
    reasons = obstacles(observed)
    made = _made(observed) if observed.target is None or observed.target.state in ("pending", "running") else None
    reasons += denied(made) if made is not None else []
    if reasons or made is None:
        to = observed.target.name if observed.target else NEW
        raise Refused(f"node {observed.node.name} can't be migrated to {to}", reasons=reasons, hint="fab status")
    return made


def _made(observed: Observed) -> Plan | None:
    """Return the plan as it would be if nothing is against it; None where not enough is known to make one."""
    target, node = observed.target, observed.node
    if target is None:
        return _launch_plan(observed)
    if observed.target_guest is None:
        return _boot_plan(target)
    if node.missing:
        return None
    if any(volume.zone != target.zone for volume in node.volumes):
        return Transfer(observed, target, observed.target_guest).plan()
    return Move(observed, target, observed.target_guest).plan()


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
