"""Several commands in one exchange, run by a real shell: their outputs come back as if each had been run alone."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.batch import parse_batch, render_batch
from transcoder.errors import Failed
from transcoder.world import Command, Output

TOKEN = "c0ffee" * 5


def run(*commands: Command) -> tuple[Output, ...]:
    done = subprocess.run(["sh", "-c", render_batch(commands, TOKEN)], capture_output=True, text=True, check=True)
    return parse_batch(commands, TOKEN, done.stdout, done.stderr)


def test_each_command_has_its_own_output_errors_and_code() -> None:
    said = run(
        Command(("printf", "no newline")),
        Command(("sh", "-c", "echo out; echo err >&2; exit 3"), ok=(0, 3)),
        Command(("true",)),
    )
    assert [(output.exit_code, output.stdout, output.stderr) for output in said] == [
        (0, "no newline", ""),
        (3, "out\n", "err\n"),
        (0, "", ""),
    ]


def test_after_a_code_that_is_not_ok_nothing_more_is_run() -> None:
    said = run(Command(("echo", "first")), Command(("false",)), Command(("echo", "never")))
    assert [output.exit_code for output in said] == [0, 1]


def test_a_command_that_is_not_there_ends_with_127() -> None:
    assert run(Command(("no-such-program-here",)))[0].exit_code == 127


def test_nothing_is_fed_to_a_command() -> None:
    assert run(Command(("cat",)))[0].stdout == ""


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(st.lists(words, max_size=3), min_size=1, max_size=4))
def test_every_part_of_every_command_arrives_as_it_is(commands: list[list[str]]) -> None:
    said = run(*(Command(("printf", "<%s>", *parts)) for parts in commands))
    wanted = ["".join(f"<{part}>" for part in parts) or "<>" for parts in commands]
    # A text stream in Python reads \r\n and \r as \n; what the shell passes on is not changed.
    assert [output.stdout for output in said] == [text.replace("\r\n", "\n").replace("\r", "\n") for text in wanted]


@pytest.mark.parametrize("stdout", ["", "Killed", f"out\n{TOKEN} 0\nmore without an end"])
def test_a_shell_that_broke_off_is_an_error(stdout: str) -> None:
    with pytest.raises(Failed, match="broke off"):
        parse_batch((Command(("true",)), Command(("true",))), TOKEN, stdout, "")
