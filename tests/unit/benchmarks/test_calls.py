"""Calls of EC2 are counted from the lab's own log, and what was asked twice is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.calls import CallLog, count


def call(action: str, service: str = "ec2", error: str | None = None, **resources: str) -> dict[str, Any]:
    """Return a call as the log has it."""
    return {"service": service, "action": action, "resources": resources, "error": error}


def test_a_read_is_one_again_when_the_same_was_asked_of_the_same_resource() -> None:
    calls = count(
        (
            call("DescribeVolumes", VolumeId="vol-1"),
            call("DescribeVolumes", VolumeId="vol-2"),
            call("DescribeVolumes", VolumeId="vol-1"),
            call("DescribeInstances", VolumeId="vol-1"),
            call("DescribeVolumes", VolumeId="vol-1"),
        )
    )
    assert (calls.ec2, calls.reads, calls.re_reads, calls.changes) == (5, 5, 2, 0)


def test_changes_and_dry_runs_are_told_apart_and_the_lock_is_no_call_of_ec2() -> None:
    calls = count(
        (
            call("DetachVolume", error="DryRunOperation"),
            call("DetachVolume"),
            call("AttachVolume", error="IncorrectState"),
            call("PutParameter", service="ssm"),
        )
    )
    assert (calls.ec2, calls.dry_runs, calls.changes, calls.others) == (3, 1, 2, 1)
    assert calls.by_action == {"DetachVolume": 2, "AttachVolume": 1}


def test_only_what_was_called_between_two_marks_counts(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    log = CallLog(path)

    def write(*calls: dict[str, Any]) -> None:
        with path.open("a") as file:
            file.writelines(f"{json.dumps(each)}\n" for each in calls)

    write(call("RunInstances"))
    mark = log.mark()
    write(call("DetachVolume"), call("AttachVolume"))
    end = log.mark()
    write(call("DescribeVolumes"))
    assert log.since(mark, end).by_action == {"DetachVolume": 1, "AttachVolume": 1}
    assert log.since(mark).ec2 == 3
