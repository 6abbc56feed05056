"""The commit that an image is made with."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from packer.revision import UNKNOWN, observe_commit


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_a_changed_file_makes_it_dirty(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--message", "one")
    clean = observe_commit(tmp_path)
    (tmp_path / "file").write_text("two")

    assert re.fullmatch("[0-9a-f]{40}", clean)
    assert observe_commit(tmp_path) == f"{clean}-dirty"


def test_a_file_that_nobody_has_added_makes_it_dirty_too(tmp_path: Path) -> None:
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "--message", "one")
    (tmp_path / "new").touch()

    assert observe_commit(tmp_path).endswith("-dirty")


def test_without_history_it_is_not_known(tmp_path: Path) -> None:
    assert observe_commit(tmp_path) == UNKNOWN
