"""`script/rehearse` itself: what it refuses, what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import commands, rehearse
from lab.configuration import LabConfiguration
from lab.rehearsal import acts
from tests.unit.lab.rehearsal import made_up
from transcoder.errors import Refused


def test_the_help_has_examples_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        rehearse.parse(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "script/rehearse --down" in said
    assert "exit codes: 0" in said


def test_an_environment_that_is_no_lab_is_refused_with_exit_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearse.main(["--env", "bionic-2018"]) == 3
    assert "[lab]" in capsys.readouterr().err


def test_a_lab_that_somebody_else_started_is_not_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = LabConfiguration(state_root=tmp_path)
    monkeypatch.setattr(commands, "read_ready", lambda _configuration, **_: object())
    with pytest.raises(Refused, match=r"(?s)not from a rehearsal.*invoke lab\.down --env mine"):
        rehearse.left_over(configuration, "mine")
    configuration.state_directory.mkdir()
    (configuration.state_directory / acts.MARKER).touch()
    assert rehearse.left_over(configuration, "mine")


def test_where_no_lab_is_up_there_is_nothing_to_clear(tmp_path: Path) -> None:
    assert not rehearse.left_over(LabConfiguration(state_root=tmp_path), "mine")


def test_the_report_is_written_as_json_and_as_a_page(tmp_path: Path) -> None:
    data, page = rehearse.write(made_up.report(), tmp_path / "deep" / "er")
    assert json.loads(data.read_text())["environment"] == "lab"
    assert page.read_text().startswith("<!doctype html>")
