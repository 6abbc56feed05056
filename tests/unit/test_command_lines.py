"""What operators type is understood as they mean it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from invoke.collection import Collection
from invoke.parser import Parser, ParserContext
from invoke.tasks import Task

import fabfile
import tasks


def every_task() -> Iterator[Task]:
    for module in (fabfile, tasks):
        collection = module.namespace if hasattr(module, "namespace") else Collection.from_module(module)
        yield from (collection[name] for name in collection.task_names)


REPEATABLE = [(task, name) for task in every_task() for name in task.iterable]


def parsed(task: Task, *argv: str) -> dict[str, object]:
    (context,) = Parser([ParserContext(task.name, args=task.get_arguments())]).parse_argv([task.name, *argv])
    return {argument.attr_name or argument.name: argument.value for argument in context.args.values()}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ((), "all"),
        (("geth",), "geth"),
        (("livepeer", "--yes"), "livepeer"),
        (("--node", "tc001", "all"), "all"),
        (("--what", "geth"), "geth"),
        (("--what=geth",), "geth"),
    ],
)
def test_what_to_restart_is_a_word_that_may_be_left_out(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], meant: str
) -> None:
    monkeypatch.setattr("sys.argv", ["fab", "restart", *words])
    assert parsed(fabfile.namespace["restart"], *words)["what"] == meant


def test_there_are_options_that_may_be_given_twice() -> None:
    assert {name for _, name in REPEATABLE} >= {"force_detach", "format"}


@pytest.mark.parametrize(("task", "name"), REPEATABLE, ids=[f"{task.name} --{name}" for task, name in REPEATABLE])
def test_an_option_that_may_be_given_twice_is_a_list_of_what_was_given(task: Task, name: str) -> None:
    """With a tuple as its default Invoke takes a value apart into its letters."""
    option = f"--{name.replace('_', '-')}"
    assert parsed(task, option, "vol-1")[name] == ["vol-1"]
    assert parsed(task, option, "vol-1", option, "vol-2")[name] == ["vol-1", "vol-2"]
