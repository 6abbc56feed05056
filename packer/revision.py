"""Which commit of this project an image is made with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from transcoder.settings import ROOT

UNKNOWN = "unknown"
"""Of a copy without git's history, or on a machine without git."""
TIMEOUT_SECONDS = 60


def observe_commit(root: Path = ROOT) -> str:
    """Return the commit that is checked out, with ``-dirty`` where files differ from it, or `UNKNOWN`."""
    git = shutil.which("git")
    head = _output(git, root, "rev-parse", "--verify", "HEAD") if git else None
    if head is None:
        return UNKNOWN
    return f"{head}-dirty" if _output(git, root, "status", "--porcelain") else head


def _output(git: str | None, root: Path, *arguments: str) -> str | None:
    """Return what git prints, None where it fails: ``root`` is no repository, or not one that git trusts."""
    command = [str(git), "-C", str(root), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    return None if result.returncode else result.stdout.strip()
