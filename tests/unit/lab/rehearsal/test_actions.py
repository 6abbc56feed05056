"""What a log of calls says about who called what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.rehearsal import actions


def line(program: str, action: str, caller: str = "operator", error: str | None = None, service: str = "ec2") -> Any:
    return {"caller": caller, "program": program, "service": service, "action": action, "error": error}


LINES = [
    line("fab attach", "AttachVolume"),
    line("fab attach", "AttachVolume", error="DryRunOperation"),
    line("fab attach", "DeleteVolume", error="UnauthorizedOperation"),
    line("packer", "RunInstances", caller="bake"),
    line("curl", "PutMetricData", caller="livepeer-node", service="monitoring"),
    line("Boto3", "RebootInstances"),
    line("fab attach", "TerminateInstances", caller="root"),
]


def test_who_called_what_is_told_apart_and_what_was_denied_is_no_call() -> None:
    assert actions.called(LINES) == {
        "fab attach": {"ec2:AttachVolume"},
        "packer": {"ec2:RunInstances"},
        "the machine": {"cloudwatch:PutMetricData"},
    }
    assert actions.denied(LINES) == ["fab attach: ec2:DeleteVolume"]


@pytest.mark.parametrize(
    ("who", "policy"),
    [("fab attach", "operator"), ("invoke bake-ami", "bake"), ("packer", "bake"), ("the machine", "instance")],
)
def test_everybody_has_one_policy(who: str, policy: str) -> None:
    assert actions.policy_of(who) == policy


def test_a_log_is_added_to_the_record_or_replaces_it(tmp_path: Path) -> None:
    record, log = tmp_path / "record.json", tmp_path / "calls.jsonl"
    actions.store({"fab detach": frozenset({"ec2:DetachVolume"})}, record)
    log.write_text("".join(json.dumps(each) + "\n" for each in LINES))
    assert actions.main([str(log), "--record", str(record)]) == 0
    assert set(actions.load(record)) == {"fab attach", "fab detach", "packer", "the machine"}
    assert actions.main([str(log), "--record", str(record), "--anew"]) == 0
    assert set(actions.load(record)) == {"fab attach", "packer", "the machine"}
