"""The story is told in command lines that exist, in an order that proves something."""

from __future__ import annotations

import pytest
from invoke.collection import Collection
from invoke.parser import Parser

from lab.rehearsal.stage import Act, Plot
from lab.rehearsal.story import story

PLOT = Plot("tc001", "tc001", "tc001-b")
WHOLE = story(PLOT, left_over=True, down=True)


def tasks_of(program: str) -> Collection:
    """Return the tasks that ``invoke`` or ``fab`` has here."""
    if program == "invoke":
        import tasks

        return Collection.from_module(tasks)
    import fabfile

    return fabfile.namespace


@pytest.mark.parametrize(
    "act",
    [act for act in (*WHOLE, *story(PLOT, left_over=False, down=False, fresh=True)) if act.command],
    ids=lambda act: act.key,
)
def test_every_command_line_of_the_story_is_one_of_the_project(act: Act) -> None:
    program, *words = act.command
    parsed = Parser(contexts=tasks_of(program).to_contexts()).parse_argv([*words, "--env", "lab"])
    assert [context.name for context in parsed] == [words[0]]
    assert parsed[0].args["env"].value == "lab"


def test_the_keys_of_the_story_are_unique() -> None:
    keys = [act.key for act in WHOLE]
    assert len(set(keys)) == len(keys)


def test_the_second_migration_is_the_first_one_again() -> None:
    by_key = {act.key: act.command for act in WHOLE}
    assert [word for word in by_key["migrate"] if word != "--json"] == list(by_key["again"])
    assert [word for word in by_key["dry-run"] if word != "--dry-run"] == [w for w in by_key["migrate"] if w != "--yes"]


def test_only_a_lab_that_was_left_is_cleared_and_only_on_demand_taken_down() -> None:
    keys = {act.key for act in story(PLOT, left_over=False, down=False)}
    assert not {"clear", "down"} & keys


def test_the_lab_of_a_rehearsal_keeps_its_images_and_only_on_demand_are_they_baked_anew() -> None:
    assert all("--forget-images" not in act.command for act in WHOLE)
    fresh = story(PLOT, left_over=False, down=False, fresh=True)
    assert [act.key for act in fresh if "--force" in act.command] == ["bake"]
    assert not any("--force" in act.command for act in WHOLE)
