"""How a node's volumes leave the machine that they are at, and what is made ready before: shared by all migrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transcoder import shape, tags
from transcoder.actions.attachment import DetachVolume
from transcoder.actions.cloud import StopInstance, Tag
from transcoder.actions.guest import HoldUnits, WaitClock, WarmUp, is_right
from transcoder.actions.services import StopUnit, stop_budget
from transcoder.actions.volume import Unmount
from transcoder.layout import GETH, LIVEPEER, DataVolume
from transcoder.model import Instance, Volume
from transcoder.recipes.node import NodeFacts
from transcoder.recipes.obstacles import is_at, needs_source
from transcoder.step import Skip, Step
from transcoder.world import World

if TYPE_CHECKING:
    from transcoder.recipes.migrate import Observed


def skip_if(done: bool) -> Skip | None:
    """Return why a step is not run when the plan knows that it is done."""
    return Skip.DONE if done else None


def prepare(observed: Observed, target: Instance, *, arrived: bool) -> list[Step]:
    """Get the target ready, before anything stops: nothing starts there by itself, its clock is right, and EC2 says
    that a migration to it has begun, so that anybody who looks can tell how to go on."""
    units = shape.units(observed.settings)
    steps: list[Step] = [HoldUnits(lane="prepare", instance=target, units=units, skip=skip_if(arrived))]
    survey, volume = observed.surveys[1], observed.node.livepeer
    if survey is not None:
        right = survey.tracking is not None and is_right(survey.tracking)
        steps.append(WarmUp(lane="prepare", instance=target, skip=skip_if(arrived)))
        steps.append(WaitClock(lane="prepare", instance=target, skip=skip_if(right)))
    if volume is not None:
        begun = arrived or volume.tags.get(tags.MOVING_TO) == target.id
        steps.append(_begin(volume, target, begun))
    return steps


def _begin(volume: Volume, target: Instance, begun: bool) -> Tag:
    return Tag(
        lane="prepare",
        resource_id=volume.id,
        what="the livepeer volume",
        why=f"a migration to {target.name} has begun",
        set_tags={tags.MOVING_TO: target.id},
        skip=skip_if(begun),
    )


def retire_volume(lane: str, volume: Volume, node: str, after: tuple[str, ...] = ()) -> Tag:
    """Take a volume that a copy has replaced away from its node; it stays until the operator has confirmed."""
    return Tag(
        lane=lane,
        resource_id=volume.id,
        what=f"the old {volume.tags.get(tags.ROLE, '')} volume",
        why="kept until --confirm",
        set_tags={tags.RETIRED: node},
        remove=(tags.NODE, tags.MOVING_TO),
        after=after,
    )


def end(volume: Volume | None, after: str = "", *, begun: bool = False) -> list[Step]:
    """Take back what `prepare` wrote down, or what it will have written when this step's turn has come (``begun``)."""
    if volume is None or not (begun or tags.MOVING_TO in volume.tags):
        return []
    why, gone = "no migration is under way any more", (tags.MOVING_TO,)
    return [
        Tag(
            lane="tags",
            resource_id=volume.id,
            what="the livepeer volume",
            why=why,
            set_tags={},
            remove=gone,
            after=(after,) if after else (),
        )
    ]


def retire_others(node: NodeFacts, carrier: Instance) -> list[Tag]:
    """Take the node's tag off every other instance: it was detached from there."""
    others = [i for i in node.instances if i.tags.get(tags.NODE) == node.name and i.id != carrier.id]
    return [
        Tag(
            lane="tags",
            resource_id=other.id,
            what=other.name,
            why="retired, the node has left",
            set_tags={tags.RETIRED: node.name},
            remove=tuple(key for key in (tags.NODE, tags.ROLE) if key in other.tags),
        )
        for other in others
    ]


def fence(observed: Observed) -> list[Step]:
    """Return what keeps the source from running the node, before anything leaves it.

    A source that answers has its units held: it costs no downtime there, and a livepeer that is started by anything in
    between would pull in geth and mount its volume again. One that does not answer is stopped through EC2.
    """
    source, seen, units = observed.source, observed.source_guest, shape.units(observed.settings)
    if source is None or not any(is_at(volume, source) for volume in observed.node.volumes):
        return []
    if seen is not None:
        held = set(units) <= seen.held
        return [HoldUnits(lane="source", instance=source, units=units, skip=skip_if(held))]
    if observed.request.source_lost and needs_source(observed):
        budget = float(observed.settings.instance.stop_budget_seconds)
        return [StopInstance(lane="source", instance=source, budget=budget)]
    return []


def leave(observed: Observed, data: DataVolume, volume: Volume, ready: tuple[str, ...]) -> list[Step]:
    """Return the steps with which a volume leaves the source: what runs on it stops first, where it can.

    From a machine that is stopped it is simply detached.
    """
    source, seen, lane = observed.source, observed.source_guest, data.role
    if source is None or not is_at(volume, source):
        return [Gone(lane=lane, data_role=data.role, skip=Skip.DONE, after=ready)]
    force = volume.id in observed.request.force_detach
    detach = DetachVolume(lane=lane, volume=volume, instance=source, label=data.label, force=force)
    if seen is None:
        return [DetachVolume(lane=lane, volume=volume, instance=source, label=data.label, force=force, after=ready)]
    return [*quiet(observed, data, ready), detach]


def quiet(observed: Observed, data: DataVolume, ready: tuple[str, ...]) -> list[Step]:
    """Return the steps that stop what runs on a volume at the source, and unmount it."""
    source, seen, unit = observed.source, observed.source_guest, data.service.unit
    assert source is not None  # noqa: S101 - the caller has looked
    assert seen is not None  # noqa: S101 - the caller has looked
    state, budget = seen.service(unit), stop_budget(observed.settings, data)
    stopped = skip_if(state.active in ("inactive", "failed") and state.main_pid == 0)
    return [
        StopUnit(
            lane=data.role,
            instance=source,
            unit=unit,
            budget=budget,
            skip=stopped,
            after=(*ready, *_turn(observed, data, source, StopUnit.verb)),
        ),
        Unmount(
            lane=data.role,
            instance=source,
            data=data,
            skip=skip_if(not seen.mounted(data.mount)),
            after=_turn(observed, data, source, Unmount.verb),
        ),
    ]


def _turn(observed: Observed, data: DataVolume, source: Instance, verb: str) -> tuple[str, ...]:
    """Return which step of geth's lane must have ended before livepeer's lane takes the same one.

    geth may take minutes to stop, and the downtime begins with the stop of livepeer: it serves until geth has ended.
    geth's lane is the longer one, too, since it has to be in sync at the target: a source with few processors
    unmounts its volume first.
    """
    geth_leaves = is_at(observed.node.volume(GETH), source)
    return (f"{GETH.role}/{verb}",) if data is LIVEPEER and geth_leaves else ()


def last_at_source(lane: list[Step]) -> str:
    """Return the key of the step with which a lane leaves the source."""
    return next(step.key for step in lane if isinstance(step, DetachVolume | Gone))


@dataclass(frozen=True, kw_only=True)
class Gone(Step):
    """Stands in the plan where the source has nothing left to do for a volume; never runs."""

    data_role: str
    verb = "leave"

    @property
    def title(self) -> str:
        return f"the source has let the {self.data_role} volume go"

    def do(self, world: World) -> None:
        raise AssertionError("a step that is always skipped was run")
