"""A change of EC2 that the plan does not announce is found, by action and by resource."""

from __future__ import annotations

from typing import Any

from lab.rehearsal.explained import unexplained

STEPS: list[dict[str, Any]] = [
    {"key": "geth/detach", "calls": ["DetachVolume"], "skip": None, "volume": "vol-1", "instance": "i-old"},
    {"key": "geth/attach", "calls": ["AttachVolume", "DetachVolume"], "skip": None, "place": {"volume": "vol-1"}},
    {"key": "tags/tag i-old", "calls": ["CreateTags"], "skip": "already so", "resource_id": "i-old"},
]


def call(action: str, *resources: str, service: str = "ec2", error: str | None = None) -> dict[str, Any]:
    """Return a line of the lab's log."""
    named = {f"Id.{number}": resource for number, resource in enumerate(resources)}
    return {"service": service, "action": action, "resources": named, "error": error}


def test_what_a_step_announces_is_explained_also_when_it_is_called_again() -> None:
    made = [
        call("DetachVolume", "vol-1", "i-old"),
        call("DetachVolume", "vol-1", "i-old", error="RequestLimitExceeded"),
    ]
    assert unexplained(made, STEPS) == ()


def test_reads_dry_runs_and_other_services_need_no_explanation() -> None:
    made = [
        call("DescribeVolumes", "vol-9"),
        call("StopInstances", "i-old", error="DryRunOperation"),
        call("PutParameter", "lock", service="ssm"),
    ]
    assert unexplained(made, STEPS) == ()


def test_another_action_another_resource_and_a_step_that_was_skipped_are_not_explained() -> None:
    made = [call("DeleteVolume", "vol-1"), call("DetachVolume", "vol-1", "i-new"), call("CreateTags", "i-old")]
    assert unexplained(made, STEPS) == ("DeleteVolume vol-1", "DetachVolume vol-1 i-new", "CreateTags i-old")


def test_an_id_that_another_one_begins_with_is_another_resource() -> None:
    assert unexplained([call("DetachVolume", "vol-", "i-old")], STEPS) == ("DetachVolume vol- i-old",)
