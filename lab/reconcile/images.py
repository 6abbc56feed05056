"""AMIs: made from an instance's disks, registered from snapshots, copied; with the root and sizes they really have."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.responses import EC2Response

from lab.cloud import Cloud, log
from lab.drivers import StockImage
from lab.hooks import Hooks, ec2_backend
from lab.reconcile.instances import Instances
from lab.strict import images as strict
from lab.strict.instances import check_image
from lab.strict.volumes import attachment_point, check_region
from transcoder.errors import TranscoderError

ROOT_DEVICE = "/dev/sda1"


class Images:
    """Wraps AMIs. An image's own block device mappings are in ``lab_mappings``."""

    def __init__(self, cloud: Cloud, instances: Instances) -> None:
        self.cloud = cloud
        self.instances = instances

    def install(self, hooks: Hooks) -> None:
        """Wrap moto's models."""
        for name in ("create_image", "register_image", "copy_image"):
            hooks.wrap(AmiBackend, name, getattr(self, name))
        hooks.wrap(EC2Response, "deregister_image", self.deregister_response)
        hooks.replace(EC2Response, "enable_image_deprecation", enable_deprecation)
        hooks.replace(Ami, "block_device_mappings", property(lambda image: image.lab_mappings))

    def create_image(
        self, original: Any, backend: Any, instance_id: str, name: str, description: str, tag_specifications: Any
    ) -> Any:
        """Copy the instance's disks; unless ``NoReboot``, a running machine is shut down for it and booted again."""
        instance = backend.get_instance(instance_id)
        strict.check_name(backend, name)
        strict.check_instance(instance)
        of_image, of_snapshots = split_tags(tag_specifications)
        with self.cloud.as_bookkeeping():
            image = original(backend, instance_id, name, description, of_image)
            own = backend.snapshots.pop(image.ebs_snapshot.id)
        reboots = instance.state == "running" and str(self.cloud.parameters.get("NoReboot")).lower() != "true"
        dress(image, instance.root_device_name)
        wanted = self._disks(instance)
        if reboots:
            image.state = "pending"
            self.cloud.job(f"image {image.id}", self._image_with_reboot, image, instance, wanted, own, of_snapshots)
        else:
            self._take(image, wanted, own, of_snapshots)
        return image

    def _disks(self, instance: Any) -> list[tuple[str, str, bool]]:
        """Return (device, volume id, delete on termination) of what goes into an image; ``NoDevice`` leaves one out."""
        asked = self.cloud.parameters.get("BlockDeviceMappings") or []
        left_out = {attachment_point(m["DeviceName"]) for m in asked if m.get("NoDevice") is not None}
        disks = [
            (device, mapping.volume_id, bool(mapping.delete_on_termination))
            for device, mapping in instance.get_block_device_mapping
            if attachment_point(device) not in left_out
        ]
        return sorted(disks, key=lambda disk: disk[0] != instance.root_device_name)

    def _image_with_reboot(self, image: Any, instance: Any, disks: Any, own: Any, tags: Any) -> None:
        self.cloud.driver.shut_down(instance.id, graceful=True)
        try:
            with self.cloud.lock:
                self._take(image, disks, own, tags)
        except TranscoderError as error:
            image.state = "failed"
            log.error("%s could not be made from %s: %s", image.id, instance.id, error)
        finally:
            self.instances.boot_machine(instance)

    def _take(self, image: Any, disks: Sequence[tuple[str, str, bool]], own: Any, tags: dict[str, str]) -> None:
        """Snapshot the disks into the image. The caller holds the lock."""
        backend = image.ec2_backend
        mappings = []
        for device, volume_id, doomed in disks:
            snapshot = backend.create_snapshot(volume_id, own.description, from_ami=image.id)
            snapshot.add_tags(tags)
            if device == image.root_device_name:
                image.ebs_snapshot = snapshot
            volume = backend.volumes[volume_id]
            mappings.append(mapping_of(device, snapshot, volume.volume_type, doomed))
        image.lab_mappings = mappings
        self._available_later(image)

    def _available_later(self, image: Any) -> None:
        image.state = "pending"
        latency = self.cloud.latencies.snapshot
        self.cloud.later(f"image {image.id}", latency, lambda: setattr(image, "state", "available"))

    def register_image(self, original: Any, backend: Any, name: str, description: str | None = None) -> Any:
        """Register an image from snapshots, as the request's block device mappings say."""
        if self.cloud.bookkeeping:
            return original(backend, name, description)
        asked = self.cloud.parameters
        root_device = asked.get("RootDeviceName") or ROOT_DEVICE
        mappings = asked.get("BlockDeviceMappings") or []
        strict.check_name(backend, name)
        strict.check_register(backend, root_device, mappings)
        with self.cloud.as_bookkeeping():
            image = original(backend, name, description)
            backend.snapshots.pop(image.ebs_snapshot.id)
        dress(image, root_device, architecture=asked.get("Architecture") or "x86_64")
        image.lab_mappings = sorted(
            (registered(backend, mapping, root_device) for mapping in mappings if mapping.get("Ebs")),
            key=lambda mapping: attachment_point(mapping["DeviceName"]) != attachment_point(root_device),
        )
        image.ebs_snapshot = backend.snapshots[image.lab_mappings[0]["Ebs"]["SnapshotId"]]
        for mapping in image.lab_mappings:
            if mapping["Ebs"].get("SnapshotId"):
                backend.snapshots[mapping["Ebs"]["SnapshotId"]].from_ami = image.id
        self._available_later(image)
        return image

    def register_stock(self, stock: StockImage) -> Any:
        """Register the image that the lab starts with: owned by the account, without tags, available at once."""
        backend, driver = self.cloud.backend, self.cloud.driver
        image = new_image(self.cloud, stock_id(stock), stock.name, stock.description)
        with self.cloud.as_bookkeeping():
            volume = backend.create_volume(size=stock.size_gib, zone_name=self.cloud.configuration.zones[0])
            snapshot = backend.create_snapshot(volume.id, stock.description, from_ami=image.id)
            backend.delete_volume(volume.id)
        if stock.path is not None:
            driver.import_disk(snapshot.id, stock.path)
        dress(image, ROOT_DEVICE)
        image.ebs_snapshot = snapshot
        image.lab_mappings = [mapping_of(ROOT_DEVICE, snapshot, "gp2", doomed=True)]
        return image

    def copy_image(
        self, original: Any, backend: Any, source_image_id: str, source_region: str, name: str, *rest: Any, **more: Any
    ) -> Any:
        """Copy an image with its disks, from whichever region of the lab."""
        check_region(self.cloud.configuration.regions, source_region)
        source = check_image(ec2_backend(source_region), source_image_id)
        strict.check_name(backend, name)
        with self.cloud.as_bookkeeping():
            image = original(backend, source_image_id, source_region, name, *rest, **more)
            backend.snapshots.pop(image.ebs_snapshot.id)
        dress(image, source.root_device_name, source.architecture)
        of_image, of_snapshots = split_tags(self.cloud.parameters.get("TagSpecifications"))
        for tag in (tag for each in of_image for tag in each.get("Tags", [])):
            image.add_tag(tag["Key"], tag["Value"])
        # CopySnapshot, which copies the disks, reads `Encrypted` of this very request.
        image.lab_mappings = [
            self._copied(image, mapping, source_region, of_snapshots) for mapping in source.lab_mappings
        ]
        image.ebs_snapshot = backend.snapshots[image.lab_mappings[0]["Ebs"]["SnapshotId"]]
        self._available_later(image)
        return image

    @staticmethod
    def _copied(image: Any, mapping: dict[str, Any], source_region: str, tags: dict[str, str]) -> dict[str, Any]:
        backend, ebs = image.ec2_backend, dict(mapping["Ebs"])
        if ebs.get("SnapshotId"):
            text = f"Copied for {image.id} from {ebs['SnapshotId']}"
            copied = backend.copy_snapshot(ebs["SnapshotId"], source_region, text, None)
            copied.from_ami = image.id
            copied.add_tags(tags)
            ebs |= {"SnapshotId": copied.id, "Encrypted": bool(copied.encrypted)}
        return {"DeviceName": mapping["DeviceName"], "Ebs": ebs}

    def deregister_response(self, original: Any, response: Any) -> Any:
        """Deregister, and delete the image's snapshots when asked to."""
        backend, asked = self.cloud.backend, self.cloud.parameters
        image = backend.amis.get(asked.get("ImageId"))
        result = original(response)
        if image is None or str(asked.get("DeleteAssociatedSnapshots")).lower() != "true":
            return result
        named = [m["Ebs"]["SnapshotId"] for m in image.lab_mappings if m["Ebs"].get("SnapshotId")]
        # "If a snapshot is associated with multiple AMIs, it is not deleted" (EC2 API reference, DeregisterImage).
        ids = [snapshot_id for snapshot_id in named if not users_of(backend, snapshot_id)]
        for snapshot_id in ids:
            backend.delete_snapshot(snapshot_id)
        results = [{"SnapshotId": snapshot_id, "ReturnCode": "success"} for snapshot_id in ids]
        return ActionResult({"Return": True, "DeleteSnapshotResults": results})


def enable_deprecation(response: Any) -> Any:
    """Note from when on an image is deprecated; moto lacks the action."""
    backend, image_id, when = response.ec2_backend, response._get_param("ImageId"), response._get_param("DeprecateAt")
    response.error_on_dryrun()
    image = check_image(backend, image_id)
    image.deprecation_time = strict.check_deprecation(when)
    return ActionResult({"Return": True})


def users_of(backend: Any, snapshot_id: str) -> list[str]:
    """Return the ids of the AMIs that have this snapshot."""
    return [
        image.id
        for image in backend.amis.values()
        if snapshot_id in [mapping["Ebs"].get("SnapshotId") for mapping in getattr(image, "lab_mappings", [])]
    ]


def stock_id(stock: StockImage) -> str:
    """Return the id of a stock AMI: the same in every start of a lab, as long as its file in the cache is the same.

    The name has the digest of the recipe; a file made anew by it has later packages, so its time counts as well.
    """
    made = stock.path.stat().st_mtime_ns if stock.path is not None else 0
    return f"ami-{hashlib.sha256(f'{stock.name} {made}'.encode()).hexdigest()[:17]}"


def new_image(cloud: Cloud, image_id: str, name: str, description: str) -> Any:
    """Return a new AMI of moto's with this id, without the blank snapshot that moto gives to each."""
    backend = cloud.backend
    with cloud.as_bookkeeping():
        image = Ami(backend, image_id, name=name, description=description)
        backend.snapshots.pop(image.ebs_snapshot.id)
    backend.amis[image_id] = image
    return image


def dress(image: Any, root_device: str, architecture: str = "x86_64") -> None:
    """Give an image what moto leaves at values that no machine has had for years."""
    image.root_device_name = root_device
    image.root_device_type = "ebs"
    image.architecture = architecture
    image.virtualization_type = "hvm"
    image.hypervisor = "xen"
    image.image_location = f"{image.owner_id}/{image.name}"
    image.lab_mappings = []


def mapping_of(device: str, snapshot: Any, volume_type: str, doomed: bool) -> dict[str, Any]:
    """Return an image's block device mapping for a snapshot."""
    ebs = {
        "SnapshotId": snapshot.id,
        "VolumeSize": int(snapshot.volume.size),
        "DeleteOnTermination": doomed,
        "VolumeType": volume_type,
        "Encrypted": bool(snapshot.encrypted),
    }
    return {"DeviceName": device, "Ebs": ebs}


def registered(backend: Any, mapping: dict[str, Any], root_device: str) -> dict[str, Any]:
    """Return a mapping of RegisterImage with the size of its snapshot and EC2's default for the root's fate."""
    ebs = {key: value for key, value in mapping["Ebs"].items() if value is not None}
    if ebs.get("SnapshotId"):
        ebs.setdefault("VolumeSize", int(backend.snapshots[ebs["SnapshotId"]].volume.size))
    ebs.setdefault("VolumeType", "gp2")
    is_root = attachment_point(mapping["DeviceName"]) == attachment_point(root_device)
    ebs["DeleteOnTermination"] = str(ebs.get("DeleteOnTermination", is_root)).lower() == "true"
    return {"DeviceName": mapping["DeviceName"], "Ebs": ebs}


def split_tags(specifications: Any) -> tuple[list[Any], dict[str, str]]:
    """Part the tags of CreateImage: the image's as moto takes them, and the snapshots', which moto cannot do."""
    of_image = [each for each in specifications or [] if each["ResourceType"] != "snapshot"]
    of_snapshots = [each for each in specifications or [] if each["ResourceType"] == "snapshot"]
    return of_image, {tag["Key"]: tag["Value"] for each in of_snapshots for tag in each.get("Tags", [])}
