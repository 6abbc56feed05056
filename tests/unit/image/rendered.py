"""The image's files as they are baked, for the tests of their content."""

from __future__ import annotations

from pathlib import Path

from packer.rootfs import render_rootfs
from packer.tarball import File
from tests.unit.packer.samples import settings_in
from transcoder.settings import ROOT

DATA = Path(__file__).parents[2] / "data"
SCRIPTS = ROOT / "files/rootfs/usr/local/lib/transcoder"
CHECKS = (
    *("check-volume", "wait-for-geth", "fetch-passphrase", "run-livepeer"),
    *("transcoder-watch", "watch-counts", "nightly-restart"),
)


def rendered(directory: Path, geth: str = "", livepeer: str = "") -> dict[str, File]:
    """Return the files of an image."""
    return render_rootfs(settings_in(directory, geth=geth, livepeer=livepeer))


def text_of(files: dict[str, File], path: str) -> str:
    """Return a file of the image as text."""
    return files[path].content.decode()


def parse_unit(text: str) -> list[tuple[str, str, str]]:
    """Return the section, name and value of every directive of a unit file; continued lines are joined."""
    section, found = "", []
    for line in text.replace("\\\n", "").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line.strip() and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            found.append((section, name.strip(), value.strip()))
    return found
