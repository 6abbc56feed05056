"""What is on a volume, and may it be used? Pure: from what was seen to a verdict with its reason."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from transcoder import tags
from transcoder.guest import GIB, Inspection
from transcoder.layout import MARKER, DataVolume
from transcoder.model import Volume

FRESH_ENTRIES = frozenset({".", "..", "lost+found", f"{MARKER}.new"})
"""What an attach that was broken off after the format leaves at the root: nothing, or a marker not yet renamed."""


class Content(enum.Enum):
    """What a volume holds, as far as a node is concerned."""

    OURS = "the node's own data"
    BLANK = "blank, proven"
    UNFINISHED = "formatted by an attach that was broken off"
    FOREIGN = "somebody else's"


@dataclass(frozen=True)
class Verdict:
    """What a volume holds; for `Content.FOREIGN` why it is refused and what to do."""

    content: Content
    reason: str = ""
    hint: str = ""


def judge(volume: Volume, seen: Inspection, data: DataVolume, node: str, *, may_format: bool = False) -> Verdict:
    """Say what ``volume`` holds.

    Only a volume that this project created blank (or that the operator named to be formatted, ``may_format``) is
    ever `Content.BLANK`, and only after independent proofs: EC2 knows no snapshot it came from, its size is what EC2
    says, no signature is found by blkid or wipefs, and its first and last MiB are zero.
    """
    if seen.marker is not None or seen.marker_problem:
        return _marked(seen, data, node)
    if seen.partition_table:
        return _foreign(f"holds a partition table ({seen.partition_table})")
    if seen.signatures:
        return _unmarked(volume, seen, data)
    if reason := _not_blank(volume, seen):
        return _foreign(reason)
    if tags.BLANK not in volume.tags and not may_format:
        return Verdict(
            Content.FOREIGN,
            "looks blank, but was not created by this project",
            f"when it may be formatted, name it: --format {volume.id}",
        )
    return Verdict(Content.BLANK)


def _not_blank(volume: Volume, seen: Inspection) -> str:
    """Return why a volume without any signature is still not blank; empty when it is."""
    if not seen.zero_ends:
        return "holds data without a file system: its first or last MiB is not zero"
    if volume.snapshot_id:
        return f"was made from snapshot {volume.snapshot_id}, so it is not blank"
    if seen.device.size != volume.size_gib * GIB:
        return f"has {seen.device.size} bytes, EC2 says {volume.size_gib} GiB: not the same volume?"
    return ""


def _foreign(reason: str) -> Verdict:
    return Verdict(
        Content.FOREIGN, reason, "nothing was written to it; give another volume, or none to have one created"
    )


def _marked(seen: Inspection, data: DataVolume, node: str) -> Verdict:
    if seen.marker is None:
        return _foreign(f"has a marker that cannot be read: {seen.marker_problem}")
    if (seen.marker.node, seen.marker.role) != (node, data.role):
        return _foreign(f"belongs to node {seen.marker.node} ({seen.marker.role}), not to {node} ({data.role})")
    if seen.device.label != data.label:
        return _foreign(f"has node {node}'s marker but label {seen.device.label!r} instead of {data.label!r}")
    return Verdict(Content.OURS)


def _unmarked(volume: Volume, seen: Inspection, data: DataVolume) -> Verdict:
    kind = " and ".join(seen.signatures)
    fresh = set(seen.entries) <= FRESH_ENTRIES and seen.signatures == ("ext4",)
    # Named by the operator is not enough: an empty file system that somebody else has made is somebody else's.
    if fresh and tags.BLANK in volume.tags and seen.device.label == data.label:
        return Verdict(Content.UNFINISHED)
    label = f" with label {seen.device.label!r}" if seen.device.label else ""
    verdict = _foreign(f"holds {kind}{label} and no marker of a node")
    if seen.signatures == ("ext4",) and seen.device.label in ("", data.label):
        return Verdict(
            verdict.content,
            verdict.reason,
            f"a node's volume made by hand is taken over by: fab adopt --volume {volume.id} --role {data.role}",
        )
    return verdict
