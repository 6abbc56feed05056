"""What every task does around its one call: errors become exit codes, `-R/--dry` is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.config import Config
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.program import Program

from tests.simulated.world import NODE, Simulation
from transcoder import app
from transcoder.errors import BadSettings, Failed, Refused, TranscoderError, Unreachable
from transcoder.recipes import attach, detach


def task_that(act: Callable[[], None]) -> Callable[..., None]:
    @app.task(name="it")
    def it(_context: Context) -> None:
        """Do it."""
        act()

    return it


def raising(error: Exception) -> Callable[..., None]:
    def act() -> None:
        raise error

    return task_that(act)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("no"), 3),
        (BadSettings("wrong key"), 3),
        (Failed("broken"), 4),
        (Unreachable("silent"), 5),
        (TranscoderError("any"), 1),
    ],
)
def test_each_family_of_errors_has_its_exit_code_and_no_traceback(
    error: TranscoderError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exit) as caught:
        raising(error)(Context())
    assert caught.value.code == code
    assert capsys.readouterr().err == f"{error.message}\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())(Context())


def test_dry_of_invoke_is_refused_before_the_task_begins(capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[str] = []
    with pytest.raises(Exit) as caught:
        task_that(lambda: ran.append("it"))(Context(Config(overrides={"run": {"dry": True}})))
    assert caught.value.code == 3
    assert ran == []
    assert "--dry-run" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-R", "--dry"])
def test_dry_of_invoke_is_refused_on_the_command_line(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[str] = []
    program = Program(namespace=Collection(task_that(lambda: ran.append("it"))))
    program.run(["invoke", option, "it"], exit=False)
    assert ran == []
    assert "use --dry-run: it prints the real plan" in capsys.readouterr().err


def test_a_task_keeps_its_options_and_its_help() -> None:
    @app.task(help={"node": "the node"})
    def it(_context: Context, node: str = "") -> None:
        """Do it to a node."""

    from invoke.tasks import Task

    assert isinstance(it, Task)
    assert [(argument.name, argument.help) for argument in it.get_arguments()] == [("node", "the node")]
    assert (it.__doc__ or "").strip() == "Do it to a node."


def test_the_environment_is_named_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    app.settings("bionic-2018")
    captured = capsys.readouterr()
    assert captured.err.startswith("environment bionic-2018: ")
    assert "AWS us-east-1" in captured.err
    assert captured.out == ""


def test_an_environment_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not exist"):
        app.settings(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("dry_run", [True, False])
def test_perform_acts_unless_it_is_a_dry_run_and_prints_json(dry_run: bool, capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    sim.node()
    app.perform(sim.world, detach.operation(detach.Request(NODE)), yes=True, dry_run=dry_run, json=True)
    read = json.loads(capsys.readouterr().out)
    assert read["dry_run"] is dry_run
    assert bool(read["results"]) is not dry_run
    assert bool(sim.cloud.mutations) is not dry_run


def test_operations_that_follow_from_each_other_print_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    sim.node()
    away = detach.operation(detach.Request(NODE))
    back = attach.operation(attach.Request(NODE, NODE))
    app.perform(sim.world, away, back, yes=True, dry_run=False, json=True)
    read = json.loads(capsys.readouterr().out)
    assert read["plan"]["title"].startswith("detach")
    assert len(read["results"]) > 1
    sim.assert_served_by(NODE)


def test_seconds_that_were_left_out_are_none_and_what_is_no_number_is_refused_by_its_text() -> None:
    assert (app.seconds(""), app.seconds("0"), app.seconds("1.5")) == (None, 0.0, 1.5)
    for text in ("soon", "-1", "inf", "nan"):
        with pytest.raises(Refused, match=repr(text)):
            app.seconds(text)
