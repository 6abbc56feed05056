"""The plans of a migration to another region, each of which runs wholly in one of the two. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from transcoder import tags
from transcoder.actions.attachment import AttachVolume, the_volume
from transcoder.actions.cloud import AllocateAddress, AssociateAddress, Tag
from transcoder.actions.copies import EARLY, FINAL, CopySnapshot, CopyVolume, DeleteSnapshot, DiscardCopy, TakeSnapshot
from transcoder.actions.guest import WaitClock, WaitReachable, is_right
from transcoder.errors import Failed
from transcoder.layout import LIVEPEER, DataVolume
from transcoder.model import Instance, Snapshot, Volume
from transcoder.operate import Elsewhere
from transcoder.recipes.devices import names_for
from transcoder.recipes.launch import launch_step
from transcoder.recipes.leaving import end, fence, leave, retire_others, skip_if
from transcoder.recipes.two_regions import Both
from transcoder.step import Plan, Step
from transcoder.world import World

LAZY = (
    "EBS fetches each block of the new volumes when it is first read, so the node serves before all is loaded "
    '(docs/migration.md, "To another zone")'
)
DISCARDED = "the volumes are attached again, so the node may have written to them since; then: new copies"


@dataclass(frozen=True, kw_only=True)
class Depart(Tag):
    """Write on a volume that its node goes on in another region: from then on nothing here starts it.

    EBS does not fence a volume against its copy, so this comes before the copy is the node's; and it is refused when
    the volume has come to a machine again since its final snapshot.
    """

    verb: ClassVar[str] = "depart"

    def do(self, world: World) -> None:
        bond = the_volume(world, self.resource_id).attachment
        if bond is not None:
            raise Failed(
                f"{self.title}: it is {bond.state} at {bond.instance_id} again",
                hint="the same command again takes a new copy of it",
            )
        super().do(world)


@dataclass(frozen=True)
class Legs:
    """Makes each of the plans; none of them does a thing that is done."""

    both: Both

    # here or there

    def _title(self, what: str) -> str:
        there = self.both.there.settings
        return f"migrate node {self.both.request.node} to {there.aws.region} ({there.name}): {what}"

    def _here(self, what: str, steps: list[Step], *notes: str) -> Plan:
        return Plan(self._title(what), tuple(steps), notes)

    def _there(self, what: str, steps: list[Step], *notes: str) -> Plan:
        return Elsewhere(self._title(what), tuple(steps), notes, world=self.both.world)

    @property
    def _volumes(self) -> list[tuple[DataVolume, Volume]]:
        pairs = [(data, self.both.here.volume(data)) for data in self.both.here.parts]
        return [(data, volume) for data, volume in pairs if volume is not None]

    @property
    def _environment(self) -> str:
        return self.both.there.settings.name

    # what an earlier try has left

    def discard_there(self) -> Plan | None:
        """Return the end of the copies of volumes that have come to a machine again."""
        steps: list[Step] = []
        for data, volume in self._volumes:
            copy = self.both.there.copy(data)
            if volume.attachment is not None:
                steps += [] if copy is None else [DiscardCopy(lane=data.role, volume=copy)]
                steps += [DeleteSnapshot(lane=data.role, snapshot=old) for old in self.both.there.finals_of(volume)]
        return self._there("discard the copies of an earlier try", steps, DISCARDED) if steps else None

    def discard_here(self) -> Plan | None:
        """Return the end of the final snapshots of volumes that have come to a machine again."""
        steps: list[Step] = [
            DeleteSnapshot(lane=data.role, snapshot=old)
            for data, volume in self._volumes
            if volume.attachment is not None
            for old in self.both.here.snapshots
            if (old.tags[tags.SNAPSHOT_OF], old.tags.get(tags.STAGE)) == (volume.id, FINAL)
        ]
        return self._here("discard the final snapshots of an earlier try", steps, DISCARDED) if steps else None

    # while the node runs

    def early(self) -> Plan | None:
        """Return the first snapshots."""
        if not self.both.serving or all(self.both.early_stored(data) for data in self.both.here.parts):
            return None
        steps: list[Step] = [self._snapshot(data, volume, EARLY) for data, volume in self._volumes]
        return self._here("early snapshots, while the node runs", steps, *self._outlook())

    def _outlook(self) -> tuple[str, ...]:
        address, there = self.both.here.leaving.node.address, self.both.there
        kept = (
            f"{address.public_ip} stays allocated in {self.both.here.leaving.settings.aws.region}; " if address else ""
        )
        target = there.target.name if there.target else "a new machine"
        return (
            f"then, in {there.settings.aws.region}: copies of them, {target}, an Elastic IP; the node still runs",
            "then: stop, unmount, final snapshots; copies of these, volumes from them; the node is down meanwhile",
            f"then: it is the node of environment {there.settings.name}: attach, check, mount, start",
            f"the node's address changes: {kept}livepeer announces the new one when it starts, and what is registered "
            "on the chain (serviceURI) is yours to change",
            "the old volumes stay until --confirm",
            LAZY,
        )

    def _snapshot(self, data: DataVolume, volume: Volume, stage: str, after: tuple[str, ...] = ()) -> TakeSnapshot:
        return TakeSnapshot(
            lane=f"{data.role} copy" if stage == FINAL else data.role,
            volume=volume,
            node=self.both.request.node,
            label=data.label,
            stage=stage,
            target_id=self._environment,
            skip=skip_if(self.both.here.stored(data, stage) is not None),
            after=after,
        )

    def ready(self) -> Plan | None:
        """Return what is made there while the node runs: copies of the early snapshots, a target, an address."""
        steps: list[Step] = []
        for data in self.both.here.parts:
            origin = self.both.here.stored(data, EARLY)
            if self.both.serving and origin is not None and not self.both.early_copied(data):
                steps.append(self._copy_snapshot(data, origin))
        launch, address = self._launch(), self._allocate()
        steps += [*([launch] if launch else []), *address]
        return self._there("copies of the early snapshots, a machine, an address", steps) if steps else None

    def _copy_snapshot(self, data: DataVolume, origin: Snapshot) -> CopySnapshot:
        region = self.both.here.leaving.settings.aws.region
        done = skip_if(self.both.there.has(origin))
        return CopySnapshot(lane=data.role, origin=origin, region=region, label=data.label, skip=done)

    def _launch(self) -> Step | None:
        there, facts = self.both.there, self.both.there.launch
        if facts is None:
            return None
        extra = {tags.TARGET_FOR: self.both.request.node}
        return launch_step(there.settings, facts.name, facts.image_id, facts.zone, facts.token, extra)

    def _allocate(self) -> list[Step]:
        known = self.both.there.node.address is not None
        return [] if known else [AllocateAddress(lane="address", node=self.both.request.node)]

    def boot(self, target: Instance) -> Plan | None:
        """Return the wait for the target, and for its clock."""
        there = self.both.there
        if there.guest is None:
            return self._there(f"wait for {target.name}", [WaitReachable(instance=target)])
        tracking = there.survey.tracking if there.survey else None
        if self.both.serving and tracking is not None and not is_right(tracking):
            return self._there(f"wait for the clock of {target.name}", [WaitClock(instance=target)])
        return None

    # while the node is down

    def leave(self, target: Instance) -> Plan | None:
        """Return the stop: the volumes leave the machine, and what is on them is snapshotted for good."""
        if all(self.both.left(data) for data in self.both.here.parts):
            return None
        livepeer, seen = self._volumes[0][1], self.both.here.leaving
        name = f"{self._environment}/{target.name}"
        begin = Tag(
            lane="source",
            resource_id=livepeer.id,
            what="the livepeer volume",
            why=f"a migration to {target.name} in {self._environment} has begun",
            set_tags={tags.MOVING_TO: name},
            skip=skip_if(livepeer.tags.get(tags.MOVING_TO) == name),
        )
        steps: list[Step] = [begin, *fence(seen)]
        ready = (steps[-1].key,)
        for data, volume in self._volumes:
            lane = leave(seen, data, volume, ready)
            steps += [*lane, self._snapshot(data, volume, FINAL, after=(lane[-1].key,))]
        return self._here("stop it, final snapshots", steps)

    def copy(self, target: Instance) -> Plan | None:
        """Return the copies: of the final snapshots, then of the volumes."""
        if all(self.both.copied(data) for data in self.both.here.parts):
            return None
        steps = [step for data, volume in self._volumes for step in self._copy_lane(data, volume, target, FINAL)]
        return self._there("copies of its volumes", steps)

    def _copy_lane(self, data: DataVolume, volume: Volume, target: Instance, stage: str) -> list[Step]:
        origin = self.both.here.stored(data, stage)
        copy = CopyVolume(
            lane=data.role,
            volume=volume,
            zone=target.zone,
            node=self.both.request.node,
            label=data.label,
            target_id=self._environment,
            skip=skip_if(self.both.copied(data)),
        )
        return [*([self._copy_snapshot(data, origin)] if origin else []), copy]

    def asked_before(self, target: Instance) -> Plan:
        """Return what will be done there while the node is down, as far as it is known: EC2 is asked whether it may be.

        The copies do not exist yet; the early snapshots and the target's own root volume stand for them.
        """
        node, root = self.both.there.node, target.devices.get("/dev/sda1", "")
        steps: list[Step] = []
        for data, volume in self._volumes:
            device = (*names_for(self.both.there.settings, target, data, volume), "")[0]
            own = replace(volume, id=root or volume.id)
            steps += self._copy_lane(data, volume, target, EARLY)
            steps.append(AttachVolume(lane=data.role, volume=own, instance=target, device=device, label=data.label))
        if node.address is not None:
            steps.append(AssociateAddress(lane="address", address=node.address, instance=target))
        why, known = "carries the node", {tags.NODE: node.name}
        steps.append(Tag(lane="tags", resource_id=target.id, what=target.name, why=why, set_tags=known))
        return Plan("asked before", tuple(replace(step, skip=None) for step in steps))

    # no way back

    def depart(self) -> Plan | None:
        """Return the one moment at which the node stops being here."""
        steps: list[Step] = []
        for data, volume in self._volumes:
            copy = self.both.there.copy(data)
            if copy is None or self.both.here.is_gone(data):
                continue
            wanted = {tags.GONE_TO: self._environment, tags.REPLACED_BY: copy.id, tags.RETIRED: self.both.request.node}
            why = f"the node goes on in {self._environment} with {copy.id}; kept until --confirm"
            steps.append(
                Depart(lane=data.role, resource_id=volume.id, what=f"the {data.role} volume", why=why, set_tags=wanted)
            )
        return self._here("it is no longer here", steps) if steps else None

    def take_over(self) -> Plan | None:
        """Return the tags that make the copies the node's volumes, and its address where somebody took that away."""
        steps: list[Step] = []
        for data in self.both.here.parts:
            copy, known = self.both.there.copy(data), {tags.NODE: self.both.request.node, tags.ROLE: data.role}
            if copy is None or known.items() <= dict(copy.tags).items():
                continue
            what, why = f"the new {data.role} volume", f"it is node {self.both.request.node}'s now"
            steps.append(Tag(lane=data.role, resource_id=copy.id, what=what, why=why, set_tags=known))
        launch = self._launch()
        steps += [*([launch] if launch else []), *self._allocate()]
        return self._there("it is there", steps) if steps else None

    def arrived(self, plan: Plan) -> Plan:
        """Return a plan of the migration there, as one that runs there."""
        return Elsewhere(plan.title, plan.steps, plan.notes, world=self.both.world)

    def retire(self, target: Instance) -> Plan:
        """Return the last tags here."""
        steps = [*retire_others(self.both.here.leaving.node, target), *end(self.both.here.volume(LIVEPEER))]
        return self._here("what stayed behind is tagged" if steps else "it is there", steps)
