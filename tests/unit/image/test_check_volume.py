"""check-volume: a service starts with its own volume and its own key, or not at all and says why."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.image.rendered import SCRIPTS
from transcoder import layout

ADDRESS = "0x0F544432cb27103055d8c1b5fba0e45f5a9cceA8"
PLAIN = ADDRESS[2:].lower()
KEY_NAME = f"UTC--2018-06-20T12-34-56.123456789Z--{PLAIN}"


def mounted(root: str, path: str) -> str:
    """Return a line of mountinfo (proc(5)): ``root`` of its file system is mounted at ``path``."""
    return f"36 35 98:0 {root} {path} rw,noatime shared:1 - ext4 /dev/x rw\n"


def machine(tmp_path: Path) -> Path:
    """Make a machine with both volumes mounted, marked, and the node's key in its place."""
    root = tmp_path / "root"
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text("".join(mounted("/", path) for path in ("/", "/d1", "/d2")))
    for volume in layout.VOLUMES:
        for directory in volume.directories:
            (root / directory.path[1:]).mkdir(parents=True)
        mark(root, volume, {"node": "tc001", "role": volume.role, "address": ADDRESS})
    put_key(root, KEY_NAME, PLAIN)
    return root


def mark(root: Path, volume: layout.DataVolume, marker: object) -> None:
    (root / volume.mount[1:] / layout.MARKER).write_text(json.dumps(marker))


def put_key(root: Path, name: str, address: str) -> None:
    keystore = root / layout.KEYSTORE[1:]
    keystore.mkdir(exist_ok=True)
    (keystore / name).write_text(json.dumps({"address": address, "version": 3}))


def check(root: Path, role: str = "livepeer", *command: str) -> tuple[int, str]:
    """Run check-volume; return its exit status and all that it said."""
    arguments = [sys.executable, "-B", str(SCRIPTS / "check-volume"), role, "--root", str(root)]
    result = subprocess.run(
        [*arguments, *(("--", *command) if command else ())], capture_output=True, text=True, check=False
    )
    return result.returncode, result.stdout + result.stderr


def refusal(root: Path, role: str = "livepeer") -> str:
    """Return the one line of a refusal."""
    status, said = check(root, role)
    assert status == 78, said
    assert said.startswith("check-volume: refused: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("role", ["livepeer", "geth"])
def test_the_right_volume_is_accepted_without_a_word(role: str, tmp_path: Path) -> None:
    assert check(machine(tmp_path), role) == (0, "")


def test_an_accepted_volume_starts_the_command(tmp_path: Path) -> None:
    assert check(machine(tmp_path), "livepeer", "/bin/echo", "started", "--", "all") == (0, "started -- all\n")


def test_a_refused_volume_does_not_start_the_command(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / "proc/self/mountinfo").write_text("")

    assert "started" not in check(root, "livepeer", "/bin/echo", "started")[1]


def test_an_empty_mount_point_is_refused(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / "proc/self/mountinfo").write_text(mounted("/", "/d10") + mounted("/d1", "/x"))

    assert "nothing is mounted on /d1: type `fab attach`" in refusal(root)


def test_the_directory_that_the_units_own_sandbox_mounts_is_no_volume(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / "proc/self/mountinfo").write_text(mounted("/", "/") + mounted("/d1", "/d1"))

    assert "nothing is mounted on /d1: type `fab attach`" in refusal(root)


def test_a_volume_without_a_marker_is_refused(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / "d1" / layout.MARKER).unlink()

    said = refusal(root)
    assert "/d1/.transcoder.json is missing" in said
    assert "`fab adopt`" in said


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "null"])
def test_a_broken_marker_is_refused(content: str, tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / "d1" / layout.MARKER).write_text(content)

    assert "/d1/.transcoder.json" in refusal(root)


def test_the_volume_of_another_role_is_refused(tmp_path: Path) -> None:
    root = machine(tmp_path)
    mark(root, layout.GETH, {"node": "tc001", "role": "livepeer"})

    assert "a volume of role 'livepeer', not 'geth'" in refusal(root, "geth")


def test_a_volume_without_its_directories_is_refused(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / "d2/geth-data").rmdir()

    assert "/d2/geth-data is missing on the volume" in refusal(root, "geth")


@pytest.mark.parametrize("address", ["", None])
def test_a_node_without_a_key_yet_is_told_how_to_get_one(address: str | None, tmp_path: Path) -> None:
    root = machine(tmp_path)
    mark(root, layout.LIVEPEER, {"node": "tc001", "role": "livepeer", "address": address})

    said = refusal(root)
    assert "no Ethereum address yet" in said
    assert "`fab create-key`" in said
    assert "`fab restore-keys`" in said


def test_an_empty_keystore_is_refused(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / layout.KEYSTORE[1:] / KEY_NAME).unlink()

    assert f"has no key of {ADDRESS} (it has no key at all): type `fab restore-keys`" in refusal(root)


def test_a_missing_keystore_is_refused(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / layout.KEYSTORE[1:] / KEY_NAME).unlink()
    (root / layout.KEYSTORE[1:]).rmdir()

    assert "no key at all" in refusal(root)


def test_a_strangers_key_is_refused_by_its_address(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / layout.KEYSTORE[1:] / KEY_NAME).unlink()
    put_key(root, f"UTC--2019--{'a' * 40}", "a" * 40)

    assert f"(it has 0x{'a' * 40})" in refusal(root)


def test_another_key_beside_the_nodes_own_is_no_reason_to_refuse(tmp_path: Path) -> None:
    root = machine(tmp_path)
    put_key(root, f"UTC--2017--{'a' * 40}", "a" * 40)

    assert check(root) == (0, "")


@pytest.mark.parametrize("inside", ["b" * 40, ""])
def test_a_key_file_whose_content_is_of_another_address_is_refused(inside: str, tmp_path: Path) -> None:
    root = machine(tmp_path)
    put_key(root, KEY_NAME, inside)

    assert "is damaged" in refusal(root)


def test_a_key_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    root = machine(tmp_path)
    (root / layout.KEYSTORE[1:] / KEY_NAME).write_text('{"address": "0f54')

    assert "is damaged" in refusal(root)
