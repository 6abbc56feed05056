"""The shape of the code: arrows point down, and each door to the outside is in one place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from transcoder.settings import ROOT

LEVELS: tuple[tuple[str, ...], ...] = (
    ("tasks", "fabfile"),
    ("packer",),
    ("transcoder.app",),
    ("transcoder.report_amis", "transcoder.report_restarts", "transcoder.report_stack", "transcoder.screen"),
    ("transcoder.report", "transcoder.iam"),
    ("transcoder.recipes", "transcoder.keystores"),
    ("transcoder.operate", "transcoder.actions"),
    ("transcoder.journal",),
    ("transcoder.aws",),
    ("transcoder.aws_instances", "transcoder.aws_volumes", "transcoder.aws_snapshots", "transcoder.aws_network"),
    (
        "transcoder.aws_images",
        "transcoder.aws_locks",
        "transcoder.aws_stacks",
        "transcoder.aws_noun",
        "transcoder.aws_calls",
    ),
    ("transcoder.remote", "transcoder.step", "transcoder.guest", "transcoder.content", "transcoder.batch"),
    ("transcoder.parallel", "transcoder.archive"),
    ("transcoder.shell",),
    ("transcoder.compatibility",),
    ("transcoder.world", "transcoder.proof"),
    ("transcoder.alarms",),
    ("transcoder.shape",),
    ("transcoder.settings", "transcoder.facts", "transcoder.aws_shapes", "transcoder.aws_errors"),
    ("transcoder.settings_image",),
    (
        "transcoder.settings_programs",
        "transcoder.settings_watch",
        "transcoder.settings_monitoring",
        "transcoder.settings_restart",
    ),
    ("transcoder.settings_keys", "transcoder.grants"),
    ("transcoder.catalog", "transcoder.checks", "transcoder.alarmed", "transcoder.redact"),
    ("transcoder.alone", "transcoder.crontab"),
    (
        "transcoder.model",
        "transcoder.stacks",
        "transcoder.tags",
        "transcoder.layout",
        "transcoder.secret",
        "transcoder.errors",
    ),
)
"""From the top to the bottom: a module imports from its own level and from those below it."""

DOORS = {
    "boto3": "transcoder/aws*.py",
    "botocore": "transcoder/aws*.py",
    "fabric": "transcoder/remote.py",
    "paramiko": "transcoder/remote.py",
    "pydantic": "transcoder/settings*.py",
    "testinfra": "packer/verify/machine.py",
    "cyclonedx": "packer/sbom.py",
    "packageurl": "packer/sbom.py",
    "hvac": "transcoder/keystores/vault.py",
    "pyrage": "transcoder/keystores/age.py",
    "eth_account": "transcoder/proof.py",
    "eth_keyfile": "transcoder/proof.py",
}
"""A library -> the only files outside the lab that import it."""

PUBLIC_HOSTS = {
    *("127.0.0.1", "localhost", "169.254.169.254"),
    *("github.com", "godoc.org", "keepachangelog.com", "semver.org", "developer.hashicorp.com"),
    *("archive.ubuntu.com", "deb.debian.org", "old-releases.ubuntu.com", "security.debian.org"),
    *("gethstore.blob.core.windows.net", "geth.ethereum.org", "viz.livepeer.org", "docs.aws.amazon.com"),
    *("arb1.arbitrum.io", "docs.livepeer.org", "wiki.debian.org", "www.packer.io", "example.org"),
    *("keyserver.ubuntu.com", "ppa.launchpadcontent.net", "registry.npmjs.org", "aws.amazon.com"),
}
"""Hosts that text of this project may name: public ones that an operator anywhere can reach."""


def sources(*parts: str) -> list[Path]:
    """Return the Python files of these top-level modules and packages."""
    found = [path for part in parts for path in (ROOT / part).rglob("*.py")]
    return sorted(found + [ROOT / f"{part}.py" for part in parts if (ROOT / f"{part}.py").exists()])


PROGRAM = sources("tasks", "fabfile", "packer", "transcoder")


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports; ``from a import b`` counts as ``a.b``, for b may be a module.

    What is imported for annotations alone (``if TYPE_CHECKING:``) does not run and does not count.
    """
    return frozenset(_imported(ast.parse(path.read_text(encoding="utf-8"))))


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def level(name: str) -> int | None:
    """Return the level of a module: 0 is the top; None for one outside the program or the package itself."""
    matches = [
        (len(prefix), number)
        for number, prefixes in enumerate(LEVELS)
        for prefix in prefixes
        if name == prefix or name.startswith(prefix + ".")
    ]
    return max(matches)[1] if matches else None


def users(*names: str, among: list[Path]) -> set[str]:
    """Return the files that import any of these modules."""
    return {
        str(path.relative_to(ROOT))
        for path in among
        for imported in imports(path)
        if any(imported == name or imported.startswith(name + ".") for name in names)
    }


def uses(path: Path, *chain: str) -> bool:
    """Tell whether a file has the attribute ``chain[0].chain[1]``, or imports it by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    attribute = any(
        isinstance(node, ast.Attribute)
        and node.attr == chain[1]
        and isinstance(node.value, ast.Name)
        and node.value.id == chain[0]
        for node in ast.walk(tree)
    )
    return attribute or ".".join(chain) in imports(path)


@pytest.mark.parametrize("path", PROGRAM, ids=dotted)
def test_arrows_point_down(path: Path) -> None:
    own = level(dotted(path))
    upward = {name for name in imports(path) if own is not None and (other := level(name)) is not None and other < own}
    assert not upward, f"{dotted(path)} imports from above itself"


@pytest.mark.parametrize("path", PROGRAM, ids=dotted)
def test_every_module_has_a_level(path: Path) -> None:
    assert dotted(path) == "transcoder" or level(dotted(path)) is not None, "add it to LEVELS where it belongs"


def test_no_two_modules_import_each_other_while_loading() -> None:
    graph = {dotted(path): _edges(path) for path in sources("packer", "transcoder")}
    assert not _cycle(graph)


def _edges(path: Path) -> set[str]:
    names = set(_imported(ast.Module([n for n in ast.parse(path.read_text("utf-8")).body if _is_import(n)], [])))
    known = {dotted(other) for other in sources("packer", "transcoder")}
    return {name if name in known else name.rpartition(".")[0] for name in names} & known - {dotted(path)}


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _cycle(graph: dict[str, set[str]]) -> set[str]:
    """Return the modules that are left after leaf by leaf has been taken away."""
    left = {name: set(edges) for name, edges in graph.items()}
    while leaves := {name for name, edges in left.items() if not edges & left.keys()}:
        left = {name: edges for name, edges in left.items() if name not in leaves}
    return set(left)


@pytest.mark.parametrize("library", DOORS)
def test_each_library_has_one_door(library: str) -> None:
    wrong = {file for file in users(library, among=PROGRAM) if not Path(file).match(DOORS[library])}
    assert not wrong, f"{library} belongs into {DOORS[library]} alone"


def test_recipes_touch_the_world_only() -> None:
    inner = [*sources("transcoder/recipes", "transcoder/actions"), ROOT / "transcoder" / "step.py"]
    assert not users("transcoder.aws", "transcoder.remote", "subprocess", "socket", among=inner)


def test_parsers_are_pure() -> None:
    impure = ("os", "pathlib", "subprocess", "socket", "time", "urllib", "transcoder.world", "transcoder.settings")
    assert not users(*impure, among=sources("transcoder/facts"))


def test_only_the_settings_read_the_process_environment() -> None:
    readers = {path.name for path in PROGRAM if uses(path, "os", "environ") or uses(path, "os", "getenv")}
    assert readers == {"settings.py"}


def test_only_the_clock_of_the_world_sleeps() -> None:
    assert {dotted(path) for path in PROGRAM if uses(path, "time", "sleep")} <= {"transcoder.world"}


def test_the_program_does_not_know_the_lab() -> None:
    assert users("lab", among=PROGRAM) <= {"tasks.py"}
    assert not users("moto", among=PROGRAM)


def test_tasks_import_the_lab_inside_its_own_tasks_alone() -> None:
    tree = ast.parse((ROOT / "tasks.py").read_text(encoding="utf-8"))
    importers = {
        node.name if isinstance(node, ast.FunctionDef) else "(the module itself)"
        for node in tree.body
        if any(name == "lab" or name.startswith("lab.") for name in _imported(node))
    }
    assert {name for name in importers if not name.startswith("lab_")} == set()


def test_no_branch_of_the_program_asks_whether_it_is_in_the_lab() -> None:
    asked = re.compile(r"""(==|!=|\bin\b)\s*\(?\s*["']lab["']|["']lab["']\s*(==|!=|in\b)|\bis_lab\b|\bin_lab\b""")
    found = [f"{dotted(path)}: {line}" for path in PROGRAM for line in _lines(path) if asked.search(line)]
    assert not found


def test_the_lab_imports_no_task_and_no_fabfile() -> None:
    assert not users("tasks", "fabfile", among=sources("lab"))


def test_tasks_are_thin_no_loop_over_the_world_and_no_library() -> None:
    heavy = ("boto3", "fabric.connection", "subprocess", "transcoder.aws", "transcoder.remote", "transcoder.step")
    assert not users(*heavy, among=sources("tasks", "fabfile"))


@pytest.mark.parametrize("directory", ["transcoder", "packer", "fabfile", "lab"])
def test_modules_and_functions_stay_small(directory: str) -> None:
    for path in sources(directory):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") < 400, f"{dotted(path)} has {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                assert length <= 50, f"{dotted(path)}.{node.name} has {length} lines"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def texts() -> list[Path]:
    """Return the files that people read: everything but caches, build products and the lock file."""
    skipped = {"build", "requirements.lock", "packer_cache", "node_modules"}
    found = []
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".pre-commit-config.yaml") for part in parts)
        if not hidden and path.is_file() and not skipped & set(parts) and "__pycache__" not in parts:
            found.append(path)
    return found


def readable(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def test_every_url_names_a_public_host() -> None:
    """Mirrors and proxies of one workplace mean nothing to others, and tools know their own defaults."""
    url = re.compile(r"https?://([A-Za-z0-9][A-Za-z0-9.-]*)")
    for path in texts():
        for host in url.findall(readable(path)):
            public = host in PUBLIC_HOSTS or host.endswith((".amazonaws.com", ".test", ".invalid", ".example"))
            address = re.fullmatch(r"(172\.31|10|192\.168|127)\.[0-9.]+", host)
            assert public or address, f"{path.relative_to(ROOT)} names the host {host}"


def test_nothing_that_is_downloaded_is_piped_into_a_shell() -> None:
    piped = re.compile(r"\b(curl|wget)\b[^\n|]*\|\s*(sudo\s+)?(\S*/)?(ba|da|z)?sh\b")
    assert piped.search("curl -fsSL https://example.org/install | sudo bash -s --")
    own = Path(__file__)
    found = [path.relative_to(ROOT) for path in texts() if path != own and piped.search(readable(path))]
    assert not found


def test_nothing_names_a_path_of_one_workplace() -> None:
    """Absolute paths of the machine that it was written on, and the way the work was organised."""
    private = re.compile(r"/wor[k]/|/hom[e]/(?!ubuntu|USER)\w+|/tm[p]/(?:helpers|lab)\b|\bsub-?agen[t]s?\b")
    for path in texts():
        match = private.search(readable(path))
        assert not match, f"{path.relative_to(ROOT)} says {match and match[0]!r}"
