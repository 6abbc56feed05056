"""Archives that depend on their content alone: no time, no owner, no order of a directory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """A file of the image: its bytes and its mode. Owner is root."""

    content: bytes
    mode: int = 0o644


def write_tar(path: Path, files: Mapping[str, File]) -> None:
    """Write an archive with these files, by their path in it. Directories are left to whoever unpacks it."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name].content)
            member.mode = files[name].mode
            member.uname = member.gname = "root"
            tar.addfile(member, io.BytesIO(files[name].content))
