"""Dates and copies of an AMI that has been verified."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulated.world import ENVIRONMENT, Simulation, perform, settings
from transcoder import tags
from transcoder.actions.images import CopyImage, DeprecateImage
from transcoder.errors import Failed
from transcoder.model import Image
from transcoder.recipes import publish

WEST, NORTH = "us-west-2", "eu-north-1"
OWN = {tags.ENVIRONMENT: ENVIRONMENT, tags.DIGEST: "d", tags.VERIFIED: "2026-01-01T00:01:00Z 0123"}
AMI = Image("ami-1", "fresh", "available", "2026-06-01T00:00:00.000Z", tags=OWN)


def world(*, days: int = 0, image: Image = AMI) -> Simulation:
    wanted = {"copy_to": [WEST, NORTH], "deprecate_after_days": days, "encrypted": True}
    keys = {"copy_kms_key_ids": {WEST: "alias/west"}}
    made = Simulation(settings(ENVIRONMENT, image={**wanted, **keys}))
    for region in (WEST, NORTH):
        other = Simulation(beside=made)
        other.cloud.amis.clear()
        other.cloud.regions[made.settings.aws.region] = made.cloud
        made.cloud.regions[region] = other.cloud
    made.cloud.regions[made.settings.aws.region] = made.cloud
    made.cloud.amis = {image.id: image}
    return made


def copies(sim: Simulation, region: str) -> list[Image]:
    return list(sim.cloud.in_region(region).amis.values())


def test_copies_are_made_once_with_the_tags_of_the_image_and_the_key_of_their_region() -> None:
    sim = world()
    perform(publish.operation("ami-1"), sim)
    for region in (WEST, NORTH):
        (copy,) = copies(sim, region)
        assert copy.state == "available"
        assert dict(copy.tags) == {**OWN, tags.COPY_OF: "ami-1"}
    assert sim.cloud.amis["ami-1"].tags[tags.COPIED_TO] == f"{NORTH} {WEST}"
    steps = {s.region: s for s in publish.plan(world().world, "ami-1", "t").steps if isinstance(s, CopyImage)}
    assert (steps[WEST].kms_key_id, steps[NORTH].kms_key_id) == ("alias/west", "")
    assert steps[WEST].encrypted
    assert perform(publish.operation("ami-1"), sim)[0].nothing_to_do


def test_where_copies_may_be_is_noted_before_the_first_is_begun() -> None:
    plan = publish.plan(world().world, "ami-1", "t")
    note, *others = plan.steps
    assert note.verb == "tag"
    assert all(note.key in step.after for step in others)


def test_an_image_that_is_not_verified_is_not_published() -> None:
    sim = world(days=30, image=replace(AMI, tags={tags.ENVIRONMENT: ENVIRONMENT, tags.DIGEST: "d"}))
    assert perform(publish.operation("ami-1"), sim)[0].nothing_to_do
    assert copies(sim, WEST) == []


def test_the_date_counts_from_the_bake_for_the_image_and_for_its_copies() -> None:
    born = "2027-01-10T07:30:20.000Z"  # the simulated world begins on the 15th
    sim = world(days=30, image=replace(AMI, created=born))
    perform(publish.operation("ami-1"), sim)
    wanted = "2027-02-09T07:30:00Z"
    assert sim.cloud.amis["ami-1"].deprecates == wanted
    assert [copy.deprecates for region in (WEST, NORTH) for copy in copies(sim, region)] == [wanted, wanted]


def test_a_date_that_has_passed_is_not_asked_for() -> None:
    plan = publish.plan(world(days=30).world, "ami-1", "t")
    assert not [step for step in plan.steps if isinstance(step, DeprecateImage)]


def test_broken_off_while_a_copy_is_made_the_next_run_waits_for_it() -> None:
    sim = world()
    plan = publish.plan(sim.world, "ami-1", "t")
    begun = next(step for step in plan.steps if isinstance(step, CopyImage))
    begun.do(sim.world)
    assert [copy.state for copy in copies(sim, begun.region)] == ["pending"]
    perform(publish.operation("ami-1"), sim)
    assert [[copy.state for copy in copies(sim, region)] for region in (WEST, NORTH)] == [["available"]] * 2


def test_a_copy_that_failed_is_named_with_what_to_do() -> None:
    sim = world()
    failed = replace(AMI, id="ami-w", state="failed", tags={**OWN, tags.COPY_OF: "ami-1"})
    sim.cloud.in_region(WEST).amis["ami-w"] = failed
    with pytest.raises(Failed, match="ami-w, the copy of ami-1 in us-west-2, is failed") as caught:
        perform(publish.operation("ami-1"), sim)
    assert "deregister ami-w" in caught.value.hint
