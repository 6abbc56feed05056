"""What may be formatted: nothing that is not proven blank, whatever it looks like."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder import tags
from transcoder.content import Content, judge
from transcoder.guest import GIB, Inspection
from transcoder.layout import GETH, LIVEPEER, MARKER, DataVolume
from transcoder.model import BlockDevice, Marker, Volume

NODE = "tc001"
VOLUME = Volume("vol-1", "us-east-1a", 1, "in-use", tags={tags.BLANK: "yes"})
BLANK = Inspection(BlockDevice("/dev/xvdg", GIB), (), "", True, None, "", ())
OURS = Marker(NODE, "livepeer")
FRESH = (".", "..", "lost+found")


def ext4(label: str = "", entries: tuple[str, ...] = FRESH, marker: Marker | None = None) -> Inspection:
    device = BlockDevice("/dev/xvdg", GIB, fstype="ext4", label=label)
    return Inspection(device, ("ext4",), "", False, marker, "", entries)


def test_a_volume_of_ours_without_a_byte_on_it_is_blank() -> None:
    assert judge(VOLUME, BLANK, LIVEPEER, NODE).content is Content.BLANK


@pytest.mark.parametrize(
    ("volume", "seen", "reason"),
    [
        (VOLUME, replace(BLANK, partition_table="gpt", signatures=("gpt",)), "a partition table (gpt)"),
        (VOLUME, replace(BLANK, partition_table="dos"), "a partition table (dos)"),
        (VOLUME, replace(BLANK, signatures=("xfs",)), "holds xfs"),
        (VOLUME, replace(BLANK, signatures=("crypto_LUKS",)), "holds crypto_LUKS"),
        (VOLUME, replace(BLANK, signatures=("xfs", "ext4")), "holds xfs and ext4"),
        (VOLUME, replace(BLANK, zero_ends=False), "first or last MiB is not zero"),
        (replace(VOLUME, snapshot_id="snap-1"), BLANK, "made from snapshot snap-1"),
        (replace(VOLUME, size_gib=2), BLANK, "not the same volume"),
        (replace(VOLUME, tags={}), BLANK, "was not created by this project"),
    ],
)
def test_each_proof_that_fails_is_told(volume: Volume, seen: Inspection, reason: str) -> None:
    verdict = judge(volume, seen, LIVEPEER, NODE)
    assert verdict.content is Content.FOREIGN
    assert reason in verdict.reason
    assert verdict.hint


def test_a_blank_volume_of_somebody_else_is_told_how_to_be_named() -> None:
    assert judge(replace(VOLUME, tags={}), BLANK, LIVEPEER, NODE).hint.endswith("--format vol-1")


def test_a_blank_volume_that_was_named_may_be_formatted() -> None:
    assert judge(replace(VOLUME, tags={}), BLANK, LIVEPEER, NODE, may_format=True).content is Content.BLANK


@pytest.mark.parametrize(
    "seen",
    [
        replace(BLANK, signatures=("xfs",)),
        replace(BLANK, zero_ends=False),
        replace(BLANK, partition_table="gpt"),
        ext4("", (*FRESH, "photos")),
        ext4("photos"),
    ],
)
def test_naming_a_volume_does_not_make_its_data_blank(seen: Inspection) -> None:
    assert judge(VOLUME, seen, LIVEPEER, NODE, may_format=True).content is Content.FOREIGN


def test_a_volume_with_our_marker_and_label_is_ours_whatever_its_tags() -> None:
    seen = ext4(LIVEPEER.label, (*FRESH, MARKER, "livepeer"), OURS)
    assert judge(replace(VOLUME, tags={}), seen, LIVEPEER, NODE).content is Content.OURS


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (ext4(LIVEPEER.label, marker=Marker("tc009", "livepeer")), "belongs to node tc009 (livepeer)"),
        (ext4(LIVEPEER.label, marker=Marker(NODE, "geth")), f"belongs to node {NODE} (geth)"),
        (ext4(GETH.label, marker=OURS), "label 'geth-data' instead of 'livepeer-data'"),
        (ext4("", marker=OURS), "label '' instead of 'livepeer-data'"),
        (replace(ext4(LIVEPEER.label), marker_problem="cut short"), "a marker that cannot be read: cut short"),
    ],
)
def test_another_nodes_volume_is_refused(seen: Inspection, reason: str) -> None:
    verdict = judge(VOLUME, seen, LIVEPEER, NODE)
    assert verdict.content is Content.FOREIGN
    assert reason in verdict.reason


@pytest.mark.parametrize("entries", [FRESH, (*FRESH, f"{MARKER}.new")])
def test_a_format_that_was_broken_off_is_taken_up_again(entries: tuple[str, ...]) -> None:
    assert judge(VOLUME, ext4(LIVEPEER.label, entries), LIVEPEER, NODE).content is Content.UNFINISHED


def test_a_format_that_was_broken_off_is_taken_up_again_by_the_tag_that_it_left() -> None:
    seen = ext4(LIVEPEER.label)
    begun = replace(VOLUME, tags={tags.BLANK: "yes"})
    assert judge(begun, seen, LIVEPEER, NODE, may_format=True).content is Content.UNFINISHED
    stranger = replace(VOLUME, tags={})
    assert judge(stranger, seen, LIVEPEER, NODE, may_format=True).content is Content.FOREIGN


@pytest.mark.parametrize("seen", [ext4("other"), ext4(LIVEPEER.label, (*FRESH, "photos")), ext4(GETH.label)])
def test_a_file_system_with_anything_of_its_own_is_not_our_unfinished_format(seen: Inspection) -> None:
    assert judge(VOLUME, seen, LIVEPEER, NODE).content is Content.FOREIGN


def test_a_volume_made_by_hand_is_told_how_it_is_taken_over() -> None:
    verdict = judge(replace(VOLUME, tags={}), ext4("", (*FRESH, "livepeer")), LIVEPEER, NODE)
    assert "fab adopt --volume vol-1 --role livepeer" in verdict.hint


volumes = st.builds(
    Volume,
    id=st.just("vol-1"),
    zone=st.just("us-east-1a"),
    size_gib=st.sampled_from([1, 2]),
    state=st.just("in-use"),
    snapshot_id=st.sampled_from(["", "snap-1"]),
    tags=st.sampled_from([{}, {tags.BLANK: "yes"}, {tags.NODE: NODE}, {tags.BLANK: "yes", tags.NODE: "tc009"}]),
)
markers = st.sampled_from([None, OURS, Marker("tc009", "livepeer"), Marker(NODE, "geth")])
inspections = st.builds(
    Inspection,
    device=st.builds(
        BlockDevice,
        path=st.just("/dev/xvdg"),
        size=st.sampled_from([GIB, 2 * GIB, GIB - 512]),
        label=st.sampled_from(["", "livepeer-data", "geth-data", "photos"]),
    ),
    signatures=st.sampled_from([(), ("ext4",), ("xfs",), ("xfs", "ext4"), ("gpt", "PMBR"), ("crypto_LUKS",)]),
    partition_table=st.sampled_from(["", "", "gpt", "dos"]),
    zero_ends=st.booleans(),
    marker=markers,
    marker_problem=st.sampled_from(["", "", "cut short"]),
    entries=st.sampled_from([(), FRESH, (*FRESH, "photos"), (*FRESH, MARKER)]),
)


@given(volumes, inspections, st.booleans(), st.sampled_from([LIVEPEER, GETH]))
def test_nothing_is_ever_blank_unless_every_single_proof_holds(
    volume: Volume, seen: Inspection, may_format: bool, data: DataVolume
) -> None:
    if judge(volume, seen, data, NODE, may_format=may_format).content is not Content.BLANK:
        return
    assert seen.signatures == ()
    assert seen.partition_table == ""
    assert seen.zero_ends
    assert seen.marker is None
    assert seen.marker_problem == ""
    assert volume.snapshot_id == ""
    assert seen.device.size == volume.size_gib * GIB
    assert may_format or tags.BLANK in volume.tags


@given(volumes, inspections, st.booleans())
def test_what_counts_as_ours_always_has_our_marker_and_label(
    volume: Volume, seen: Inspection, may_format: bool
) -> None:
    verdict = judge(volume, seen, LIVEPEER, NODE, may_format=may_format)
    if verdict.content is Content.OURS:
        assert seen.marker == OURS
        assert seen.device.label == LIVEPEER.label
    assert (verdict.content is Content.FOREIGN) == bool(verdict.reason)
