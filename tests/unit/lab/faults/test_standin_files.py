"""Files that tell a stand-in to fail: what is put into them in a machine, and taken out again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.faults import geth_stall
from lab.faults.standin_files import EDIT, Entry


def edit(root: Path, name: str, key: str, value: str, role: str = "geth") -> subprocess.CompletedProcess[str]:
    """Run the program here, with ``root`` for the machine's programs and volume."""
    (root / "volume").mkdir(exist_ok=True)
    program = EDIT.replace("/usr/local/bin/", f"{root}/")
    argv = [sys.executable, "-", role, str(root / "volume"), name, key, value]
    return subprocess.run(argv, input=program, capture_output=True, text=True, check=False)


def program(root: Path, role: str, says: str) -> None:
    """Let there be a program of a role."""
    path = root / role
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_two_faults_share_a_file_and_it_goes_with_the_last(tmp_path: Path) -> None:
    program(tmp_path, "geth", "This is a stand-in for geth")
    path = tmp_path / "volume" / "STALL"

    assert edit(tmp_path, "STALL", "until-restart", "true").stdout == "false\n"
    assert edit(tmp_path, "STALL", "no-peers", "true").returncode == 0
    assert json.loads(path.read_text()) == {"until-restart": True, "no-peers": True}
    assert path.stat().st_mode & 0o777 == 0o644, "the stand-in is another user"
    assert edit(tmp_path, "STALL", "until-restart", "").stdout == "true\n"
    assert json.loads(path.read_text()) == {"no-peers": True}
    edit(tmp_path, "STALL", "no-peers", "")
    assert not path.exists()
    assert edit(tmp_path, "STALL", "no-peers", "").stdout == "false\n", "it was not there any more"


def test_a_file_made_by_hand_counts_as_one_without_entries(tmp_path: Path) -> None:
    program(tmp_path, "geth", "stand-in")
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "STALL").write_text("")

    assert edit(tmp_path, "STALL", "held", "true").returncode == 0
    assert json.loads((tmp_path / "volume" / "STALL").read_text()) == {"held": True}


@pytest.mark.parametrize("role", ["geth", "livepeer"])
def test_the_real_programs_are_left_alone(tmp_path: Path, role: str) -> None:
    program(tmp_path, role, "Version: 1.8.27-stable")

    done = edit(tmp_path, "STALL", "held", "true", role)

    assert done.returncode == 1
    assert f"the real {role}" in done.stderr
    assert not (tmp_path / "volume" / "STALL").exists()


def test_a_machine_without_the_program_or_the_volume_says_so(tmp_path: Path) -> None:
    assert "this machine has no geth" in edit(tmp_path, "STALL", "held", "true").stderr
    program(tmp_path, "geth", "stand-in")
    done = subprocess.run(
        [sys.executable, "-", "geth", str(tmp_path / "away"), "STALL", "held", "true"],
        input=EDIT.replace("/usr/local/bin/", f"{tmp_path}/"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "is its volume not mounted?" in done.stderr


def test_a_stall_that_is_held_is_another_entry_than_one_that_a_restart_cures() -> None:
    assert geth_stall.told({"hold": False}).entry == Entry("geth", "STALL", "until-restart")
    assert geth_stall.told({"hold": True}).entry == Entry("geth", "STALL", "held")
    assert geth_stall.told({"hold": True}).entry.directory == "/d2/geth-data/.ethereum/geth"
