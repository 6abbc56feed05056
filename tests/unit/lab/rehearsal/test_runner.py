"""Command lines run as an operator's: what they say is kept, how they fail is readable."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lab.rehearsal import runner
from transcoder.errors import Failed


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a program called ``tool`` that the runner finds; the test writes it."""
    monkeypatch.setattr(runner, "BIN", tmp_path)
    path = tmp_path / "tool"
    path.touch()
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_output_and_progress_are_kept_apart_and_both_are_logged(tool: Path, tmp_path: Path) -> None:
    tool.write_text("#!/bin/sh\necho result $1\necho progress >&2\n")
    seen: list[str] = []
    finished = runner.run(("tool", "one"), tmp_path / "logs" / "tool.log", 10, seen.append)
    assert (finished.exit_code, finished.stdout, finished.stderr) == (0, "result one\n", "progress\n")
    assert sorted(seen) == ["progress", "result one"]
    assert "$ tool one\n" in finished.log.read_text()
    assert "result one\n" in finished.log.read_text()


def test_a_failed_command_is_told_with_its_code_and_its_last_30_lines(tool: Path, tmp_path: Path) -> None:
    tool.write_text("#!/bin/sh\nseq 1 50 >&2\nexit 3\n")
    finished = runner.run(("tool", "a b"), tmp_path / "log", 10)
    with pytest.raises(Failed) as failed:
        finished.require_success()
    text = str(failed.value)
    assert "`tool 'a b'` ended with 3" in text
    assert "    50" in text
    assert "    21" in text
    assert "    20\n" not in text
    assert str(tmp_path / "log") in text


def test_a_command_that_takes_too_long_is_broken_off(tool: Path, tmp_path: Path) -> None:
    tool.write_text("#!/bin/sh\necho begun\nexec sleep 60\n")
    with pytest.raises(Failed, match=r"(?s)had not ended after 1 s.*begun"):
        runner.run(("tool",), tmp_path / "log", 1)


def test_the_json_documents_of_a_command_are_found_between_other_lines() -> None:
    text = '{\n  "a": [\n    1\n  ]\n}\n{"b": 2}\ntc001 is i-1: ssh ...\n[3]\n{ no json\n'
    assert runner.parse_documents(text) == ({"a": [1]}, {"b": 2}, [3])


def test_a_command_without_json_says_so(tool: Path, tmp_path: Path) -> None:
    tool.write_text("#!/bin/sh\necho hello\n")
    with pytest.raises(Failed, match="printed no JSON"):
        runner.run(("tool",), tmp_path / "log", 10).documents()
