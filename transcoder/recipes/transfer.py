"""A migration to another zone: EBS volumes cannot leave theirs, so copies of them are made, by way of snapshots.

In stages, each observed and planned anew::

    1  early snapshots, while the node runs: what they store is not to be waited for again
    2  stop, unmount, final snapshots (of what has changed since), detach the old volumes, copies in the target's zone
    3  the copies to the target: attach, see, check label, marker and file system; then they take the old ones' place

and then the ordinary move, which mounts and starts. The old volumes stay, detached and tagged as retired, until
`fab migrate --confirm`. Final snapshots and copies of an earlier try count as long as the volume has stayed detached;
when it is attached again the node may have gone on writing to it, and they are discarded first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from transcoder import tags
from transcoder.actions.attachment import AttachVolume, DetachVolume
from transcoder.actions.cloud import Tag
from transcoder.actions.copies import (
    EARLY,
    FINAL,
    CopyVolume,
    DeleteSnapshot,
    DiscardCopy,
    TakeSnapshot,
    copy_of,
    snapshots_of,
)
from transcoder.actions.volume import CheckVolume, Place, SeeDevice
from transcoder.guest import Guest
from transcoder.layout import DataVolume
from transcoder.model import Instance, Snapshot, Volume
from transcoder.recipes.devices import names_for
from transcoder.recipes.leaving import fence, leave, prepare, retire_volume, skip_if
from transcoder.recipes.node import NodeFacts
from transcoder.recipes.obstacles import is_at
from transcoder.step import Plan, Step
from transcoder.world import World

if TYPE_CHECKING:
    from transcoder.recipes.migrate import Observed


DISCARDED = "the volumes are attached again, so the node may have written to them since; then: new copies"


@dataclass(frozen=True)
class Copies:
    """What there is of a node's volumes on the way to another zone: the copies by role, and the snapshots."""

    volumes: Mapping[str, Volume] = field(default_factory=dict)
    early: tuple[str, ...] = ()
    """The ids of the volumes that have an early snapshot, stored in full."""
    final: tuple[Snapshot, ...] = ()

    def volume(self, data: DataVolume) -> Volume | None:
        """Return the copy of this role."""
        return self.volumes.get(data.role)


NO_COPIES = Copies()


def observe_copies(world: World, node: NodeFacts, target: Instance) -> Copies:
    """Look for copies and snapshots; without a call when the volumes are in the target's zone."""
    volumes = {data.role: node.volume(data) for data in node.parts}
    away = {role: volume for role, volume in volumes.items() if volume is not None and volume.zone != target.zone}
    if not away:
        return NO_COPIES
    found = {role: copy_of(world, volume, target.zone) for role, volume in away.items()}
    early = [v.id for v in away.values() if _stored(snapshots_of(world, v, EARLY, target.id))]
    final = [snapshot for v in away.values() for snapshot in snapshots_of(world, v, FINAL, target.id)]
    copies = {role: copy for role, copy in found.items() if copy is not None}
    return Copies(copies, tuple(early), tuple(final))


def _stored(found: Sequence[Snapshot]) -> bool:
    return any(snapshot.state == "completed" for snapshot in found)


@dataclass(frozen=True)
class Transfer:
    """The plans of the stages before the move; both machines have been seen."""

    observed: Observed
    target: Instance
    target_guest: Guest

    def plan(self) -> Plan:
        """Return the stage that comes next."""
        if discarded := self._discard():
            return Plan(self._title("discard the copies of an earlier try"), tuple(discarded), (DISCARDED,))
        if self.observed.serving and not all(volume.id in self.observed.copies.early for _, volume in self._away):
            return self._early()
        if not all(self._copied(data) for data, _ in self._away):
            return self._copy()
        return self._take_over()

    @property
    def _away(self) -> list[tuple[DataVolume, Volume]]:
        """The volumes that are in another zone."""
        pairs = [(data, self.observed.node.volume(data)) for data in self.observed.node.parts]
        return [(data, volume) for data, volume in pairs if volume is not None and volume.zone != self.target.zone]

    def _copied(self, data: DataVolume) -> bool:
        """Tell whether there is a copy that nobody can have written past: its original has left every machine."""
        volume, copy = self.observed.node.volume(data), self.observed.copies.volume(data)
        return copy is not None and volume is not None and volume.attachment is None

    def _discard(self) -> list[Step]:
        """Return the steps that take away what an earlier try has copied of a volume that is attached again."""
        steps: list[Step] = []
        for data, volume in self._away:
            if volume.attachment is None:
                continue
            lane, copy = f"{data.role} copy", self.observed.copies.volume(data)
            if copy is not None and is_at(copy, self.target):
                steps.append(DetachVolume(lane=lane, volume=copy, instance=self.target, label=data.label))
            if copy is not None:
                steps.append(DiscardCopy(lane=lane, volume=copy))
            stale = [snapshot for snapshot in self.observed.copies.final if snapshot.volume_id == volume.id]
            steps += [DeleteSnapshot(lane=lane, snapshot=snapshot) for snapshot in stale]
        return steps

    def _title(self, what: str) -> str:
        return f"migrate node {self.observed.node.name} to {self.target.zone}: {what}"

    def _early(self) -> Plan:
        steps = [self._snapshot(data, volume, EARLY) for data, volume in self._away]
        then = "then: stop the node, take the final snapshots, make copies of the volumes in " + self.target.zone
        return Plan(self._title("early snapshots, while the node runs"), tuple(steps), (then,))

    def _snapshot(self, data: DataVolume, volume: Volume, stage: str, after: tuple[str, ...] = ()) -> TakeSnapshot:
        copies = self.observed.copies
        finals = [each.volume_id for each in copies.final if each.state == "completed"]
        done = volume.id in (copies.early if stage == EARLY else finals)
        return TakeSnapshot(
            lane=f"{data.role} copy" if stage == FINAL else data.role,
            volume=volume,
            node=self.observed.node.name,
            label=data.label,
            stage=stage,
            target_id=self.target.id,
            skip=skip_if(done),
            after=after,
        )

    def _copy(self) -> Plan:
        ready_target, fenced = prepare(self.observed, self.target, arrived=False), fence(self.observed)
        ready = (ready_target[-1].key, *(step.key for step in fenced))
        steps: list[Step] = [*ready_target, *fenced]
        for data, volume in self._away:
            steps += self._copy_lanes(data, volume, ready)
        then = f"then: the copies to {self.target.name}, checked there; the old volumes stay until --confirm"
        return Plan(self._title("copies of its volumes"), tuple(steps), (then,))

    def _copy_lanes(self, data: DataVolume, volume: Volume, ready: tuple[str, ...]) -> list[Step]:
        """Stop, unmount and detach the volume; the snapshot is taken as soon as its file system is unmounted."""
        leaving = leave(self.observed, data, volume, ready)
        snapshot = self._snapshot(data, volume, FINAL, after=(leaving[-1].key,))
        copy = CopyVolume(
            lane=f"{data.role} copy",
            volume=volume,
            zone=self.target.zone,
            node=self.observed.node.name,
            label=data.label,
            target_id=self.target.id,
            skip=skip_if(self._copied(data)),
        )
        return [*leaving, snapshot, copy]

    def _take_over(self) -> Plan:
        """Bring the copies to the target, prove there what they are, and let them be the node's volumes."""
        steps: list[Step] = [*prepare(self.observed, self.target, arrived=False)]
        ready, checked = (steps[-1].key,), []
        for data, volume in self._away:
            lane = self._arrive(data, volume, ready)
            steps += lane
            checked.append(lane[-1].key)
        for data, volume in self._away:
            steps += self._swap(data, volume, tuple(checked))
        then = "then: mount, start, move the Elastic IP, as in every migration"
        old = " and ".join(volume.id for _, volume in self._away)
        stay = f"{old} stay, detached, until you are sure of the node: fab migrate --confirm"
        return Plan(self._title("the copies take the place of its volumes"), tuple(steps), (then, stay))

    def _arrive(self, data: DataVolume, volume: Volume, ready: tuple[str, ...]) -> list[Step]:
        copy = self.observed.copies.volume(data)
        assert copy is not None  # noqa: S101 - this stage begins when there is one
        device, *spares = names_for(self.observed.settings, self.target, data, copy) or ("",)
        place = Place(self.target, copy, data, self.observed.node.name)
        return [
            AttachVolume(
                lane=data.role,
                volume=copy,
                instance=self.target,
                device=device,
                spares=tuple(spares),
                label=data.label,
                skip=skip_if(is_at(copy, self.target) and copy.attached_to(self.target.id)),
                after=ready,
            ),
            SeeDevice(lane=data.role, place=place),
            CheckVolume(lane=data.role, place=place),
        ]

    def _swap(self, data: DataVolume, volume: Volume, after: tuple[str, ...]) -> list[Step]:
        """Make the copy the node's volume, in an order in which there is exactly one at every moment.

        A volume that is replaced by another one of the same node does not count (`transcoder.recipes.node`).
        """
        copy, node = self.observed.copies.volume(data), self.observed.node.name
        assert copy is not None  # noqa: S101 - this stage begins when there is one
        known = {tags.NODE: node, tags.ROLE: data.role}
        lane, old, new = f"{data.role} tags", f"the old {data.role} volume", f"the new {data.role} volume"
        replaced, now = {tags.REPLACED_BY: copy.id}, f"it is node {node}'s now"
        return [
            _Announce(lane=lane, resource_id=volume.id, what=old, why=f"-> {copy.id}", set_tags=replaced, after=after),
            Tag(lane=lane, resource_id=copy.id, what=new, why=now, set_tags=known),
            retire_volume(lane, volume, node),
        ]


@dataclass(frozen=True, kw_only=True)
class _Announce(Tag):
    """The first of two tags of one resource in a lane."""

    verb: ClassVar[str] = "announce"
