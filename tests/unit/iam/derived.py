"""Which AWS actions the source code calls, which of them a task can reach, and which a task was seen to call.

What is reached is read out of the code, nothing is run: a task reaches what the modules that it imports reach, at most
that, in one run seldom all of it. What was seen is in the records of the rehearsals and of `tests.contract.iam`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

from lab.rehearsal import actions as rehearsal
from lab.rehearsal.actions import Called, joined, policy_of
from tests.contract.iam import record as contract
from transcoder.iam import BAKE_TASKS
from transcoder.settings import ROOT

SERVICES = ("ec2", "ssm", "secretsmanager", "autoscaling", "cloudformation")
CALLERS = [*sorted((ROOT / "transcoder").glob("aws*.py")), *sorted((ROOT / "transcoder/keystores").glob("*.py"))]
REACHING = (
    *("transcoder.recipes", "transcoder.actions", "transcoder.operate", "transcoder.keystores", "transcoder.world"),
    *("packer", "fabfile", "tasks"),
)
"""Modules that are looked into; what is below them, `transcoder.aws` has the names of."""
FOREIGN = {"call", "make", "pages"}
GROUPS = ("monitoring",)
"""Collections of tasks that stand in ``tasks.py`` with their collection's name before their own."""
KEYS = {"transcoder.recipes.key_facts", "transcoder.recipes.list_keys", "transcoder.actions.passphrases"}
"""What asks the key stores."""
MACHINE = ROOT / "tests" / "data" / "iam" / "machine.json"
"""What a machine calls as its role; `tests.contract.keystores.test_fetched_passphrase` sees it do so."""
NOT_FOR_IMAGES = {"ec2:DescribeAddresses"}
"""Steps ask for an Elastic IP by its id alone (`SetTags`); what bakes and verifies has none."""


@cache
def operations() -> dict[str, str]:
    """Return boto3's names of all methods of the services that are called, with IAM's names of them."""
    found: dict[str, str] = {}
    for service in SERVICES:
        for action in botocore.session.get_session().get_service_model(service).operation_names:
            found.setdefault(xform_name(action), f"{service}:{action}")
    return found


@cache
def methods() -> dict[str, frozenset[str]]:
    """Return the methods of `transcoder.aws` that call AWS, each with its actions, those of its helpers included."""
    direct: dict[str, set[str]] = {}
    uses: dict[str, set[str]] = {}
    for path in (each for each in CALLERS if each.parent.name == "transcoder"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                direct.setdefault(node.name, set()).update(spoken(node))
                uses.setdefault(node.name, set()).update(_names(node))
    for _ in direct:  # a chain of helpers is no longer than that
        for name, used in uses.items():
            direct[name] |= {action for other in used - FOREIGN if other in direct for action in direct[other]}
    return {name: frozenset(found) for name, found in direct.items() if found}


def spoken(tree: ast.AST) -> set[str]:
    """Return the actions whose names stand in a piece of code, as boto3 spells them."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {operations()[text] for text in texts if text in operations()}


def everything() -> set[str]:
    """Return every action that the program calls by itself."""
    return {action for path in CALLERS for action in spoken(ast.parse(path.read_text(encoding="utf-8")))}


@cache
def key_actions() -> set[str]:
    """Return what the stores in AWS call."""
    paths = [path for path in CALLERS if path.parent.name == "keystores"]
    return {action for path in paths for action in spoken(ast.parse(path.read_text(encoding="utf-8")))}


@cache
def by_task() -> dict[str, set[str]]:
    """Return every task that reaches AWS, as it is typed, with the actions that it reaches."""
    files = [("invoke", ROOT / "tasks.py"), *(("fab", path) for path in sorted((ROOT / "fabfile").glob("*.py")))]
    found = {
        (line := typed(program, node.name)): _reached(node, path) - (NOT_FOR_IMAGES if line in BAKE_TASKS else set())
        for program, path in files
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    return {task: actions for task, actions in sorted(found.items()) if actions}


def typed(program: str, function: str) -> str:
    """Return a task as it is typed."""
    name = function.replace("_", "-")
    group = name.partition("-")[0]
    return f"{program} {name.replace('-', '.', 1) if group in GROUPS else name}"


Place = tuple[str, str]
"""A module and the name of a function or class at its top; an empty name for what a task itself has."""


def _reached(task: ast.FunctionDef, path: Path) -> set[str]:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    wanted, seen, used = set(_references(task, module)), set[Place](), _names(task)
    while wanted:
        place = wanted.pop()
        definition = _definitions(place[0]).get(place[1])
        if place in seen or definition is None:
            continue
        seen.add(place)
        used |= _names(definition)
        wanted |= set(_references(definition, place[0]))
    found = {action for name in used if name in methods() for action in methods()[name]}
    return found | (key_actions() if {module for module, _ in seen} & KEYS else set())


def _names(tree: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | _plain(tree)


def _plain(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _references(tree: ast.AST, module: str) -> Iterator[Place]:
    """Yield the places that a piece of a module's code names, by its own imports and by the module's."""
    if not module.startswith(REACHING):
        return
    imported = {**_imports(_tree(module)), **_imports(tree)}
    for name in _plain(tree):
        yield module, name
        if name in imported:
            yield imported[name]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in imported:
            yield ".".join(imported[node.value.id]), node.attr


@cache
def _definitions(module: str) -> dict[str, ast.AST]:
    if not module.startswith(REACHING):
        return {}
    found: dict[str, ast.AST] = {}
    for node in _tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        if isinstance(node, ast.Assign):  # a table of functions
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return found


def _imports(tree: ast.AST) -> dict[str, Place]:
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


@cache
def _tree(module: str) -> ast.Module:
    path = ROOT / module.replace(".", "/")
    file = next((each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()), None)
    return ast.parse(file.read_text(encoding="utf-8") if file else "")


def seen() -> Called:
    """Return the actions that were really called, by task; Packer and the machine are there as well."""
    lines: dict[str, set[str]] = {}
    for words, actions in contract.load().items():
        lines.setdefault(" ".join(words.split()[:2]), set()).update(actions)
    machine = rehearsal.load(MACHINE)
    return joined(rehearsal.load(), machine, {task: frozenset(actions) for task, actions in lines.items()})


def table() -> str:
    """Return the table of docs/iam.md."""
    rows = [f"| {_name(who)} | {policy_of(who)} | {_listed(set(actions))} |" for who, actions in seen().items()]
    return "\n".join(["| who | policy | actions that were called |", "|---|---|---|", *rows])


def _name(who: str) -> str:
    return f"`{who}`" if who.startswith(("fab ", "invoke ")) else who


def _listed(actions: set[str]) -> str:
    services = sorted({action.split(":")[0] for action in actions})
    parts = {each: sorted(a.split(":")[1] for a in actions if a.startswith(f"{each}:")) for each in services}
    return "; ".join(f"{service}: {', '.join(names)}" for service, names in parts.items())


if __name__ == "__main__":
    page = ROOT / "docs" / "iam.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r"\| who \|.*?(?=\n\n)", lambda _: table(), text, flags=re.DOTALL), encoding="utf-8")
