"""EC2's volumes, and what they are attached to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transcoder.aws_noun import Noun
from transcoder.aws_shapes import read_volume, tag_filters, tagged
from transcoder.errors import NameTaken, NotReady
from transcoder.model import Volume
from transcoder.world import VolumeRequest


class Volumes(Noun):
    """Looks, creations, attachments."""

    def volumes(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Volume, ...]:
        """Return the volumes with these ids and tags."""
        filters = tag_filters(tags)
        if ids:
            filters.append({"Name": "volume-id", "Values": list(ids)})
        pages = self._calls.pages("describe_volumes", "Volumes", Filters=filters)
        return tuple(read_volume(item) for item in pages if item["State"] not in ("deleting", "deleted"))

    def create_volume(self, request: VolumeRequest) -> Volume:
        """Create a volume, blank or from a snapshot; the same token gives the same volume.

        Repeated: it carries the token. From a snapshot it is at least as large as the snapshot, and encrypted when
        that one is: EC2 refuses less than either (EC2 API reference, CreateVolume).

        :raises NotReady: the snapshot is not ``completed`` yet.
        """
        reply = self._calls.call(
            "ec2",
            "create_volume",
            AvailabilityZone=request.zone,
            Size=request.size_gib,
            VolumeType=request.type,
            ClientToken=request.token,
            TagSpecifications=tagged("volume", request.tags),
            **self._origin(request),
        )
        return read_volume(reply)

    def _origin(self, request: VolumeRequest) -> dict[str, Any]:
        """Return the parameters that depend on what the volume is made from.

        A volume from an encrypted snapshot is encrypted without being asked for, and can't be asked not to be.
        """
        kms = self._settings.aws.kms_key_id
        key = {"KmsKeyId": kms} if kms and request.encrypted else {}
        if not request.snapshot_id:
            return {"Encrypted": request.encrypted, **key}
        encrypted = {"Encrypted": True} if request.encrypted else {}
        return {"SnapshotId": request.snapshot_id, **encrypted, **key}

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume and all that is on it; deleted already is fine.

        Repeated: the second time it is not found.

        :raises NotReady: it is attached, or on its way.
        """
        self._calls.call("ec2", "delete_volume", VolumeId=volume_id)

    def attach(self, volume_id: str, instance_id: str, device: str) -> None:
        """Ask EC2 to attach; it is attached when `volumes` says ``attached`` for this instance, not before.

        On its way there under this very name already is fine. That is also what a repetition meets whose first answer
        was lost: EC2 then calls the volume, or the name, in use.

        :raises NotReady: the volume is in use elsewhere or still leaving, or the instance is in no state for it.
        :raises NameTaken: the device name is in use at that instance.
        """
        try:
            self._calls.call("ec2", "attach_volume", VolumeId=volume_id, InstanceId=instance_id, Device=device)
        except (NotReady, NameTaken):
            if not self._is_coming(volume_id, instance_id, device):
                raise

    def _is_coming(self, volume_id: str, instance_id: str, device: str) -> bool:
        bonds = [volume.attachment for volume in self.volumes(ids=[volume_id]) if volume.attachment]
        return any(
            (bond.instance_id, bond.device) == (instance_id, device) and bond.state in ("attaching", "attached")
            for bond in bonds
        )

    def detach(self, volume_id: str, instance_id: str) -> None:
        """Ask EC2 to detach from this very instance; detached already is fine. Never forced.

        Repeated: the second time there is nothing to detach from this instance, wherever the volume is by then.
        """
        self._calls.call("ec2", "detach_volume", VolumeId=volume_id, InstanceId=instance_id)

    def force_detach(self, volume_id: str, instance_id: str) -> None:
        """Take a volume from an instance that can't let go of it; detached already is fine.

        What the machine had not written yet is lost, and the file system is to be checked (EC2 API reference,
        DetachVolume: only as a last resort). Repeated, like `detach`.
        """
        self._calls.call("ec2", "detach_volume", VolumeId=volume_id, InstanceId=instance_id, Force=True)
