"""The bound: the heaviest chain of what nobody can hurry, in the plan's own order, nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from lab.configuration import PROFILES
from lab.rehearsal.bound import SERVICE_VERBS, Unavoidable, compute_bound, injected_by, verb_of
from transcoder.errors import Failed

EC2 = {"detach": 2.0, "attach": 2.5, "associate": 2.0}


def planned(*steps: tuple[str, str, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Return steps of a plan as its JSON has them: lane, verb, what they come after."""
    return [{"key": f"{lane}/{verb}", "lane": lane, "after": list(after)} for lane, verb, after in steps]


def done(*keys: str, took: float = 10.0) -> list[dict[str, Any]]:
    """Return results of steps that were done, each far slower than it had to be."""
    return [{"key": key, "outcome": "done", "seconds": took} for key in keys]


TWO_LANES = planned(
    ("livepeer", "stop", ()),
    ("livepeer", "detach", ()),
    ("livepeer", "attach", ()),
    ("geth", "stop", ()),
    ("geth", "detach", ()),
    ("geth", "attach", ()),
    ("geth", "in-sync", ()),
    ("address", "associate", ("livepeer/detach", "geth/detach")),
    ("node", "start", ("livepeer/attach", "geth/in-sync", "address/associate")),
    ("node", "healthy", ()),
)
ALL = [step["key"] for step in TWO_LANES]
SERVICES = {"livepeer/stop": 0.5, "geth/stop": 4.0, "geth/in-sync": 3.0, "node/start": 1.0, "node/healthy": 0.25}


def test_the_longest_lane_and_what_waits_for_all_lanes_make_the_bound() -> None:
    bound = compute_bound(TWO_LANES, done(*ALL), Unavoidable(EC2, SERVICES))
    assert bound.seconds == pytest.approx(4.0 + 2.0 + 2.5 + 3.0 + 1.0 + 0.25)
    assert bound.path == ("geth/stop", "geth/detach", "geth/attach", "geth/in-sync", "node/start", "node/healthy")


def test_how_slow_our_own_steps_were_does_not_change_it() -> None:
    quick, slow = (compute_bound(TWO_LANES, done(*ALL, took=took), Unavoidable(EC2, SERVICES)) for took in (1.0, 99.0))
    assert quick.seconds == slow.seconds


def test_the_other_lane_counts_when_it_takes_longer() -> None:
    bound = compute_bound(TWO_LANES, done(*ALL), Unavoidable(EC2, {**SERVICES, "livepeer/stop": 30.0}))
    assert bound.path == ("livepeer/stop", "livepeer/detach", "livepeer/attach", "node/start", "node/healthy")


def test_an_address_that_takes_longest_counts_although_ec2_answers_at_once() -> None:
    bound = compute_bound(TWO_LANES, done(*ALL), Unavoidable({**EC2, "associate": 60.0}, SERVICES))
    assert bound.path == ("geth/stop", "geth/detach", "address/associate", "node/start", "node/healthy")


def test_a_service_of_which_no_journal_tells_counts_with_its_whole_step_and_is_named() -> None:
    services = {key: seconds for key, seconds in SERVICES.items() if key != "geth/in-sync"}
    bound = compute_bound(TWO_LANES, done(*ALL, took=7.0), Unavoidable(EC2, services))
    assert bound.seconds == pytest.approx(4.0 + 2.0 + 2.5 + 7.0 + 1.0 + 0.25)
    assert bound.by_step == ("geth/in-sync",)


def test_what_the_project_does_on_its_own_account_does_not_count() -> None:
    plan = planned(
        ("prepare", "hold", ()),
        ("livepeer", "stop", ("prepare/hold",)),
        ("livepeer", "unmount", ()),
        ("livepeer", "check", ()),
        ("livepeer", "mount", ()),
        ("tags", "tag i-1", ("livepeer/check",)),
    )
    bound = compute_bound(plan, done(*[step["key"] for step in plan]), Unavoidable(EC2, {"livepeer/stop": 1.0}))
    assert (bound.seconds, bound.path, dict(bound.weights)) == (1.0, ("livepeer/stop",), {"livepeer/stop": 1.0})


def test_a_step_that_was_skipped_weighs_nothing() -> None:
    results = [*done("livepeer/stop"), {"key": "geth/stop", "outcome": "skipped", "seconds": 50}]
    assert compute_bound(TWO_LANES, results, Unavoidable(EC2, SERVICES)).seconds == 0.5


def test_a_result_of_another_plan_is_refused() -> None:
    with pytest.raises(Failed, match="elsewhere/stop"):
        compute_bound(TWO_LANES, done("elsewhere/stop"), Unavoidable())


def test_nothing_done_bounds_nothing() -> None:
    assert compute_bound(TWO_LANES, [], Unavoidable(EC2, SERVICES)).seconds == 0


def test_ec2_weighs_what_the_latency_profile_of_the_lab_injects() -> None:
    latencies = PROFILES["ec2"]
    injected = injected_by(latencies)
    assert injected["detach"] == latencies.detach
    assert injected["attach"] == latencies.attach + latencies.guest_device
    assert injected["associate"] == latencies.associate_address


def test_the_verbs_that_count_are_verbs_of_steps() -> None:
    from transcoder import step
    from transcoder.recipes import migrate  # noqa: F401 - with it come all steps of a migration

    def kinds(of: Any) -> set[str]:
        own = {of.verb} if hasattr(of, "verb") else set()
        return own.union(*(kinds(kind) for kind in of.__subclasses__()))

    assert {*SERVICE_VERBS, *injected_by(PROFILES["ec2"])} <= kinds(step.Step)


def test_the_verb_of_a_tag_does_not_hold_the_resource() -> None:
    assert (verb_of("tags/tag i-1"), verb_of("geth/in-sync")) == ("tag", "in-sync")
