"""The plan with which a node goes from one instance to another: the lanes of `transcoder.recipes.migrate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transcoder import shape, tags
from transcoder.actions.attachment import AttachVolume
from transcoder.actions.cloud import AssociateAddress, Tag
from transcoder.actions.guest import ReleaseUnits
from transcoder.actions.services import MountAndStart, StartUnit, WaitGethInSync, WaitLivepeerHealthy
from transcoder.actions.volume import CheckVolume, Mount, Place
from transcoder.guest import Guest
from transcoder.layout import GETH, LIVEPEER, DataVolume
from transcoder.model import Instance
from transcoder.recipes.devices import names_for
from transcoder.recipes.leaving import end, fence, last_at_source, leave, prepare, retire_volume
from transcoder.recipes.obstacles import is_at
from transcoder.step import Plan, Skip, Step

if TYPE_CHECKING:
    from transcoder.recipes.migrate import Observed


LAZY = (
    "{volumes} come from snapshots: EBS fetches each block when it is first read, so the node serves before all is "
    'loaded, and reads are slow until then (docs/migration.md, "To another zone")'
)


@dataclass(frozen=True)
class Move:
    """The plan of the move itself, lane by lane; both machines have been seen."""

    observed: Observed
    target: Instance
    target_guest: Guest

    def plan(self) -> Plan:
        """Put the lanes together."""
        node, source = self.observed.node, self.observed.source
        ready_target, fenced = prepare(self.observed, self.target, arrived=self._arrived), fence(self.observed)
        ready = (ready_target[-1].key, *(step.key for step in fenced))
        lanes = [[*self._lane(data, ready), *self._chain_steps(data)] for data in node.parts]
        address = self._address_lane(self._address_after(lanes))
        before = (*(lane[-1].key for lane in lanes), *(step.key for step in address))
        moved = [step for lane in lanes for step in lane]
        steps = (*ready_target, *fenced, *moved, *address, *self._node_lane(before))
        origin = f" from {source.name} ({source.id})" if source else ""
        return Plan(f"migrate node {node.name}{origin} to {self.target.name} ({self.target.id})", steps, self._notes())

    def _chain_steps(self, data: DataVolume) -> list[Step]:
        """Return what geth's lane ends with, once geth is up."""
        if data is not GETH:
            return []
        budget = self.observed.settings.geth.in_sync_budget_seconds
        done = self._skip(self._serving if self._expected_address() else self._following)
        return [WaitGethInSync(lane=data.role, instance=self.target, budget=budget, skip=done)]

    def _notes(self) -> tuple[str, ...]:
        """Say what the operator should know of volumes that were made from a snapshot."""
        copies = [volume.id for volume in self.observed.node.volumes if volume.snapshot_id]
        if not copies or self._serving:
            return ()
        return (LAZY.format(volumes=" and ".join(copies)),)

    def _address_after(self, lanes: list[list[Step]]) -> tuple[str, ...]:
        """Return what must have ended before the Elastic IP moves.

        Where machines are reached by public addresses, the source loses its own with the Elastic IP, and the target
        the one it had: then nothing else may be going on at either. Else only the source must be done.
        """
        if self.observed.settings.ssh.address == "public":
            return tuple(lane[-1].key for lane in lanes)
        return tuple(last_at_source(lane) for lane in lanes)

    @property
    def _arrived(self) -> bool:
        """Whether its volumes are mounted at the target."""
        return all(self._mounted(data) for data in self.observed.node.parts)

    @property
    def _serving(self) -> bool:
        """Whether the node's livepeer answers at the target, as the node's account."""
        expected, runs_as = self._expected_address(), self.observed.target_runs_as
        return bool(runs_as) and self._arrived and (not expected or runs_as.lower() == expected.lower())

    @property
    def _following(self) -> bool:
        """Whether geth runs at the target: all there is to a node without a key."""
        return self._arrived and self.target_guest.service(GETH.service.unit).running

    def _mounted(self, data: DataVolume) -> bool:
        volume = self.observed.node.volume(data)
        return is_at(volume, self.target) and self.target_guest.mounted(data.mount)

    @staticmethod
    def _skip(done: bool) -> Skip | None:
        return Skip.DONE if done else None

    def _lane(self, data: DataVolume, ready: tuple[str, ...]) -> list[Step]:
        """Away from the source, over to the target, mounted there."""
        volume = self.observed.node.volume(data)
        assert volume is not None  # noqa: S101 - a missing volume was a reason to refuse
        leaving = leave(self.observed, data, volume, ready)
        here = self._skip(is_at(volume, self.target) and volume.attached_to(self.target.id))
        device, *spares = names_for(self.observed.settings, self.target, data, volume) or ("",)
        mounted = self._skip(self._mounted(data))
        lane, target, request = data.role, self.target, self.observed.request
        thorough = request.source_lost or volume.id in request.force_detach
        place = Place(target, volume, data, self.observed.node.name)
        return [
            *leaving,
            AttachVolume(
                lane=lane,
                volume=volume,
                instance=target,
                device=device,
                spares=tuple(spares),
                label=data.label,
                skip=here,
            ),
            CheckVolume(lane=lane, place=place, thorough=thorough, skip=mounted, after=self._turn(data)),
            self._bring_up(place, mounted),
        ]

    def _bring_up(self, place: Place, mounted: Skip | None) -> Step:
        """geth may run as soon as its volume is mounted; livepeer's turn comes when all is there."""
        unit = place.data.service.unit
        if place.data is LIVEPEER:
            return Mount(lane=place.data.role, place=place, skip=mounted)
        running = mounted if self.target_guest.service(unit).running else None
        return MountAndStart(lane=place.data.role, place=place, unit=unit, skip=running)

    def _turn(self, data: DataVolume) -> tuple[str, ...]:
        """Return what must have ended before a volume is looked at on the target.

        geth's lane is the longer one, since it has to be in sync: livepeer's volume has that long, and waits. Alone it
        waits for nobody.
        """
        waits = data is LIVEPEER and GETH in self.observed.node.parts
        return (f"{GETH.role}/{MountAndStart.verb}",) if waits else ()

    def _address_lane(self, after: tuple[str, ...]) -> list[Step]:
        address = self.observed.node.address
        if address is None:
            return []
        done = self._skip(address.instance_id == self.target.id)
        return [AssociateAddress(lane="address", address=address, instance=self.target, skip=done, after=after)]

    def _node_lane(self, before: tuple[str, ...]) -> list[Step]:
        settings, target = self.observed.settings, self.target
        expected = self._expected_address()
        serving = self._skip(self._serving)
        start: list[Step] = []
        if expected:
            start = [
                StartUnit(lane="node", instance=target, unit=LIVEPEER.service.unit, skip=serving, after=before),
                WaitLivepeerHealthy(
                    lane="node",
                    instance=target,
                    address=expected,
                    budget=settings.livepeer.healthy_budget_seconds,
                    skip=serving,
                ),
            ]
        # All of them: those that were mounted or running when a run that went on held them stay held otherwise.
        units = shape.units(settings)
        release = self._skip(not self.target_guest.held & set(units) and self._arrived)
        freed = ReleaseUnits(lane="node", instance=target, units=units, skip=release, after=() if start else before)
        return [*start, freed, *self._tag_lane(freed.key)]

    def _expected_address(self) -> str:
        volume, marker = self.observed.node.livepeer, self.observed.target_marker
        known = volume.tags.get(tags.ADDRESS, "") if volume else ""
        return known or (marker.address if marker else "")

    def _tag_lane(self, after: str) -> list[Step]:
        """Tag the source, then the target: its tag as a target goes last of all, since a run goes on by that tag."""
        name, source = self.observed.node.name, self.observed.source
        left = (tags.NODE, tags.ROLE, tags.TARGET_FOR)
        retired: list[Step] = []
        # One that was launched for the node and never became its machine stays a target: `--to new` takes it again.
        still_a_target = source is not None and tags.TARGET_FOR in source.tags and tags.NODE not in source.tags
        if source is not None and not still_a_target:
            retired.append(self._tag(source, {tags.RETIRED: name}, left, "retired, the node has left", after))
        wanted, past = {tags.NODE: name, tags.ROLE: "node"}, (tags.TARGET_FOR, tags.RETIRED)
        carries = self._tag(self.target, wanted, past, "carries the node", after)
        retired += [retire_volume("tags", volume, name, (after,)) for volume in self.observed.node.replaced]
        return [*retired, *end(self.observed.node.livepeer, after, begun=not self._arrived), carries]

    def _tag(self, instance: Instance, wanted: Mapping[str, str], remove: tuple[str, ...], why: str, after: str) -> Tag:
        present = tuple(key for key in remove if key in instance.tags)
        done = all(instance.tags.get(key) == value for key, value in wanted.items()) and not present
        return Tag(
            lane="tags",
            resource_id=instance.id,
            what=instance.name,
            why=why,
            set_tags=wanted,
            remove=present,
            skip=self._skip(done),
            after=(after,),
        )
