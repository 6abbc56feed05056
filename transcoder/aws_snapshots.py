"""EC2's snapshots of volumes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from transcoder.aws_noun import Noun
from transcoder.aws_shapes import Json, read_snapshot, tag_filters, tagged
from transcoder.model import Snapshot


class Snapshots(Noun):
    """Looks, creations, copies from other regions.

    Neither creation takes a token, and a repetition would make, and bill, a second snapshot. Each is sent once, with a
    description that no other snapshot has: by that it is found again when the answer was lost.
    """

    def snapshots(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Snapshot, ...]:
        """Return our own snapshots with these ids and tags, newest last."""
        filters = tag_filters(tags)
        if ids:
            filters.append({"Name": "snapshot-id", "Values": list(ids)})
        return self._owned(filters)

    def create_snapshot(self, volume_id: str, tags: Mapping[str, str]) -> Snapshot:
        """Begin a snapshot: it holds what is written by now, and can be used when it is ``completed``.

        :raises NotReady: too many snapshots of the volume are being made, or it is still being created.
        :raises LostAnswer: whether it was begun is not known.
        """
        description = _description(volume_id)
        return self._calls.make(
            "create_snapshot",
            read_snapshot,
            lambda: self._described(description),
            VolumeId=volume_id,
            Description=description,
            TagSpecifications=tagged("snapshot", tags),
        )

    def copy_snapshot(self, snapshot_id: str, source_region: str, tags: Mapping[str, str]) -> Snapshot:
        """Begin a copy of another region's snapshot into this environment's; `snapshots` tells its size.

        With ``aws.kms_key_id`` the copy is encrypted with that key; otherwise it is as the original, an encrypted one
        with the key that this region has for EBS.

        :raises NotReady: too many copies are being made.
        :raises LostAnswer: whether it was begun is not known.
        """
        description = _description(f"{source_region} {snapshot_id}")
        kms = self._settings.aws.kms_key_id
        encryption: dict[str, Any] = {"Encrypted": True, "KmsKeyId": kms} if kms else {}

        def read(reply: Json) -> Snapshot:
            # The reply has an id and nothing else; the volume that `snapshots` names for a copy means nothing.
            return Snapshot(reply["SnapshotId"], "", "pending", 0, tags=dict(tags))

        return self._calls.make(
            "copy_snapshot",
            read,
            lambda: self._described(description),
            SourceRegion=source_region,
            SourceSnapshotId=snapshot_id,
            Description=description,
            TagSpecifications=tagged("snapshot", tags),
            **encryption,
        )

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot; deleted already is fine. Repeated: the second time it is not found."""
        self._calls.call("ec2", "delete_snapshot", SnapshotId=snapshot_id)

    def _described(self, description: str) -> Snapshot | None:
        return next(iter(self._owned([{"Name": "description", "Values": [description]}])), None)

    def _owned(self, filters: list[dict[str, Any]]) -> tuple[Snapshot, ...]:
        pages = self._calls.pages("describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters)
        return tuple(sorted((read_snapshot(item) for item in pages), key=lambda each: (each.started, each.id)))


def _description(origin: str) -> str:
    return f"livepeer-transcoder-ops {origin} {secrets.token_hex(8)}"
