"""`fab migrate --confirm`: the end of a migration to another zone. What stayed behind there is deleted, for good."""

from __future__ import annotations

from dataclasses import dataclass

from transcoder import guest, tags
from transcoder.actions.copies import DeleteSnapshot, DeleteVolume
from transcoder.actions.services import livepeer_address
from transcoder.errors import Refused
from transcoder.layout import LIVEPEER
from transcoder.model import Instance, Snapshot, Volume
from transcoder.operate import Operation
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.step import Plan, Step
from transcoder.world import World


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``runs_as`` is the account of the livepeer that serves now, empty for none."""

    node: NodeFacts
    runs_as: str
    left: tuple[Volume, ...]
    snapshots: tuple[Snapshot, ...]


def operation(node: str) -> Operation:
    """Return the operation for `transcoder.operate`."""
    return Operation("fab migrate --confirm", node, lambda world: plan(observe(world, node)))


def observe(world: World, node: str) -> Observed:
    """Look at the node, and at what a migration of it has left behind."""
    facts, behind = observe_node(world, node), {tags.ENVIRONMENT: world.settings.name, tags.RETIRED: node}
    replaced = [volume for volume in world.cloud.volumes(tags=behind) if tags.REPLACED_BY in volume.tags]
    left = tuple(volume for volume in replaced if tags.GONE_TO not in volume.tags)  # else: relocate_confirm
    snapshots = tuple(each for each in world.cloud.snapshots(tags=behind) if tags.SNAPSHOT_OF in each.tags)
    carrier = facts.carrier
    serving = runs_as(world, carrier) if carrier is not None and (left or snapshots) else ""
    return Observed(facts, serving, left, snapshots)


def runs_as(world: World, carrier: Instance) -> str:
    """Return the account of the livepeer that runs at a machine, empty for none."""
    if carrier.state != "running":
        return ""
    host = world.hosts(carrier)
    return livepeer_address(host, world.settings) if guest.observe(host).service(LIVEPEER.service.unit).running else ""


def plan(observed: Observed) -> Plan:
    """Return what is to be deleted.

    :raises Refused: as long as the node does not serve from what has taken its place.
    """
    node = observed.node
    title = f"delete what the migration of node {node.name} left behind"
    if not observed.left and not observed.snapshots:
        return Plan(title, ())
    reasons = _reasons(observed)
    if reasons:
        raise Refused(f"nothing of node {node.name} is deleted", reasons=reasons, hint="fab status")
    volumes: list[Step] = [
        DeleteVolume(lane="volumes", volume=volume, replaced_by=volume.tags[tags.REPLACED_BY])
        for volume in observed.left
    ]
    snapshots: list[Step] = [DeleteSnapshot(lane="snapshots", snapshot=each) for each in observed.snapshots]
    return Plan(title, (*volumes, *snapshots), ("after that there is no way back to the old volumes",))


def _reasons(observed: Observed) -> list[str]:
    node = observed.node
    now = {volume.id for volume in node.volumes}
    reasons = [
        f"{old.id} was replaced by {old.tags[tags.REPLACED_BY]}, which is not the node's volume"
        for old in observed.left
        if old.tags[tags.REPLACED_BY] not in now
    ]
    reasons += [f"{old.id} is at {old.attachment.instance_id}" for old in observed.left if old.attachment]
    expected = node.livepeer.tags.get(tags.ADDRESS, "") if node.livepeer else ""
    if not observed.runs_as or observed.runs_as.lower() != expected.lower():
        reasons.append(f"the node does not serve as {expected or 'its account'} now: be sure of the new volumes first")
    return reasons
