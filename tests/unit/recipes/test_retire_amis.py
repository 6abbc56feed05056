"""Which AMIs go, and which of their snapshots."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulated.world import ENVIRONMENT, Simulation, perform
from transcoder import tags
from transcoder.actions.images import DeleteImageSnapshot, DeregisterImage
from transcoder.errors import Refused
from transcoder.model import Image, ImageUse, Instance, Snapshot
from transcoder.recipes import amis, retire_amis
from transcoder.recipes.amis import Observed, Region
from transcoder.step import Plan

HOME, WEST = "us-east-1", "us-west-2"


def image(number: int, *, verified: bool = True, state: str = "available", **more: object) -> Image:
    own = {tags.ENVIRONMENT: ENVIRONMENT, tags.DIGEST: f"d{number}"}
    own |= {tags.VERIFIED: "2026-01-01T00:01:00Z 0123"} if verified else {}
    created = f"2026-01-{number:02d}T00:00:00.000Z"
    made = Image(f"ami-{number}", f"node {number}", state, created, snapshot_ids=(f"snap-{number}",), tags=own)
    return replace(made, **more)  # type: ignore[arg-type] # fields by name


def region(*images: Image, name: str = HOME, instances: tuple[Instance, ...] = (), **more: object) -> Region:
    return Region(name, ENVIRONMENT, images, instances, **more)  # type: ignore[arg-type] # fields by name


def observed(*regions: Region) -> Observed:
    return Observed(ENVIRONMENT, regions, 1.8e9)


def gone(plan: Plan) -> list[str]:
    return [step.image.id for step in plan.pending if isinstance(step, DeregisterImage)]


def deleted(plan: Plan) -> list[str]:
    return [step.snapshot_id for step in plan.pending if isinstance(step, DeleteImageSnapshot)]


def machine(image_id: str, state: str) -> Instance:
    return Instance("i-1", state, f"{HOME}a", image_id, "t3.nano", tags={"Name": "tc009"})


def test_the_newest_verified_stay_and_the_others_go_with_their_snapshots() -> None:
    plan = retire_amis.plan(observed(region(*(image(number) for number in range(1, 6)))), 3)
    assert gone(plan) == ["ami-2", "ami-1"]
    assert deleted(plan) == ["snap-2", "snap-1"]
    assert [step.key for step in plan.steps] == [
        *("us-east-1/deregister ami-2", "us-east-1/delete-snapshot snap-2"),
        *("us-east-1/deregister ami-1", "us-east-1/delete-snapshot snap-1"),
    ]


def test_one_that_is_not_verified_does_not_count_among_those_that_stay() -> None:
    plan = retire_amis.plan(observed(region(image(1), image(2), image(3, verified=False))), 1)
    assert gone(plan) == ["ami-3", "ami-1"]


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped"])
def test_an_image_that_an_instance_has_stays_whatever_the_instance_does(state: str) -> None:
    plan = retire_amis.plan(observed(region(image(1), image(2), image(3), instances=(machine("ami-1", state),))), 1)
    assert gone(plan) == ["ami-2"]
    assert f"stays: ami-1 (node 1): in use by tc009 (i-1, {state})" in plan.notes


def test_an_image_that_a_template_or_a_group_would_launch_stays() -> None:
    uses = (ImageUse("ami-1", "launch template nodes (version 7) of the Auto Scaling group fleet"),)
    plan = retire_amis.plan(observed(region(image(1), image(2), uses=uses)), 1)
    assert gone(plan) == []


def test_an_image_that_is_used_in_another_region_only_stays_with_all_its_copies() -> None:
    copy = image(1, id="ami-w", tags={**image(1).tags, tags.COPY_OF: "ami-1"})
    west = region(copy, name=WEST, instances=(replace(machine("ami-w", "stopped"), zone=f"{WEST}a"),))
    plan = retire_amis.plan(observed(region(image(1), image(2)), west), 1)
    assert gone(plan) == []
    assert "stays: ami-1 (node 1): in use by tc009 (i-1, stopped) in us-west-2" in plan.notes


def test_a_copy_whose_original_is_gone_goes() -> None:
    orphan = image(1, id="ami-w", tags={**image(1).tags, tags.COPY_OF: "ami-0"})
    plan = retire_amis.plan(observed(region(image(2)), region(orphan, name=WEST)), 1)
    assert [(step.lane, step.verb) for step in plan.pending] == [(WEST, "deregister"), (WEST, "delete-snapshot")]


def test_an_image_that_is_being_made_is_left_alone() -> None:
    plan = retire_amis.plan(observed(region(image(1), image(2, verified=False, state="pending"))), 1)
    assert plan.empty
    assert "stays: ami-2 (node 2): ami-2 is being made" in plan.notes


def test_images_of_others_are_not_even_judged() -> None:
    other = image(1, tags={tags.ENVIRONMENT: "other", tags.DIGEST: "d"})
    unbaked = image(2, tags={tags.ENVIRONMENT: ENVIRONMENT})
    assert len(retire_amis.judge(observed(region(other, unbaked, image(3))), 1)) == 1


def test_a_snapshot_that_an_image_of_somebody_else_has_as_well_stays() -> None:
    shared = image(9, tags={}, snapshot_ids=("snap-1",))
    plan = retire_amis.plan(observed(region(image(1), image(2), shared)), 1)
    assert (gone(plan), deleted(plan)) == (["ami-1"], [])


def test_a_snapshot_of_two_images_that_both_go_is_deleted_after_the_second() -> None:
    twin = image(2, snapshot_ids=("snap-1",))
    plan = retire_amis.plan(observed(region(image(1), twin, image(3))), 1)
    assert [step.verb for step in plan.pending] == ["deregister", "deregister", "delete-snapshot"]


def left(number: int, state: str = "completed") -> Snapshot:
    own = {tags.ENVIRONMENT: ENVIRONMENT, tags.DIGEST: f"d{number}"}
    return Snapshot(f"snap-{number}", "vol-1", state, 8, tags=own)


def test_a_snapshot_without_an_image_is_deleted_unless_its_image_is_still_being_made() -> None:
    coming = image(2, verified=False, state="pending", snapshot_ids=())
    here = region(image(1), coming, snapshots=(left(1), left(2), left(3), left(4, "pending")))
    assert deleted(retire_amis.plan(observed(here), 1)) == ["snap-3"]


@pytest.mark.parametrize("keep", [0, -1])
def test_to_keep_none_is_refused(keep: int) -> None:
    with pytest.raises(Refused, match="at least one"):
        retire_amis.operation(keep)


def test_the_run_ends_when_nothing_is_left_to_go_and_twice_is_as_good_as_once() -> None:
    sim = Simulation()
    sim.cloud.amis = {each.id: replace(each, snapshot_ids=()) for each in (image(1), image(2), image(3))}
    outcome, _ = perform(retire_amis.operation(2), sim)
    assert [result.plan.title for result in outcome.results] == ["retire 1 of 3 images of environment simulated"]
    assert sorted(sim.cloud.amis) == ["ami-2", "ami-3"]
    assert perform(retire_amis.operation(2), sim)[0].nothing_to_do


def test_the_table_has_versions_age_users_and_copies() -> None:
    own = {**image(2).tags, tags.LIVEPEER_VERSION: "0.2.4"}
    newest = image(2, tags=own, size_gib=8, created="2026-11-22T20:00:00.000Z")
    copy = image(2, id="ami-w", tags={**own, tags.COPY_OF: "ami-2"})
    seen = Observed(
        ENVIRONMENT,
        (region(image(1), newest, instances=(machine("ami-2", "stopped"),)), region(copy, name=WEST)),
        1795377600.0 + 86400 / 2,
    )
    first, second = amis.rows(seen)
    assert (first.id, first.livepeer, first.geth, first.size_gib) == ("ami-2", "0.2.4", "", 8)
    assert first.in_use_by == ("tc009 (i-1, stopped)",)
    assert first.describe()["copies"] == {WEST: "ami-w"}
    assert second.id == "ami-1" and second.age_days > first.age_days
