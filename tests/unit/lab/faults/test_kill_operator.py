"""Reading an operator's journal as it grows."""

from __future__ import annotations

import json
from pathlib import Path

from lab.faults.kill_operator import Watch


def line(step: str, pid: int = 7, outcome: str | None = None) -> str:
    """Return a line of the journal."""
    return json.dumps({"step": step, "pid": pid, "outcome": outcome}) + "\n"


def test_only_what_comes_after_the_fault_counts(tmp_path: Path) -> None:
    journal = tmp_path / "operations.jsonl"
    journal.write_text(line("geth/stop"))
    watch = Watch(journal, "geth/stop", "begin")
    assert watch.look() is None
    with journal.open("a") as file:
        file.write(line("geth/stop", 8))
    assert watch.look() == 8


def test_a_journal_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "later", "geth/stop", "begin")
    assert watch.look() is None
    (tmp_path / "later").write_text(line("geth/stop", 9))
    assert watch.look() == 9


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    journal, text = tmp_path / "operations.jsonl", line("geth/stop", 9)
    watch = Watch(journal, "geth/stop", "begin")
    journal.write_text(text[:10])
    assert watch.look() is None
    journal.write_text(text)
    assert watch.look() == 9


def test_the_end_of_a_step_is_not_its_begin(tmp_path: Path) -> None:
    journal = tmp_path / "operations.jsonl"
    begin, end = (Watch(journal, "geth/stop", at) for at in ("begin", "end"))
    journal.write_text(line("geth/start") + line("geth/stop", outcome="done"))
    assert begin.look() is None
    assert end.look() == 7
