"""blkid -p of util-linux 2.31.1 and 2.38.1 on real devices and on what is not a device."""

from __future__ import annotations

import pytest

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.blkid import Ambivalent, FileSystem, Finding, Nothing, PartitionTable, parse_blkid

VERSIONS = ("2.31", "2.38")


def probed(case: str, version: str, exit_code: int = 0) -> Finding:
    return parse_blkid(recorded("blkid", f"{case}-{version}.txt"), exit_code=exit_code)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_system_is_found_with_its_label(version: str) -> None:
    assert probed("ext4", version) == FileSystem(
        "ext4", "livepeer-data", "11111111-2222-4333-8444-555555555555", "filesystem"
    )
    xfs = probed("xfs", version)
    assert isinstance(xfs, FileSystem)
    assert (xfs.type, xfs.label) == ("xfs", "geth-data")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["gpt", "dos"])
def test_a_partition_table_is_not_nothing(version: str, kind: str) -> None:
    assert probed(kind, version) == PartitionTable(kind)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_partition_shows_its_content_and_an_empty_one_nothing(version: str) -> None:
    inner = probed("partition", version)
    assert isinstance(inner, FileSystem)
    assert inner.label == "chain"
    assert probed("empty-partition", version) == Nothing()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", ["blank", "random", "missing", "directory", "zero-length"])
def test_exit_code_2_is_nothing_seen_whatever_was_probed(version: str, case: str) -> None:
    assert probed(case, version, exit_code=2) == Nothing()


@pytest.mark.parametrize("version", VERSIONS)
def test_two_signatures_are_ambivalent(version: str) -> None:
    assert probed("ambivalent", version, exit_code=8) == Ambivalent()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_escapes_in_a_label_are_undone(version: str) -> None:
    found = probed("odd-label", version)
    assert isinstance(found, FileSystem)
    assert found.label == 'two, "w\\rds'


@pytest.mark.parametrize(
    ("text", "exit_code"),
    [("", 0), ("DEVNAME=/dev/xvdg\n", 0), ("TYPE ext4\n", 0), ("", 4), ("TYPE=ext4\n", 1), ("TYPE=ext4\n", 2)],
)
def test_what_is_not_understood_is_an_error(text: str, exit_code: int) -> None:
    with pytest.raises(Failed, match=r"^blkid: "):
        parse_blkid(text, exit_code=exit_code)
