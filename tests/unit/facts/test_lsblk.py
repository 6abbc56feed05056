"""lsblk of util-linux 2.31.1 (Ubuntu 18.04) and 2.38.1 (Debian 12), recorded in a machine with eight disks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.lsblk import COMMAND, parse_lsblk
from transcoder.model import BlockDevice

VERSIONS = ("2.31", "2.38")


def by_path(name: str) -> dict[str, BlockDevice]:
    return {device.path: device for device in parse_lsblk(recorded("lsblk", name))}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_mounted_volume_shows_size_serial_label_and_mount(version: str) -> None:
    assert by_path(f"all-{version}.json")["/dev/ubdc"] == BlockDevice(
        path="/dev/ubdc",
        size=64 * 1024**2,
        serial="vol0fab1d5e3f72a5e23",
        fstype="ext4",
        label="livepeer-data",
        uuid="11111111-2222-4333-8444-555555555555",
        mountpoints=("/d1",),
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_partitions_are_counted_and_listed_behind_their_disk(version: str) -> None:
    devices = parse_lsblk(recorded("lsblk", f"one-disk-{version}.json"))
    assert [(device.path, device.children) for device in devices] == [
        ("/dev/ubde", 2),
        ("/dev/ubde1", 0),
        ("/dev/ubde2", 0),
    ]
    assert devices[1].mountpoints == ("/mnt/two words",)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_disk_without_anything_has_empty_texts(version: str) -> None:
    assert by_path(f"before-formatting-{version}.json")["/dev/ubdb"] == BlockDevice(path="/dev/ubdb", size=64 * 1024**2)


def test_both_versions_tell_the_same_of_the_same_disks() -> None:
    old, new = (by_path(f"all-{version}.json") for version in VERSIONS)
    assert [(d.path, d.size, d.fstype, d.label, d.children) for d in old.values()] == [
        (d.path, d.size, d.fstype, d.label, d.children) for d in new.values()
    ]


def test_several_mountpoints_are_all_kept() -> None:
    devices = by_path("mountpoints-2.38.json")
    assert devices["/dev/ubdc"].mountpoints == ("/srv/bound", "/d1")
    assert devices["/dev/ubdb"].mountpoints == ()


def test_a_device_that_does_not_exist_gives_no_device() -> None:
    assert parse_lsblk(recorded("lsblk", "missing-2.38.json")) == ()


def test_the_command_asks_for_no_column_that_ubuntu_18_04_lacks() -> None:
    assert not {"PATH", "MOUNTPOINTS"} & set(COMMAND[-1].split(","))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lsblk: unknown column: MOUNTPOINTS,TYPE",
        "[]",
        '{"blockdevices": null}',
        '{"blockdevices": [{"name": "/dev/xvdg"}]}',
        '{"blockdevices": [{"name": "xvdg", "size": 1}]}',
        '{"blockdevices": [{"name": "/dev/xvdg", "size": "64M"}]}',
        '{"blockdevices": [{"name": "/dev/xvdg", "size": 1, "label": 5}]}',
        '{"blockdevices": [{"name": "/dev/xvdg", "size": 1, "mountpoints": "/d1"}]}',
    ],
)
def test_what_is_not_understood_is_an_error_that_names_lsblk(text: str) -> None:
    with pytest.raises(Failed, match=r"^lsblk: "):
        parse_lsblk(text)


def test_an_error_quotes_the_offending_line_of_json() -> None:
    with pytest.raises(Failed, match=r"line 2.*oops"):
        parse_lsblk('{"blockdevices": [\noops\n]}')


names = st.text("abcdefgh", min_size=1, max_size=4)
rows = st.recursive(
    st.fixed_dictionaries({"name": names, "size": st.integers(0, 2**62), "mountpoint": st.none() | st.just("/d1")}),
    lambda inner: st.fixed_dictionaries(
        {"name": names, "size": st.integers(0, 2**62), "children": st.lists(inner, max_size=3)}
    ),
    max_leaves=8,
)


@given(st.lists(rows, max_size=4))
def test_numbers_and_quoted_numbers_give_the_same_devices(trees: list[dict[str, Any]]) -> None:
    seen: list[str] = []

    def dialect(row: dict[str, Any], quoted: bool) -> dict[str, Any]:
        if quoted:
            seen.append("/dev/" + row["name"])
        children = [dialect(child, quoted) for child in row.get("children", [])]
        size = str(row["size"]) if quoted else row["size"]
        return {**row, "name": "/dev/" + row["name"], "size": size, **({"children": children} if children else {})}

    old = parse_lsblk(json.dumps({"blockdevices": [dialect(row, True) for row in trees]}))
    new = parse_lsblk(json.dumps({"blockdevices": [dialect(row, False) for row in trees]}))
    assert old == new
    assert [device.path for device in old] == list(dict.fromkeys(seen))
