"""The archives: named and laid out as the real releases, and the same bytes every time."""

import hashlib
import subprocess
import tarfile
from pathlib import Path

from lab.standins.build import LIVEPEERS
from lab.standins.build import build as build_archives
from transcoder.catalog.history import numbers
from transcoder.catalog.livepeer import build


def test_the_archives_have_the_names_and_the_layout_of_the_releases(tmp_path: Path) -> None:
    archives = build_archives(tmp_path)
    assert {name: path.name for name, path in archives.items()} == {
        "geth": "geth-linux-amd64-1.8.27-4bcc0a37.tar.gz",
        "livepeer": "livepeer_linux.tar.gz",
        "livepeer 0.5.2": "livepeer-linux-amd64.tar.gz",
    }
    members = {}
    for path in archives.values():
        with tarfile.open(path) as archive:
            members.update({member.name: member.mode for member in archive.getmembers() if member.isfile()})
    assert members == {
        "geth-linux-amd64-1.8.27-4bcc0a37/COPYING": 0o644,
        "geth-linux-amd64-1.8.27-4bcc0a37/geth": 0o755,
        "livepeer_linux/livepeer": 0o755,
        "livepeer_linux/livepeer_cli": 0o755,
        "livepeer-linux-amd64/livepeer": 0o755,
        "livepeer-linux-amd64/livepeer_cli": 0o755,
    }


def test_the_names_are_those_that_the_releases_have() -> None:
    assert {f"{top}.tar.gz" for top in LIVEPEERS.values()} == {build(numbers(version)).file for version in LIVEPEERS}


def test_two_builds_are_equal_byte_for_byte(tmp_path: Path) -> None:
    first, second = build_archives(tmp_path / "a"), build_archives(tmp_path / "b")
    assert all(first[name].read_bytes() == second[name].read_bytes() for name in first)


def test_the_digest_beside_an_archive_is_what_sha256sum_checks(tmp_path: Path) -> None:
    for path in build_archives(tmp_path).values():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.with_name(path.name + ".sha256").read_text() == f"{digest}  {path.name}\n"


def test_each_program_runs_as_one_file_from_any_directory(tmp_path: Path) -> None:
    for path in build_archives(tmp_path).values():
        subprocess.run(["tar", "-xzf", str(path), "-C", str(tmp_path)], check=True)
    programs = {
        "geth-linux-amd64-1.8.27-4bcc0a37/geth": ["version"],
        "livepeer_linux/livepeer": ["-version"],
        "livepeer_linux/livepeer_cli": ["-help"],
        "livepeer-linux-amd64/livepeer": ["-version"],
        "livepeer-linux-amd64/livepeer_cli": ["-help"],
    }
    alone = tmp_path / "bin"
    alone.mkdir()
    for member, words in programs.items():
        copy = alone / Path(member).name
        copy.write_bytes((tmp_path / member).read_bytes())
        copy.chmod(0o755)
        result = subprocess.run([str(copy), *words], capture_output=True, text=True, cwd="/", check=True)
        assert "stand-in" in result.stdout + result.stderr
        assert all(version in result.stdout + result.stderr for version, top in LIVEPEERS.items() if top in member)
