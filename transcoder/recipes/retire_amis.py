"""`invoke retire-amis`: the newest verified AMIs and all that are in use stay; the others go, with their snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transcoder import tags
from transcoder.actions.images import DeleteImageSnapshot, DeregisterImage
from transcoder.errors import Refused
from transcoder.model import Image, Snapshot
from transcoder.operate import Operation
from transcoder.recipes import amis
from transcoder.recipes.amis import Family, Observed, Region
from transcoder.step import Plan, Step

KEEP = 3
LOCK = "_amis"
"""What is locked in place of a node: no node can be called so. Whoever bakes, verifies or retires holds it."""
MOST_USERS = 3
"""How many users of an AMI are named before it says how many more there are."""


@dataclass(frozen=True)
class Verdict:
    """What becomes of an AMI with its copies, and why."""

    family: Family
    stays: bool
    why: str


def operation(keep: int) -> Operation:
    """Return the operation for `transcoder.operate`.

    :raises Refused: for a number that would leave nothing to launch from.
    """
    if keep < 1:
        raise Refused(f"--keep {keep}: at least one verified image must stay", hint="invoke retire-amis --keep 1")
    return Operation("invoke retire-amis", LOCK, lambda world: plan(amis.observe(world, ends=True), keep))


def judge(observed: Observed, keep: int) -> tuple[Verdict, ...]:
    """Return what becomes of each AMI, newest first."""
    left = keep
    verdicts = []
    for family in observed.families():
        image = family.original
        newest = image is not None and image.verified and image.state == "available" and left > 0
        left -= newest
        pending = [each.id for each in _members(family) if each.state in ("pending", "transient")]
        if family.users:
            verdicts.append(Verdict(family, True, f"in use by {_named(family.users)}"))
        elif newest:
            verdicts.append(Verdict(family, True, f"one of the {keep} newest verified"))
        elif pending:
            verdicts.append(Verdict(family, True, f"{', '.join(pending)} is being made"))
        else:
            verdicts.append(Verdict(family, False, _why_not(family, keep)))
    return tuple(verdicts)


def _named(users: tuple[str, ...]) -> str:
    more = f" and {len(users) - MOST_USERS} more" if len(users) > MOST_USERS else ""
    return ", ".join(users[:MOST_USERS]) + more


def _members(family: Family) -> tuple[Image, ...]:
    return (*([family.original] if family.original else []), *family.copies.values())


def _why_not(family: Family, keep: int) -> str:
    if family.original is None:
        return "the image that it is a copy of is gone"
    if family.original.state != "available":
        return f"it is {family.original.state}"
    return f"older than the {keep} newest verified" if family.original.verified else "not verified, not in use"


def plan(observed: Observed, keep: int) -> Plan:
    """Return what is to go, region by region; what stays is told with the reason."""
    verdicts = judge(observed, keep)
    going = [verdict for verdict in verdicts if not verdict.stays]
    steps = [step for region in observed.regions for step in _ends(region, going)]
    notes = [f"stays: {v.family.newest.id} ({v.family.newest.name}): {v.why}" for v in verdicts if v.stays]
    title = f"retire {len(going)} of {len(verdicts)} images of environment {observed.environment}"
    return Plan(title, tuple(steps), tuple(notes))


def _ends(region: Region, going: list[Verdict]) -> Iterator[Step]:
    """Yield the steps of one region: each AMI followed by its snapshots, then the snapshots that were left before."""
    images = [(image, v.why) for v in going for image in _members(v.family) if image in region.ours]
    shared = amis.shared_snapshots(region, [image for image, _ in images])
    done = set(shared)
    for image, why in images:
        yield DeregisterImage(lane=region.name, image=image, region=region.name, why=why)
        for snapshot in image.snapshot_ids:
            if snapshot not in done and not _had_by_later(snapshot, image, images):
                done.add(snapshot)
                yield DeleteImageSnapshot(
                    lane=region.name, snapshot_id=snapshot, region=region.name, of=f"which was of {image.id}"
                )
    for left in leftovers(region):
        yield DeleteImageSnapshot(lane=region.name, snapshot_id=left.id, region=region.name, of="whose image is gone")


def _had_by_later(snapshot: str, image: Image, images: list[tuple[Image, str]]) -> bool:
    """Tell whether an image that goes after this one has the snapshot as well: it is deleted with the last of them."""
    ids = [each.id for each, _ in images]
    return any(snapshot in later.snapshot_ids for later, _ in images[ids.index(image.id) + 1 :])


def leftovers(region: Region) -> tuple[Snapshot, ...]:
    """Return our snapshots that no image has any more: of an end that was broken off.

    A snapshot of an image that is still being made does not count: EC2 may not name it there yet.
    """
    held = {snapshot for image in region.images for snapshot in image.snapshot_ids}
    coming = {image.tags.get(tags.DIGEST) for image in region.images if image.state == "pending"}
    return tuple(
        snapshot
        for snapshot in region.snapshots
        if snapshot.id not in held and snapshot.state != "pending" and snapshot.tags[tags.DIGEST] not in coming
    )
