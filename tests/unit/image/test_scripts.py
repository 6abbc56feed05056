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

PYTHON = sorted(path for path in SCRIPTS.iterdir() if path.is_file())
MORE = {"hashlib", "subprocess", "uuid"}
"""What making a key needs beside; its cryptography is of the distribution's packages (`packer.recipe`)."""
SHELL = sorted(PROVISION.glob("*.sh"))


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_python_3_6_can_parse_it(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_only_the_standard_library_of_python_3_6_is_imported(path: Path) -> None:
    trees = ast.walk(ast.parse(path.read_text()))
    names = {alias.name for item in trees if isinstance(item, ast.Import) for alias in item.names}

    plain = {"argparse", "http.client", "json", "os", "re", "signal", "socket", "sys", "time"}
    assert names <= plain | (MORE if path.name == "new-account" else set())


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
