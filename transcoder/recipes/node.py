"""Where is the node? One look at EC2, shared by all recipes."""

from __future__ import annotations

from dataclasses import dataclass

from transcoder import layout, shape, tags
from transcoder.actions.cloud import node_address
from transcoder.errors import Refused
from transcoder.layout import DataVolume
from transcoder.model import ElasticIp, Instance, Volume
from transcoder.world import World


@dataclass(frozen=True)
class NodeFacts:
    """What EC2 knows of a node: its volumes by role, its address, and the instances of the environment."""

    name: str
    livepeer: Volume | None
    geth: Volume | None
    address: ElasticIp | None
    instances: tuple[Instance, ...]
    replaced: tuple[Volume, ...] = ()
    """Volumes still tagged as the node's although a copy has taken their place: a migration was broken off there."""
    gone: tuple[Volume, ...] = ()
    """Volumes that stayed behind when the node went to another region."""
    parts: tuple[DataVolume, ...] = layout.VOLUMES
    """What a node of its environment consists of: without a geth only livepeer's volume."""
    strangers: tuple[Volume, ...] = ()
    """Volumes tagged as the node's with a role that a node of its environment does not have."""

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """The node's volumes that there are, livepeer's first."""
        found = [self.volume(data) for data in self.parts]
        return tuple(volume for volume in found if volume is not None)

    @property
    def missing(self) -> tuple[DataVolume, ...]:
        """What it should have and has not."""
        return tuple(data for data in self.parts if self.volume(data) is None)

    def volume(self, data: DataVolume) -> Volume | None:
        """Return the node's volume of this role."""
        return self.livepeer if data is layout.LIVEPEER else self.geth

    @property
    def gone_to(self) -> str:
        """The environment in which the node lives on: nothing but what stayed behind is left of one of its volumes."""
        missing = [data.role for data in self.missing]
        left = [volume for volume in self.gone if volume.tags.get(tags.ROLE) in missing]
        return left[-1].tags[tags.GONE_TO] if left else ""

    @property
    def carrier(self) -> Instance | None:
        """The instance that carries the node: the one that has the livepeer volume, else the one tagged for it."""
        bond = self.livepeer.attachment if self.livepeer else None
        if bond is not None:
            return self.by_id(bond.instance_id)
        return self.tagged

    @property
    def tagged(self) -> Instance | None:
        """The instance tagged as carrying the node. The tag moves when a migration has ended, not before."""
        found = [instance for instance in self.instances if instance.tags.get(tags.NODE) == self.name]
        return found[0] if found else None

    @property
    def target(self) -> Instance | None:
        """An instance that an unfinished migration of this node has launched."""
        found = [instance for instance in self.instances if instance.tags.get(tags.TARGET_FOR) == self.name]
        return found[0] if found else None

    def by_id(self, instance_id: str) -> Instance | None:
        """Return an instance of the environment by its id."""
        return next((instance for instance in self.instances if instance.id == instance_id), None)

    def find(self, reference: str) -> Instance:
        """Return the instance meant by a Name or an id.

        :raises Refused: when there is none or more than one.
        """
        found = [i for i in self.instances if reference in (i.id, i.tags.get(tags.NAME))]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{i.name} ({i.id}, {i.state})" for i in self.instances) or "none"
        problem = f"{len(found)} instances have that name" if found else "there is no such instance"
        raise Refused(f"instance {reference!r}: {problem} in this environment", hint=f"known: {known}")


def observe_node(world: World, name: str, *, even_gone: bool = False) -> NodeFacts:
    """Look at a node in EC2, with three calls.

    :param even_gone: for what can start nothing.
    :raises Refused: when two volumes claim the same role of the node, or two addresses the node, or it has a volume
        that a node of this environment has no place for, or the node has gone to another region: what stayed behind of
        it must never be started beside it.
    """
    facts = _look(world, name)
    if facts.strangers:
        raise Refused(
            f"node {name} consists of more than a node of this environment: {shape.said_of_geth(world.settings)}",
            reasons=stranger_reasons(facts),
            hint=f"set geth.enabled = true in {world.settings.path}, or name the environment that is meant with --env; "
            f"a volume that is not wanted any more: remove its tag {tags.NODE}",
        )
    if facts.gone_to and not even_gone:
        raise Refused(
            f"node {name} has gone from environment {world.settings.name} to {facts.gone_to}",
            reasons=[f"{volume.id} is what stayed behind of it, not the node" for volume in facts.gone],
            hint=f"fab status --env {facts.gone_to}; what is here can go: fab migrate --confirm "
            f"--env {world.settings.name} --to-env {facts.gone_to}",
        )
    return facts


def stranger_reasons(facts: NodeFacts) -> list[str]:
    """Say which volumes of a node its environment has no place for."""
    return [
        f"{volume.id} is tagged as its {volume.tags[tags.ROLE]} volume, and nothing here would stop, mount or move it"
        for volume in facts.strangers
    ]


def _look(world: World, name: str) -> NodeFacts:
    environment = {tags.ENVIRONMENT: world.settings.name}
    volumes = world.cloud.volumes(tags={**environment, tags.NODE: name})
    parts = shape.data_volumes(world.settings)
    found = {data.role: _only(volumes, data, name) for data in parts}
    now = {volume.id for volume in found.values() if volume is not None}
    behind = [volume for volume in volumes if tags.REPLACED_BY in volume.tags and tags.GONE_TO not in volume.tags]
    return NodeFacts(
        name=name,
        livepeer=found.get(layout.LIVEPEER.role),
        geth=found.get(layout.GETH.role),
        address=node_address(world, name),
        instances=world.cloud.instances(tags=environment),
        replaced=tuple(volume for volume in behind if volume.id not in now),
        gone=gone(volumes, name),
        parts=parts,
        strangers=strangers(volumes, parts, name),
    )


def gone(volumes: tuple[Volume, ...], node: str) -> tuple[Volume, ...]:
    """Return the volumes that stayed behind when a node went to another region."""
    return tuple(volume for volume in volumes if volume.tags.get(tags.NODE) == node and tags.GONE_TO in volume.tags)


def strangers(volumes: tuple[Volume, ...], parts: tuple[DataVolume, ...], node: str) -> tuple[Volume, ...]:
    """Return the volumes that claim a role of a node which it does not have in its environment."""
    others = [data for data in layout.VOLUMES if data not in parts]
    return tuple(volume for data in others for volume in current(volumes, data, node))


def current(volumes: tuple[Volume, ...], data: DataVolume, node: str) -> list[Volume]:
    """Return the volumes that claim a role of a node, but for those that another one has replaced.

    One that is announced to be replaced counts as long as no other claims the role: its copy is not the node's yet.
    """
    wanted = (node, data.role)
    tagged = [volume for volume in volumes if (volume.tags.get(tags.NODE), volume.tags.get(tags.ROLE)) == wanted]
    left = [volume for volume in tagged if tags.GONE_TO not in volume.tags]
    return [volume for volume in left if tags.REPLACED_BY not in volume.tags] or left


def _only(volumes: tuple[Volume, ...], data: DataVolume, node: str) -> Volume | None:
    found = current(volumes, data, node)
    if len(found) > 1:
        raise Refused(
            f"{len(found)} volumes are tagged as the {data.role} volume of node {node}",
            reasons=[f"{volume.id}: {volume.state}, {volume.size_gib} GiB, {volume.zone}" for volume in found],
            hint=f"remove the tag {tags.NODE} from all but one",
        )
    return found[0] if found else None
