"""findmnt of util-linux 2.31.1 and 2.38.1, recorded in a machine with /d1, /d2 and a bind mount."""

from __future__ import annotations

import pytest

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.findmnt import parse_findmnt
from transcoder.model import Mount

VERSIONS = ("2.31", "2.38")


def by_target(name: str) -> dict[str, Mount]:
    return {mount.target: mount for mount in parse_findmnt(recorded("findmnt", name))}


@pytest.mark.parametrize("version", VERSIONS)
def test_data_volumes_are_seen_with_device_and_options(version: str) -> None:
    mounts = by_target(f"all-{version}.json")
    assert mounts["/d1"] == Mount("/d1", "/dev/ubdc", "ext4", ("rw", "relatime"))
    assert mounts["/d2"].fstype == "xfs"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_blank_in_a_target_and_a_bind_mount_are_kept(version: str) -> None:
    mounts = by_target(f"all-{version}.json")
    assert mounts["/mnt/two words"].source == "/dev/ubde1"
    assert mounts["/srv/bound"].source == "/dev/ubdc[/inner]"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_read_only_mount_says_so(version: str) -> None:
    assert "ro" in by_target(f"readonly-{version}.json")["/d2"].options


def test_nothing_found_is_no_mount() -> None:
    assert parse_findmnt("", exit_code=1) == ()


@pytest.mark.parametrize(
    ("text", "exit_code"),
    [("", 0), ("", 32), ("findmnt: bad usage", 1), ('{"filesystems": [{"source": "/dev/xvdg", "fstype": "ext4"}]}', 0)],
)
def test_what_is_not_understood_is_an_error(text: str, exit_code: int) -> None:
    with pytest.raises(Failed, match=r"^findmnt: "):
        parse_findmnt(text, exit_code=exit_code)
