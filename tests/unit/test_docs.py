"""What cannot drift: every task has help, an example and a place in docs/; docs name only what exists."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import fabfile
import tasks
from transcoder.settings import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/runbooks").glob("*.md"))]
ERRORS = ROOT / "docs" / "errors.md"
FAMILIES = {"TranscoderError", "Refused", "BadSettings", "Failed", "Unreachable"}


@dataclass(frozen=True)
class Command:
    """A task as an operator types it."""

    line: str
    task: Any
    arguments: tuple[Any, ...]
    """Invoke builds them with the help it then forgets, so they are asked for once."""

    @property
    def options(self) -> set[str]:
        """Return its long options without the dashes."""
        return {name.lstrip("-") for argument in self.arguments for name in _names(argument)}


def _names(argument: Any) -> Iterator[str]:
    for name in argument.names:
        yield name.replace("_", "-")
        yield f"no-{name.replace('_', '-')}"


def commands() -> list[Command]:
    """Return every task of both programs."""
    return [
        Command(f"{program} {name}", collection[name], tuple(collection[name].get_arguments()))
        for program, collection in (("invoke", tasks.namespace), ("fab", fabfile.namespace))
        for name in sorted(collection.task_names)
    ]


COMMANDS = commands()
BY_LINE = {command.line: command for command in COMMANDS}
IDS = [command.line for command in COMMANDS]


def fixed_commands() -> list[str]:
    """Return the names that operators' scripts rely on."""
    lab = [f"invoke lab.{name}" for name in ("up", "status", "down", "logs", "shell")]
    fab = [f"fab {name}" for name in ("attach", "detach", "adopt", "migrate", "status", "logs")]
    return [*lab, *fab, "invoke bake-ami", "invoke launch", "invoke terminate"]


def code_lines(page: Path) -> list[str]:
    """Return what a page shows as something to type: lines of code blocks, and inline code."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    outside = re.sub(r"^```[^\n]*\n.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [line.strip() for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", outside)


def typed() -> list[tuple[Path, str]]:
    """Return every ``invoke ...`` and ``fab ...`` that the pages tell to type."""
    return [
        (page, line)
        for page in PAGES
        for line in code_lines(page)
        if re.match(r"(invoke|fab) +[a-z]", line) and not line.startswith(("invoke --", "fab --"))
    ]


def test_the_fixed_commands_exist() -> None:
    assert not [name for name in fixed_commands() if name not in BY_LINE]


@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_every_task_has_a_summary_and_an_example_of_itself(command: Command) -> None:
    help_text = inspect.getdoc(command.task.body) or ""
    assert len(help_text.splitlines()[0]) > 20
    examples = help_text.partition("Examples:")[2]
    assert any(line.strip().startswith(command.line) for line in examples.splitlines()), "no example of itself"


@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_every_example_uses_options_that_exist(command: Command) -> None:
    examples = (inspect.getdoc(command.task.body) or "").partition("Examples:")[2]
    for line in examples.splitlines():
        if line.strip().startswith(command.line + " "):
            assert not unknown_options(line.strip()), line


@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_every_option_has_help(command: Command) -> None:
    silent = [argument.name for argument in command.arguments if not argument.help]
    assert not silent


@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_every_task_is_in_the_docs(command: Command) -> None:
    docs = [page for page in PAGES if page.parent.name == "docs"]
    mention = re.compile(re.escape(command.line) + r"(?![\w.-])")
    assert any(mention.search(line) for page in docs for line in code_lines(page)), (
        f"no page of docs/ has {command.line}"
    )


@pytest.mark.parametrize(("page", "line"), typed(), ids=lambda value: value.name if isinstance(value, Path) else value)
def test_the_docs_name_only_tasks_and_options_that_exist(page: Path, line: str) -> None:
    assert " ".join(shlex.split(line, comments=True)[:2]) in BY_LINE, f"{page.name}: {line}"
    assert not unknown_options(line), f"{page.name}: {line}"


def unknown_options(line: str) -> set[str]:
    """Return the long options of a command line that its task does not have."""
    words = shlex.split(line, comments=True)
    options = {word[2:].partition("=")[0] for word in words[2:] if word.startswith("--") and len(word) > 2}
    return options - BY_LINE[" ".join(words[:2])].options


def error_classes() -> set[str]:
    """Return the public error classes of the program, found in the source, so that nothing must be imported."""
    found = set(FAMILIES)
    for path in [*(ROOT / "transcoder").rglob("*.py"), *(ROOT / "packer").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                found |= {node.name} if bases & FAMILIES else set()
    return found


@pytest.mark.parametrize("name", sorted(error_classes()))
def test_every_error_class_is_in_errors_md(name: str) -> None:
    assert f"`{name}`" in ERRORS.read_text(encoding="utf-8")


def test_every_exit_code_is_in_errors_md() -> None:
    text = ERRORS.read_text(encoding="utf-8")
    assert all(re.search(rf"^\| {code} \|", text, re.MULTILINE) for code in (0, 1, 2, 3, 4, 5))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


def test_the_table_of_contents_names_every_page() -> None:
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert not [
        page.name for page in PAGES if page.parent.name == "docs" and f"({page.name})" not in contents + "(README.md)"
    ]
