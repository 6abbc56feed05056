"""The plan with which a node goes from one instance to another: the lanes of `transcoder.recipes.migrate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transcoder import guest, tags
from transcoder.actions.cloud import AssociateAddress, AttachVolume, DetachVolume, Tag
from transcoder.actions.guest import CheckVolume, HoldUnits, Mount, Place, ReleaseUnits, SeeDevice, Unmount
from transcoder.actions.services import StartUnit, StopUnit, WaitGethInSync, WaitLivepeerHealthy, stop_budget
from transcoder.guest import Guest
from transcoder.layout import GETH, LIVEPEER, VOLUMES, DataVolume
from transcoder.model import Instance, Volume
from transcoder.recipes.attach import device_name
from transcoder.step import Plan, Skip, Step
from transcoder.world import World

if TYPE_CHECKING:
    from transcoder.recipes.migrate import Observed


def is_at(volume: Volume | None, instance: Instance) -> bool:
    """Tell whether EC2 has a volume at this instance, on its way or there."""
    return volume is not None and volume.attachment is not None and volume.attachment.instance_id == instance.id


@dataclass(frozen=True)
class Move:
    """The plan of the move itself, lane by lane; both machines have been seen."""

    observed: Observed
    target: Instance
    target_guest: Guest

    def plan(self) -> Plan:
        """Put the lanes together."""
        node, source = self.observed.node, self.observed.source
        hold = HoldUnits(lane="prepare", instance=self.target, units=guest.UNITS, skip=self._skip(self._arrived))
        fence = self._source_hold()
        ready = (hold.key, *(step.key for step in fence))
        livepeer, geth = self._lane(LIVEPEER, ready), self._lane(GETH, ready)
        synced = WaitGethInSync(
            lane="geth",
            instance=self.target,
            budget=self.observed.settings.geth.in_sync_budget_seconds,
            skip=self._skip(self._serving if self._expected_address() else self._following),
        )
        started = self._skip(self.target_guest.service(GETH.service.unit).running)
        start_geth = StartUnit(lane="geth", instance=self.target, unit=GETH.service.unit, skip=started)
        address = self._address_lane(self._address_after(livepeer, geth, synced.key))
        before = (livepeer[-1].key, synced.key, *(step.key for step in address))
        steps = (hold, *fence, *livepeer, *geth, start_geth, synced, *address, *self._node_lane(before))
        origin = f" from {source.name} ({source.id})" if source else ""
        return Plan(f"migrate node {node.name}{origin} to {self.target.name} ({self.target.id})", steps)

    def _address_after(self, livepeer: list[Step], geth: list[Step], synced: str) -> tuple[str, ...]:
        """Return what must have ended before the Elastic IP moves.

        Where machines are reached by public addresses, the source loses its own with the Elastic IP, and the target
        the one it had: then nothing else may be going on at either. Else only the source must be done.
        """
        if self.observed.settings.ssh.address == "public":
            return (livepeer[-1].key, synced)
        return (_last_at_source(livepeer), _last_at_source(geth))

    def _source_hold(self) -> list[Step]:
        """Hold the source's units before the first stop: it costs no downtime there, and a livepeer that is started
        by anything in between would pull in geth and mount its volume again."""
        source, seen = self.observed.source, self.observed.source_guest
        volumes = [self.observed.node.volume(data) for data in VOLUMES]
        if source is None or seen is None or not any(is_at(volume, source) for volume in volumes):
            return []
        return [
            HoldUnits(lane="source", instance=source, units=guest.UNITS, skip=self._skip(set(guest.UNITS) <= seen.held))
        ]

    @property
    def _arrived(self) -> bool:
        """Whether both volumes are mounted at the target."""
        return all(self._mounted(data) for data in VOLUMES)

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
        leaving = self._leaving(data, volume, ready)
        here = self._skip(is_at(volume, self.target) and volume.attached_to(self.target.id))
        device = device_name(self.observed.settings, data)
        mounted = self._skip(self._mounted(data))
        lane, target = data.role, self.target
        place = Place(target, volume, data, self.observed.node.name)
        return [
            *leaving,
            AttachVolume(lane=lane, volume=volume, instance=target, device=device, label=data.label, skip=here),
            SeeDevice(lane=lane, place=place, skip=mounted),
            CheckVolume(lane=lane, place=place, skip=mounted),
            Mount(lane=lane, place=place, skip=mounted),
        ]

    def _leaving(self, data: DataVolume, volume: Volume, ready: tuple[str, ...]) -> list[Step]:
        source, seen = self.observed.source, self.observed.source_guest
        lane = data.role
        if source is not None and source.state == "stopped" and is_at(volume, source):
            return [DetachVolume(lane=lane, volume=volume, instance=source, label=data.label, after=ready)]
        if source is None or seen is None or not is_at(volume, source):
            return [_Gone(lane=lane, data_role=data.role, skip=Skip.DONE, after=ready)]
        unit = data.service.unit
        budget = stop_budget(self.observed.settings, data)
        stopped = seen.service(unit).active in ("inactive", "failed") and seen.service(unit).main_pid == 0
        return [
            StopUnit(lane=lane, instance=source, unit=unit, budget=budget, skip=self._skip(stopped), after=ready),
            Unmount(lane=lane, instance=source, data=data, skip=self._skip(not seen.mounted(data.mount))),
            DetachVolume(lane=lane, volume=volume, instance=source, label=data.label),
        ]

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
        release, units = self._skip(not self.target_guest.held & set(guest.UNITS) and self._arrived), guest.UNITS
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
        retired = [self._tag(source, {tags.RETIRED: name}, left, "retired, the node has left", after)] if source else []
        wanted, past = {tags.NODE: name, tags.ROLE: "node"}, (tags.TARGET_FOR, tags.RETIRED)
        return [*retired, self._tag(self.target, wanted, past, "carries the node", after)]

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


def _last_at_source(lane: list[Step]) -> str:
    """Return the key of the step with which a lane leaves the source."""
    return next(step.key for step in lane if isinstance(step, DetachVolume | _Gone))


@dataclass(frozen=True, kw_only=True)
class _Gone(Step):
    """Stands in the plan where the source has nothing left to do for a volume; never runs."""

    data_role: str
    verb = "leave"

    @property
    def title(self) -> str:
        return f"the source has let the {self.data_role} volume go"

    def do(self, world: World) -> None:
        raise AssertionError("a step that is always skipped was run")
