"""After a bake: the date from which an AMI is deprecated, and its copies in other regions. Verified AMIs only."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from transcoder import tags
from transcoder.actions.images import CopyImage, DeprecateImage, TagImage
from transcoder.model import Image
from transcoder.operate import Operation
from transcoder.recipes.amis import created
from transcoder.recipes.retire_amis import LOCK
from transcoder.step import Plan, Step
from transcoder.world import World


def operation(image_id: str) -> Operation:
    """Return the operation for `transcoder.operate`; with nothing to do its plan is empty."""
    token = str(uuid.uuid4())
    return Operation("invoke bake-ami", LOCK, lambda world: plan(world, image_id, token))


def plan(world: World, image_id: str, token: str) -> Plan:
    """Return what an AMI still lacks of what the environment wants.

    The dates of copies follow in a second stage: before that they have no id.

    :param token: makes a copy whose answer was lost be asked for once.
    """
    title = f"publish {image_id}"
    found = next(iter(world.cloud.images(ids=[image_id])), None)
    if found is None or not found.verified:
        return Plan(title, ())
    return Plan(title, tuple(_steps(world, found, token)))


def _steps(world: World, image: Image, token: str) -> Iterator[Step]:
    own, wanted = world.settings.aws.region, world.settings.image
    yield from _date(world, image, own)
    told = set(image.tags.get(tags.COPIED_TO, "").split())
    noted: tuple[str, ...] = ()
    if not set(wanted.copy_to) <= told:
        where = " ".join(sorted({*told, *wanted.copy_to}))
        note = TagImage(lane=own, image=image, region=own, why=f"copies in {where}", set_tags={tags.COPIED_TO: where})
        noted = (note.key,)
        yield note
    for region in wanted.copy_to:
        yield from _copy(world, image, region, token, noted)


def _copy(world: World, image: Image, region: str, token: str, after: tuple[str, ...]) -> Iterator[Step]:
    there = world.cloud.in_region(region).images(tags={tags.COPY_OF: image.id})
    if there and there[0].state == "available":
        yield from _date(world, there[0], region)
        return
    wanted = world.settings.image
    yield CopyImage(
        lane=region,
        after=after,
        image=image,
        region=region,
        source_region=world.settings.aws.region,
        token=f"{token[:23]}-{region}",
        encrypted=wanted.encrypted,
        kms_key_id=wanted.copy_kms_key_ids.get(region, ""),
        budget=wanted.bake_timeout_minutes * 60.0,
    )


def _date(world: World, image: Image, region: str) -> Iterator[Step]:
    """Yield the step that sets the date; EC2 takes none that has passed."""
    days = world.settings.image.deprecate_after_days
    date = created(image) + timedelta(days=days)
    if days and not image.deprecates and date > datetime.fromtimestamp(world.clock.now(), UTC) + timedelta(minutes=1):
        when = date.replace(second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield DeprecateImage(lane=region, image=image, region=region, when=when)
