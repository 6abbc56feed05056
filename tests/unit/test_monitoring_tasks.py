"""`invoke monitoring.*` typed as an operator does, in the simulated world: what is printed where, and exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from invoke.program import Program

import tasks
from tests.simulated.world import Simulation, settings
from transcoder import app
from transcoder.world import World

NAME = "transcoder-simulated"


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    own = {"cloudwatch": True, "emails": ["ops@example.org"]}
    simulation = Simulation(settings(aws={"instance_profile": "node"}, monitoring=own))
    simulation.node()

    @contextmanager
    def world(_settings: Any) -> Iterator[World]:
        yield simulation.world

    monkeypatch.setattr(app, "settings", lambda _env: simulation.settings)
    monkeypatch.setattr(app, "world", world)
    return simulation


def invoke(*words: str) -> int:
    """Type a command; return its exit code."""
    try:
        Program(namespace=tasks.namespace).run(["invoke", *words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_deployment_and_the_same_again(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("monitoring.deploy", "--yes") == 0
    first = capsys.readouterr()
    assert invoke("monitoring.deploy") == 0
    second = capsys.readouterr()

    assert f"stack {NAME}: 16 to add, 0 to change, 0 to remove; done" in first.out
    assert "mail goes to ops@example.org, once each has confirmed it" in first.out
    assert "CREATE_COMPLETE" in first.err
    assert "Alarmtc001Xreward" in first.err
    assert second.out == f"stack {NAME}: nothing is to be changed\n"


def test_without_a_yes_nothing_is_done(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("monitoring.deploy") == 3
    assert "--yes" in capsys.readouterr().err
    assert invoke("monitoring.diff", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["done"], found["nothing_to_do"]) == ("", False, False)


def test_json_is_one_document_and_the_plan_is_in_it(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("monitoring.deploy", "--yes", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert invoke("monitoring.remove", "--yes", "--json") == 0
    removed = json.loads(capsys.readouterr().out)

    assert (made["stack"], made["nodes"], made["status"], made["done"]) == (NAME, ["tc001"], "CREATE_COMPLETE", True)
    assert {"Add"} == {change["action"] for change in made["changes"]}
    assert (removed["done"], removed["changes"][0]["action"]) == (True, "Remove")


def test_a_dry_run_prints_the_template_and_asks_cloudformation_nothing(
    sim: Simulation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke("monitoring.deploy", "--dry-run") == 0
    template = json.loads(capsys.readouterr().out)
    assert invoke("monitoring.deploy", "--dry-run", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()

    assert template == json.loads(line)
    assert template["Resources"]["Topic"]["Type"] == "AWS::SNS::Topic"
    assert sim.cloud.stacks().made == {}


def test_a_look_says_that_it_was_one(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke("monitoring.diff") == 0
    assert "dry run: nothing was changed" in capsys.readouterr().out
    invoke("monitoring.deploy", "--yes")
    capsys.readouterr()
    assert invoke("monitoring.remove", "--dry-run") == 0
    assert "1 to remove; dry run: nothing was changed" in capsys.readouterr().out
    assert sim.cloud.stacks().find_stack(NAME) is not None
    assert invoke("monitoring.remove", "--yes") == 0
    assert invoke("monitoring.remove", "--yes") == 0
    assert "nothing is to be changed" in capsys.readouterr().out


def test_a_failure_ends_with_4_and_with_cloudformations_reasons(
    sim: Simulation, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.cloud.stacks().fails = {"Topic": "not authorized to perform: SNS:CreateTopic"}
    assert invoke("monitoring.deploy", "--yes") == 4
    told = capsys.readouterr().err
    assert "ROLLBACK_COMPLETE" in told
    assert "not authorized to perform: SNS:CreateTopic" in told
    assert "invoke monitoring.remove, then invoke monitoring.deploy" in told
    assert invoke("monitoring.deploy", "--yes") == 3


def test_nobody_gets_mail_is_said(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    table = sim.settings.monitoring.model_copy(update={"emails": []})
    sim.settings = sim.settings.model_copy(update={"monitoring": table})
    assert invoke("monitoring.deploy", "--yes") == 0
    assert "nobody gets mail: monitoring.emails is empty" in capsys.readouterr().out
