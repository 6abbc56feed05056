"""What runs inside a machine can run on the oldest one: Python 3.6, POSIX sh."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from packer.recipe import SCRIPTS as PROVISION
from tests.unit.image.rendered import CHECKS, SCRIPTS
from transcoder import layout
from transcoder.settings import ROOT

sys.path.insert(0, str(SCRIPTS))
try:
    import transcoder_node as node  # type: ignore[import-not-found, unused-ignore]
finally:
    sys.path.remove(str(SCRIPTS))

BAKED = sorted(path for path in SCRIPTS.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
BAKED_SHELL = [path for path in BAKED if path.read_text().startswith("#!/bin/sh\n")]
PYTHON = [path for path in BAKED if path not in BAKED_SHELL]
SHELL = [*BAKED_SHELL, *sorted(PROVISION.glob("*.sh"))]


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_python_3_6_can_parse_it(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 6))


def imported(path: Path) -> set[str]:
    """Return the modules that a script imports, but for those beside it."""
    own = {"transcoder_node", *(other.stem for other in SCRIPTS.iterdir())}
    found = set()
    for item in ast.walk(ast.parse(path.read_text())):
        if isinstance(item, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in item.names}
        if isinstance(item, ast.ImportFrom) and not item.level and item.module:
            found.add(item.module.partition(".")[0])
    return found - own


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_only_the_standard_library_is_imported_and_what_a_package_of_the_image_brings(path: Path) -> None:
    packaged = {"Cryptodome"} if path.name == "new-account" else set()

    assert imported(path) <= sys.stdlib_module_names | packaged


def too_new(*paths: Path) -> str:
    """Return what of these scripts Python 3.6 does not have: syntax, modules, functions and their parameters."""
    vermin = Path(sys.executable).with_name("vermin")
    command = [str(vermin), "-t=3.6-", "--violations", "--no-tips", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"{len(paths)} files" in done.stdout or len(paths) == 1
    return done.stdout if done.returncode else ""


def test_python_3_6_has_all_that_runs_on_the_machine() -> None:
    assert too_new(*PYTHON) == ""


@pytest.mark.parametrize(
    "line",
    ["import dataclasses", "if (n := 1): pass", "import subprocess; subprocess.run(['x'], capture_output=True)"],
)
def test_what_python_3_6_does_not_have_would_be_caught(line: str, tmp_path: Path) -> None:
    (tmp_path / "newer.py").write_text(line + "\n")

    assert too_new(tmp_path / "newer.py") != ""


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_is_executable_and_names_its_interpreter(name: str) -> None:
    path = SCRIPTS / name

    assert path.stat().st_mode & 0o111
    assert path.read_text().startswith("#!/usr/bin/python3 -B\n")


@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_a_provisioning_script_is_posix_sh_that_ends_at_its_first_failure(path: Path) -> None:
    assert "\nset -eu\n" in path.read_text()
    subprocess.run(["sh", "-n", str(path)], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("path", SHELL, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    # SC2086: lists of names are meant to be split at their blanks.
    command = ["shellcheck", "--shell=sh", "--exclude=SC2086", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.stdout == ""


def test_what_the_machine_knows_of_the_layout_is_the_layout() -> None:
    assert {volume.role: volume.mount for volume in layout.VOLUMES} == node.MOUNTS
    assert (node.KEYSTORE, node.MARKER) == (layout.KEYSTORE, layout.MARKER)
    for volume in layout.VOLUMES:
        assert set(node.DIRECTORIES[volume.role]) <= {directory.path for directory in volume.directories}


def test_the_image_is_cleaned_before_it_proves_itself_and_nothing_comes_after() -> None:
    assert [path.name for path in SHELL][-2:] == ["80-clean.sh", "90-prove.sh"]


def test_no_proxy_of_the_machine_that_bakes_is_named_in_what_is_baked() -> None:
    baked = [path for tree in ("files", "templates", "packer/provision") for path in (ROOT / tree).rglob("*")]
    texts = {path: path.read_text() for path in baked if path.is_file() and path.suffix != ".pyc"}

    assert [path for path, text in texts.items() if "proxy" in text.lower()] == []
