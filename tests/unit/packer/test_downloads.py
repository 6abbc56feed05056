"""An archive is proven before it is opened, and refused with a reason."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from packer.downloads import Archive, Store, fetch, parse_checksums, read_programs
from tests.unit.packer.samples import GETH_TAR, settings_in, tar_with, write_archives
from transcoder.errors import Refused


def archive(tmp_path: Path, content: bytes) -> Archive:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    return Archive(path, hashlib.sha256(content).hexdigest(), "x", "1.0.0")


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_an_archive_beside_its_checksums_is_taken(tmp_path: Path) -> None:
    write_archives(tmp_path)

    found = fetch(settings_in(tmp_path).geth, Store(tmp_path))

    assert found.path == tmp_path / GETH_TAR
    assert read_programs(found, ("geth",)) == {"geth": b"the geth"}


def test_a_changed_archive_is_refused_with_both_sums(tmp_path: Path) -> None:
    write_archives(tmp_path)
    (tmp_path / GETH_TAR).write_bytes(b"something else")

    with pytest.raises(Refused, match=f"sha256 is {hashlib.sha256(b'something else').hexdigest()}.*not unpacked"):
        fetch(settings_in(tmp_path).geth, Store(tmp_path))


def test_a_pinned_sum_goes_before_the_checksums(tmp_path: Path) -> None:
    write_archives(tmp_path)
    settings = settings_in(tmp_path, geth=f'sha256 = "{"0" * 64}"')

    with pytest.raises(Refused, match="0000"):
        fetch(settings.geth, Store(tmp_path))


def test_an_archive_without_any_sum_is_refused_and_the_pin_is_shown(tmp_path: Path) -> None:
    write_archives(tmp_path)
    unproven = settings_in(tmp_path).geth.model_copy(update={"checksums": ""})

    with pytest.raises(Refused, match="no sha256, checksums or signature") as refusal:
        fetch(unproven, Store(tmp_path))
    assert 'sha256 = "..."' in refusal.value.hint


def test_a_missing_archive_is_refused_by_its_path(tmp_path: Path) -> None:
    write_archives(tmp_path)
    (tmp_path / GETH_TAR).unlink()

    with pytest.raises(Refused, match=f"{GETH_TAR} does not exist"):
        fetch(settings_in(tmp_path).geth, Store(tmp_path))


def test_a_fetched_archive_is_taken_from_the_cache_by_its_sum(tmp_path: Path) -> None:
    content = tar_with({"geth": b"cached"})
    sha256 = hashlib.sha256(content).hexdigest()
    cached = tmp_path / "cache" / sha256 / "geth.tar.gz"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    geth = settings_in(tmp_path).geth.model_copy(
        update={"source": "https://example.invalid/geth.tar.gz", "sha256": sha256}
    )

    assert fetch(geth, Store(tmp_path, tmp_path / "cache")).path == cached


def test_a_fetched_archive_with_other_bytes_is_refused_and_not_kept(tmp_path: Path) -> None:
    cached = tmp_path / "cache" / ("1" * 64) / "geth.tar.gz"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"broken off")
    geth = settings_in(tmp_path).geth.model_copy(
        update={"source": "https://example.invalid/geth.tar.gz", "sha256": "1" * 64}
    )

    with pytest.raises(Refused, match="not unpacked"):
        fetch(geth, Store(tmp_path, tmp_path / "cache"))
    assert not cached.exists()


@pytest.mark.parametrize(
    "content",
    [
        tar_with({"../geth": b"x"}),
        tar_with({"/usr/bin/geth": b"x"}),
        tar_with({"a/geth": b"x"}, link("a/b", "/etc/passwd")),
        tar_with({"a/geth": b"x"}, link("a/b", "../../etc/passwd")),
        tar_with({"a/geth": b"x"}, link("a/b", "../etc/passwd", tarfile.LNKTYPE)),
        tar_with({"a/geth": b"x"}, link("a/b", "", tarfile.CHRTYPE)),
    ],
)
def test_an_archive_that_leads_outside_itself_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="lead outside"):
        read_programs(archive(tmp_path, content), ("geth",))


@pytest.mark.parametrize("members", [{"a/other": b"x"}, {"a/geth": b"x", "b/geth": b"y"}])
def test_a_program_must_be_in_the_archive_exactly_once(members: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(Refused, match=f"has {len(members) - 1 if 'a/other' in members else 2} files called geth"):
        read_programs(archive(tmp_path, tar_with(members)), ("geth",))


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not a tar archive"):
        read_programs(archive(tmp_path, b"<html>moved</html>"), ("geth",))


def test_checksums_are_read_by_file_name_with_and_without_the_star_of_binary_mode() -> None:
    text = f"{'a' * 64}  one.tar.gz\n{'b' * 64} *two.tar.gz\n"

    assert parse_checksums(text, "two.tar.gz") == "b" * 64


@pytest.mark.parametrize("text", ["", f"{'a' * 64}  other\n", f"{'a' * 64}  x\n{'b' * 64}  x\n", "abc  x\n"])
def test_checksums_that_do_not_give_one_sum_for_the_file_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_checksums(text, "x")
