"""What there is of a node here, and of what is to become of it in another region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transcoder import tags
from transcoder.actions.copies import EARLY, FINAL
from transcoder.actions.services import livepeer_round
from transcoder.errors import Refused
from transcoder.guest import Guest
from transcoder.layout import DataVolume
from transcoder.model import Instance, Snapshot, Volume
from transcoder.recipes import migrate
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.recipes.preflight import Survey, livepeer_runs, survey
from transcoder.settings import Settings
from transcoder.world import World


@dataclass(frozen=True)
class Here:
    """The region that the node leaves."""

    leaving: migrate.Observed
    """The node and the machine that it is at, as a migration within the region sees them; without a target."""
    own: Mapping[str, Volume]
    """The node's volumes by role, or what is left of them here when the node has gone."""
    snapshots: tuple[Snapshot, ...]
    survey: Survey | None

    def volume(self, data: DataVolume) -> Volume | None:
        """Return the volume of this role."""
        return self.own.get(data.role)

    @property
    def parts(self) -> tuple[DataVolume, ...]:
        """What the node consists of."""
        return self.leaving.node.parts

    def is_gone(self, data: DataVolume) -> bool:
        """Tell whether this volume has been left behind for good."""
        volume = self.volume(data)
        return volume is not None and tags.GONE_TO in volume.tags

    def stored(self, data: DataVolume, stage: str) -> Snapshot | None:
        """Return the newest snapshot of a volume and a stage that EC2 has stored."""
        volume = self.volume(data)
        found = [s for s in self.snapshots if volume is not None and _is_of(s, volume.id, stage)]
        return next((s for s in reversed(found) if s.state == "completed"), None)


@dataclass(frozen=True)
class There:
    """The region that the node goes to. ``target`` is None until it is launched, with ``launch`` or not at all."""

    settings: Settings
    node: NodeFacts
    target: Instance | None
    guest: Guest | None
    problem: str
    survey: Survey | None
    launch: migrate.LaunchFacts | None
    no_launch: str
    """Why no target can be launched."""
    copies: Mapping[str, Volume]
    """By role."""
    snapshots: tuple[Snapshot, ...]

    def copy(self, data: DataVolume) -> Volume | None:
        """Return the copy of this role."""
        return self.copies.get(data.role)

    def has(self, origin: Snapshot) -> bool:
        """Tell whether a snapshot has been copied to here."""
        return any(s.tags.get(tags.COPY_OF) == origin.id and s.state == "completed" for s in self.snapshots)

    def finals_of(self, volume: Volume) -> tuple[Snapshot, ...]:
        """Return the copies of a volume's final snapshots."""
        return tuple(snapshot for snapshot in self.snapshots if _is_of(snapshot, volume.id, FINAL))


@dataclass(frozen=True)
class Both:
    """All that a plan is made from."""

    request: migrate.Request
    here: Here
    there: There
    world: World
    """The world that the node goes to: plans for it run there."""

    @property
    def serving(self) -> bool:
        """Whether the node still runs here, so that what can be refused must be refused now."""
        return self.here.leaving.serving

    @property
    def departed(self) -> bool:
        """Whether there is no way back: the node lives on in the other region."""
        return any(self.here.is_gone(data) for data in self.here.parts)

    def early_stored(self, data: DataVolume) -> bool:
        """Tell whether a volume has an early snapshot here."""
        return self.here.stored(data, EARLY) is not None

    def early_copied(self, data: DataVolume) -> bool:
        """Tell whether an early snapshot of a volume has been copied there."""
        origin = self.here.stored(data, EARLY)
        return origin is not None and self.there.has(origin)

    def left(self, data: DataVolume) -> bool:
        """Tell whether a volume is at no machine any more and its final snapshot is stored."""
        volume = self.here.volume(data)
        return volume is not None and volume.attachment is None and self.here.stored(data, FINAL) is not None

    def copied(self, data: DataVolume) -> bool:
        """Tell whether there is a copy there that nobody can have written past."""
        copy = self.there.copy(data)
        return copy is not None and copy.state in ("available", "in-use") and self.left(data)


def observe(here: World, there: World, request: migrate.Request) -> Both:
    """Look at both regions.

    :raises Refused: when the node is unknown in both, or the target is not there.
    """
    node_here = observe_node(here, request.node, even_gone=True)
    node_there = observe_node(there, request.node, even_gone=True)
    pairs = {data.role: _pair(node_here, there, data) for data in node_here.parts}
    own = {role: volume for role, (volume, _) in pairs.items() if volume is not None}
    departed = any(tags.GONE_TO in volume.tags for volume in own.values())
    target = _target(request, node_there, departed=departed)
    found = {role: _copy(volume, copies, target) for role, (volume, copies) in pairs.items()}
    copies = {role: copy for role, copy in found.items() if copy is not None}
    side = _there(there, request, node_there, target, copies)
    return Both(request, _here(here, there.settings.name, request, node_here, own), side, there)


def _pair(node: NodeFacts, there: World, data: DataVolume) -> tuple[Volume | None, tuple[Volume, ...]]:
    """Return a volume of the node, or what is left of it, and its copies there.

    Of a node that has come and gone several times the one counts whose copy has not been left behind itself.
    """
    live = node.volume(data)
    if live is not None:
        return live, _copies(there, live)
    role, name = data.role, there.settings.name
    for volume in node.gone:
        if volume.tags.get(tags.ROLE) == role and volume.tags[tags.GONE_TO] == name:
            copies = tuple(copy for copy in _copies(there, volume) if tags.GONE_TO not in copy.tags)
            if volume.tags.get(tags.REPLACED_BY) in [copy.id for copy in copies]:
                return volume, copies
    return None, ()


def _copies(there: World, volume: Volume) -> tuple[Volume, ...]:
    return there.cloud.volumes(tags={tags.ENVIRONMENT: there.settings.name, tags.COPY_OF: volume.id})


def _copy(volume: Volume | None, found: Sequence[Volume], target: Instance | None) -> Volume | None:
    """Return the copy that took a volume's place; before that, the one in the target's zone."""
    if volume is None:
        return None
    if tags.GONE_TO in volume.tags:
        return next((copy for copy in found if copy.id == volume.tags.get(tags.REPLACED_BY)), None)
    return next((copy for copy in found if target is not None and copy.zone == target.zone), None)


def _target(request: migrate.Request, node: NodeFacts, *, departed: bool) -> Instance | None:
    if request.to != migrate.NEW:
        return node.find(request.to)
    return node.target or (node.carrier if departed else None)


def _here(world: World, to: str, request: migrate.Request, node: NodeFacts, own: Mapping[str, Volume]) -> Here:
    source = migrate.source_of(node, None)
    seen, problem = migrate.look(world, source)
    serving = source is not None and livepeer_runs(seen)
    surveyed = survey(world, source) if serving and source is not None else None
    leaving = migrate.Observed(
        world.settings,
        request,
        node,
        source,
        seen,
        problem,
        None,
        None,
        "",
        "",
        round=livepeer_round(world.hosts(source), world.settings) if serving and source is not None else None,
    )
    return Here(leaving, own, moved(world, request.node, to), surveyed)


def _there(
    world: World,
    request: migrate.Request,
    node: NodeFacts,
    target: Instance | None,
    copies: Mapping[str, Volume],
) -> There:
    seen, problem = migrate.look_at_target(world, target)
    launch, refused = (None, "") if target is not None else _launch(world, node, request)
    surveyed = survey(world, target) if target is not None and seen is not None else None
    snapshots = moved(world, request.node, world.settings.name)
    return There(world.settings, node, target, seen, problem, surveyed, launch, refused, copies, snapshots)


def _launch(world: World, node: NodeFacts, request: migrate.Request) -> tuple[migrate.LaunchFacts | None, str]:
    try:
        return migrate.launch_facts(world, node, request), ""
    except Refused as refused:
        name = world.settings.name
        return None, (
            f"{refused.message}: invoke bake-ami --env {name}, or copy the image of the node to "
            f"{world.settings.aws.region} (EC2 CopyImage) and give the copy the tag {tags.ENVIRONMENT}={name}"
        )


def moved(world: World, node: str, to: str) -> tuple[Snapshot, ...]:
    """Return the snapshots in a region that belong to a migration of the node to this environment, newest last."""
    wanted = {tags.ENVIRONMENT: world.settings.name, tags.RETIRED: node, tags.MOVING_TO: to}
    return tuple(each for each in world.cloud.snapshots(tags=wanted) if tags.SNAPSHOT_OF in each.tags)


def _is_of(snapshot: Snapshot, volume_id: str, stage: str) -> bool:
    return (snapshot.tags.get(tags.SNAPSHOT_OF), snapshot.tags.get(tags.STAGE)) == (volume_id, stage)
