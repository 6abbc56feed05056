"""`fab migrate --to X --to-env WEST`: the node goes to another region, as a node of the environment WEST.

Neither volumes nor addresses leave a region. In stages, each of which runs wholly in one of the two (`here` and
`there`) and is observed and planned anew in both::

    here    early snapshots, while the node runs: what they store is not to be waited for again
    there   copies of them, a target, an Elastic IP, while the node runs
    here    stop, unmount, detach, final snapshots
    there   copies of these (only what has changed), and volumes from them
    here    depart: the old volumes say that the node is elsewhere. From here on there is no way back
    there   the new volumes become the node's; the ordinary migration attaches, checks, mounts and starts
    here    the old machine is retired

Within a region EBS is the fence against two nodes with one key: a volume is at one machine at a time. Between a volume
and its copy there is no such fence. So the copies are attached to nothing until the old volumes have been left behind
(`transcoder.tags.GONE_TO`), and of a node that has gone nothing here is started any more (`observe_node`).
The node's lock is held in both regions.
"""

from __future__ import annotations

from dataclasses import replace

from transcoder import shape
from transcoder.errors import Refused
from transcoder.operate import Elsewhere, Operation
from transcoder.recipes import migrate
from transcoder.recipes.obstacles import obstacles
from transcoder.recipes.preflight import denials
from transcoder.recipes.relocate_legs import Legs
from transcoder.recipes.transfer import Copies
from transcoder.recipes.two_regions import Both, observe
from transcoder.step import Plan
from transcoder.world import World

MOST_STAGES = 20


def operation(request: migrate.Request, there: World) -> Operation:
    """Return the operation for `transcoder.operate`; it is started in the world that the node leaves."""
    resolved: dict[str, str] = {}
    launches: list[migrate.LaunchFacts] = []

    def look(here: World) -> Both:
        _refuse_same_region(here, there)
        _refuse_other_parts(here, there)
        both = observe(here, there, replace(request, to=resolved.get("target", request.to)))
        source, target = both.here.leaving, both.there.target
        if target is not None:
            resolved["target"] = target.id
        if source.source is not None and source.source_guest is not None:
            resolved.setdefault("origin", source.source.id)
        if both.there.launch is not None:  # one name and token for all looks: what was printed is what is run
            launches.append(both.there.launch)
            both = replace(both, there=replace(both.there, launch=launches[0]))
        return both

    def undo(here: World) -> Operation | None:
        """Bring the node back to where this run found it, as long as it is still here."""
        both = look(here)
        if both.departed:
            raise Refused(
                f"the node belongs to environment {there.settings.name} by now, and only its volumes there may start",
                hint="the same command goes on",
            )
        origin = resolved.get("origin", "")
        if not origin or request.source_lost:
            return None
        return migrate.operation(migrate.Request(request.node, origin, ignore_round=True))

    name = f"fab migrate --to {request.to} --to-env {there.settings.name}"
    return Operation(
        name,
        request.node,
        lambda here: plan(look(here), here),
        undo=undo,
        also=(there,),
        most_stages=MOST_STAGES,
    )


def _refuse_same_region(here: World, there: World) -> None:
    region = here.settings.aws.region
    if region == there.settings.aws.region:
        raise Refused(
            f"environment {there.settings.name} is in {region} as well: --to-env is for another region",
            hint="to another zone: fab migrate --to new --zone ZONE",
        )


def _refuse_other_parts(here: World, there: World) -> None:
    """Refuse a way between a node with a geth and one without: a volume would be left behind, or be missing."""
    if shape.data_volumes(here.settings) != shape.data_volumes(there.settings):
        raise Refused(
            f"a node does not gain or lose its geth on the way: {shape.said_of_geth(here.settings)}, "
            f"{shape.said_of_geth(there.settings)}",
            hint=f"an environment of the other region whose geth.enabled is that of {here.settings.name}",
        )


def plan(both: Both, here: World) -> Plan:
    """Return the stage that comes next; an empty plan when the node is there.

    :raises Refused: with every reason.
    """
    legs = Legs(both)
    if both.departed:
        return _finish(both, legs)
    reasons = _reasons(both)
    whole = all(both.here.volume(data) is not None for data in both.here.parts)
    made = _next(both, legs) if whole else None
    if made is not None and both.serving:
        reasons += _denied(both, legs, here, made)
    if reasons or made is None:
        to, there = both.there.target, both.there.settings
        where = f"{to.name if to else both.request.to} in {there.aws.region} ({there.name})"
        raise Refused(f"node {both.request.node} can't be migrated to {where}", reasons=reasons, hint="fab status")
    return made


def _reasons(both: Both) -> list[str]:
    """Return every reason of both sides against it: those of a migration within a region are asked of it as well."""
    seen, there = both.here.leaving, both.there
    reasons = obstacles(
        replace(
            seen,
            settings=there.settings,  # of which the device names are wanted: those at the target
            target=there.target,
            target_guest=there.guest,
            target_problem=there.problem,
            surveys=(both.here.survey, there.survey if both.serving else None),
            copies=Copies(there.copies),
        )
    )
    known = [volume.id for volume in there.node.volumes]
    if known:
        reasons.append(f"environment {there.settings.name} has a node {both.request.node} already: {', '.join(known)}")
    region, zone = there.settings.aws.region, both.request.zone
    if zone and not zone.startswith(region):
        reasons.append(f"--zone {zone} is not in {region}")
    return reasons + ([there.no_launch] if there.no_launch else [])


def _denied(both: Both, legs: Legs, here: World, made: Plan) -> list[str]:
    """Ask EC2 in both regions, before the first stop, whether it would let everything be done."""
    reasons = denials(made.world if isinstance(made, Elsewhere) else here, made)
    target = both.there.target
    if target is not None and both.there.guest is not None:
        reasons += denials(both.world, legs.asked_before(target))
        reasons += denials(here, legs.leave(target) or made)
    return list(dict.fromkeys(reasons))


def _next(both: Both, legs: Legs) -> Plan | None:
    """Return the first stage that has something to do, as long as the node is here."""
    made = legs.discard_there() or legs.discard_here() or legs.early() or legs.ready()
    target = both.there.target
    if made is not None or target is None:
        return made
    return legs.boot(target) or legs.leave(target) or legs.copy(target) or legs.depart()


def _finish(both: Both, legs: Legs) -> Plan:
    """Return what is left to do once the node is no longer here."""
    if made := legs.depart() or legs.take_over():
        return made
    target = both.there.target
    if target is None:
        raise Refused(
            f"node {both.request.node} has gone to {both.there.settings.name}, and no machine for it is there",
            reasons=[both.there.no_launch],
        )
    request = both.request
    forced = tuple(
        copy.id
        for data in both.here.parts
        if (old := both.here.volume(data)) and old.id in request.force_detach and (copy := both.there.copy(data))
    )
    there = replace(request, to=target.id, force_detach=forced, zone="")
    made = migrate.plan(migrate.observe(both.world, there))
    return legs.retire(target) if made.empty else legs.arrived(made)
