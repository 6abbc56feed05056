"""wipefs --no-act --parsable of util-linux 2.31.1 and 2.38.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.wipefs import Signature, command, parse_wipefs

VERSIONS = ("2.31", "2.38")


def listed(case: str, version: str) -> tuple[Signature, ...]:
    return parse_wipefs(recorded("wipefs", f"{case}-{version}.txt"))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_system_is_one_signature(version: str) -> None:
    assert listed("ext4", version) == (
        Signature(0x438, "ext4", "livepeer-data", "11111111-2222-4333-8444-555555555555"),
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_gpt_is_three_signatures(version: str) -> None:
    assert [(signature.offset, signature.type) for signature in listed("gpt", version)] == [
        (0x200, "gpt"),
        (0x3FFFE00, "gpt"),
        (0x1FE, "PMBR"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_signature_of_an_ambivalent_device_is_listed(version: str) -> None:
    assert [signature.type for signature in listed("ambivalent", version)] == ["xfs", "ext4"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", ["blank", "random", "empty-partition"])
def test_no_signature_is_an_empty_tuple(version: str, case: str) -> None:
    assert listed(case, version) == ()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", ["missing", "directory", "zero-length"])
def test_what_is_no_device_is_an_error_here_though_not_with_blkid(version: str, case: str) -> None:
    with pytest.raises(Failed, match="could not read the device"):
        parse_wipefs(recorded("wipefs", f"{case}-{version}.txt"), exit_code=1)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_label_with_comma_blank_and_backslash_is_read(version: str) -> None:
    assert listed("odd-label", version)[0].label == 'two, "w\\rds'


def test_a_label_beyond_ascii_is_read() -> None:
    assert listed("umlaut-label", "2.38")[0].label == "grün x"


def test_the_command_never_writes() -> None:
    assert "--no-act" in command("/dev/xvdg")


@pytest.mark.parametrize(
    "line", ["ext4", "1080,u,l,ext4", "0x438,u,l,", "0x438,u,ext4", "wipefs: error: /dev/x, y, z, w"]
)
def test_what_is_not_understood_is_an_error_with_the_line(line: str) -> None:
    with pytest.raises(Failed, match=r"^wipefs: ") as raised:
        parse_wipefs(line + "\n")
    assert line in str(raised.value)


@given(
    st.lists(st.tuples(st.integers(0, 2**50), st.text("abc,- ", max_size=16), st.sampled_from(["ext4", "xfs", "gpt"])))
)
def test_as_many_signatures_as_lines(rows: list[tuple[int, str, str]]) -> None:
    text = "".join(f"{offset:#x},,{label},{kind}\n" for offset, label, kind in rows)
    assert [(found.offset, found.label, found.type) for found in parse_wipefs(text)] == rows
