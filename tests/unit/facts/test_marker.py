"""The marker of a data volume: what is written is read again, anything else is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.marker import command, parse_marker, render_marker
from transcoder.model import Marker

ADDRESS = "0x0f544432cb27103055d8c1b5fba0e45f5a9ccea8"
markers = st.builds(
    Marker,
    node=st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True),
    role=st.sampled_from(["livepeer", "geth"]),
    address=st.just("") | st.from_regex(r"0x[0-9a-f]{39}[1-9a-f]", fullmatch=True),
)


def test_the_files_in_use_are_read() -> None:
    assert parse_marker(recorded("marker", "livepeer.json").encode()) == Marker("tc001", "livepeer", ADDRESS)
    assert parse_marker(recorded("marker", "geth.json").encode()) == Marker("tc001", "geth", "")


@given(markers)
def test_what_is_written_is_read_again(marker: Marker) -> None:
    assert parse_marker(render_marker(marker)) == marker


@given(markers, st.data())
def test_a_marker_cut_short_anywhere_is_an_error(marker: Marker, data: st.DataObject) -> None:
    whole = render_marker(marker)
    with pytest.raises(Failed, match=r"^\.transcoder\.json: "):
        parse_marker(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=300))
def test_no_foreign_bytes_are_taken_for_a_marker(content: bytes) -> None:
    with pytest.raises(Failed):
        parse_marker(content)


def test_a_file_full_of_zeros_after_a_crash_is_called_empty() -> None:
    with pytest.raises(Failed, match=r"the file is empty \(97 bytes\)"):
        parse_marker(bytes(97))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": "transcoder-volume/2"}, "not a marker of the format 'transcoder-volume/1'.*/2"),
        ({"role": "root"}, "expected a role of livepeer, geth"),
        ({"node": "../etc"}, "expected the name of a node"),
        ({"node": ""}, "expected the name of a node"),
        ({"address": "0x12"}, "expected an Ethereum address"),
        ({"note": "x"}, "expected the keys address, format, node, role"),
    ],
)
def test_each_wrong_field_is_named(change: dict[str, str], problem: str) -> None:
    table = json.loads(recorded("marker", "livepeer.json"))
    with pytest.raises(Failed, match=problem):
        parse_marker(json.dumps({**table, **change}).encode() + b"\n")


@pytest.mark.parametrize("marker", [Marker("TC", "livepeer"), Marker("tc001", "both"), Marker("tc001", "geth", "0x0")])
def test_a_marker_that_could_not_be_read_is_not_written(marker: Marker) -> None:
    with pytest.raises(Failed):
        render_marker(marker)


def test_the_command_names_the_file_on_the_volume() -> None:
    assert command("/d1") == ("cat", "/d1/.transcoder.json")
