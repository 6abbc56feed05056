"""`fab migrate --confirm --to-env WEST`: the end of a migration to another region. What stayed behind is deleted."""

from __future__ import annotations

from transcoder import tags
from transcoder.actions.cloud import Tag
from transcoder.actions.copies import DeleteSnapshot, DeleteVolume
from transcoder.model import Volume
from transcoder.operate import Elsewhere, Operation
from transcoder.recipes import confirm
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.recipes.two_regions import moved
from transcoder.step import Plan, Step
from transcoder.world import World


def operation(node: str, there: World) -> Operation:
    """Return the operation for `transcoder.operate`; it is started in the world that the node has left."""
    name = f"fab migrate --confirm --to-env {there.settings.name}"
    return Operation(name, node, lambda here: _plan(here, there, node), also=(there,))


def _plan(here: World, there: World, node: str) -> Plan:
    """Return what is to be deleted: the snapshots there, then volumes and snapshots here.

    Of a node that has come back here meanwhile, what it had left behind before that is older than what it runs on.

    :raises Refused: as long as the node does not serve from what has taken its place.
    """
    name, region = there.settings.name, there.settings.aws.region
    behind, snapshots = observe_node(here, node, even_gone=True), moved(there, node, name)
    left = tuple(v for v in behind.gone if v.tags[tags.GONE_TO] == name)
    own = moved(here, node, name)
    title = f"delete what the migration of node {node} to {region} left behind"
    if not (left or own or snapshots):
        return Plan(title, ())
    back = not behind.gone_to and behind.livepeer is not None
    where = here if back else there
    now = observe_node(where, node)
    runs_as = confirm.runs_as(where, now.carrier) if now.carrier is not None else ""
    plan = confirm.plan(confirm.Observed(now, runs_as, () if back else left, own or snapshots))
    rest = _older(left) if back else _let_go(behind)
    if snapshots:
        steps = [DeleteSnapshot(lane="snapshots", snapshot=each) for each in snapshots]
        note = f"then: the volumes and snapshots in {here.settings.aws.region}; after that there is no way back to them"
        return Elsewhere(f"{title}: the snapshots there", tuple(steps), (note,), world=there)
    return Plan(title, (*plan.steps, *rest), plan.notes)


def _older(left: tuple[Volume, ...]) -> list[Step]:
    return [
        DeleteVolume(lane="volumes", volume=volume, replaced_by=volume.tags[tags.REPLACED_BY])
        for volume in left
        if volume.attachment is None
    ]


def _let_go(behind: NodeFacts) -> list[Step]:
    """Return the end of the node's hold on its old address: it is released by hand, since others may know it."""
    address = behind.address
    if address is None:
        return []
    why = f"no longer the node's: aws ec2 release-address --allocation-id {address.allocation_id}"
    return [
        Tag(
            lane="address",
            resource_id=address.allocation_id,
            what=f"Elastic IP {address.public_ip}",
            why=why,
            set_tags={tags.RETIRED: behind.name},
            remove=(tags.NODE,),
        )
    ]
