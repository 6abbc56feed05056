"""How a rehearsal goes on, breaks off and is reported."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.configuration import LabConfiguration
from lab.rehearsal.report import Ended, Row
from lab.rehearsal.stage import Act, Plot, Stage
from lab.rehearsal.terminal import Progress, print_report
from tests.unit.lab.rehearsal import made_up
from transcoder import settings as environments
from transcoder.aws import Aws
from transcoder.errors import Failed
from transcoder.remote import SshHosts
from transcoder.world import World


@pytest.fixture
def said() -> io.StringIO:
    """What the rehearsal says while it runs."""
    return io.StringIO()


@pytest.fixture
def stage(tmp_path: Path, said: io.StringIO) -> Iterator[Stage]:
    """A stage in the lab's environment; nothing is asked of EC2 or of a machine before an act does."""
    settings = environments.load("lab")
    with SshHosts(settings) as hosts:
        world = World(settings, Aws(settings), hosts)
        yield Stage(world, LabConfiguration(), "lab", Plot("n", "n", "n-b"), tmp_path, Progress(said))


def act(key: str, perform: Callable[[Stage], None]) -> Act:
    return Act(key, f"act {key}", (), perform)


def works(stage: Stage) -> None:
    stage.prove("it works", True, "seen")


def fails(_stage: Stage) -> None:
    raise Failed("the machine is on fire", hint="put it out")


def test_after_a_failed_step_the_later_ones_are_not_run(stage: Stage, said: io.StringIO) -> None:
    stage.perform([act("a", works), act("b", fails), act("c", works)])
    report = stage.report()
    assert [row.ended for row in report.rows] == [Ended.DONE, Ended.FAILED, Ended.NOT_RUN]
    assert "the machine is on fire" in report.rows[1].note
    assert "hint: put it out" in report.rows[1].note
    assert len(report.proofs) == 1
    assert not report.passed
    assert "the machine is on fire" in said.getvalue()


def test_with_keep_going_the_later_steps_are_run(stage: Stage) -> None:
    stage.perform([act("a", fails), act("b", works)], keep_going=True)
    assert [row.ended for row in stage.report().rows] == [Ended.FAILED, Ended.DONE]
    assert not stage.report().passed


def test_a_step_that_needs_what_an_earlier_one_did_not_find_fails_and_says_so(stage: Stage) -> None:
    stage.perform([act("a", lambda stage: stage.prove(stage.target.name, True, ""))])
    assert "the machine that the node moves to; an earlier step has failed" in stage.report().rows[0].note


def test_a_bug_is_not_hidden_and_the_report_knows_where_it_broke_off(stage: Stage) -> None:
    def breaks(_stage: Stage) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stage.perform([act("a", works), act("b", breaks), act("c", works)])
    assert [row.ended for row in stage.report().rows] == [Ended.DONE, Ended.FAILED, Ended.NOT_RUN]


def test_every_step_is_one_line_with_its_time(stage: Stage, said: io.StringIO) -> None:
    stage.perform([act("a", works), act("b", works)])
    lines = said.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(" s  act a")


def test_on_a_terminal_the_step_that_is_on_is_shown_and_overwritten() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    progress = Progress(stream)
    progress.begin("bake")
    progress.say("==> amazon-ebs: Creating AMI")
    progress.end(Row("bake", "bake", ended=Ended.DONE, seconds=3.0))
    assert "Creating AMI" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().rpartition("\r\x1b[K")[2].startswith("✓")


def test_the_tables_on_stdout_name_what_ran_and_the_figures() -> None:
    stream = io.StringIO()
    print_report(made_up.report(), stream)
    text = " ".join(stream.getvalue().replace("│", " ").split())
    for told in (
        "stand-in: Version: 1.8.27",
        "the real one: 0.2.4",
        "downtime 6.51 s, bound 5.00 s, downtime / bound 1.30",
        "silent for 0.60 s + 3.50 s (asked every 50 ms",
        "100 written, 100 found at the move",
        "critical path through the plan's own order",
        "rehearsal passed: 1 of 1 steps done, 1 of 1 proofs hold",
    ):
        assert told in text, told
