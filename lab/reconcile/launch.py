"""RunInstances: the AMI's disks, a real address, and the same answer for the same client token."""

from __future__ import annotations

import copy
import ipaddress
import json
from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses import EC2Response

from lab.cloud import Cloud
from lab.hooks import Hooks, ec2_error
from lab.reconcile.instances import Instances, set_state
from lab.strict import instances as strict
from lab.strict.volumes import attachment_point

EBS_KEYS = (
    "SnapshotId",
    "VolumeSize",
    "VolumeType",
    "DeleteOnTermination",
    "Encrypted",
    "KmsKeyId",
    "Iops",
    "Throughput",
)


class Launch:
    """Wraps the launch of instances and what makes requests idempotent."""

    def __init__(self, cloud: Cloud, instances: Instances) -> None:
        self.cloud = cloud
        self.instances = instances
        self._tokens: dict[tuple[str, str, str], tuple[str, Any]] = {}

    def install(self, hooks: Hooks) -> None:
        """Wrap moto's models."""
        hooks.wrap(EC2Response, "run_instances", self.run_response)
        hooks.wrap(EC2Response, "create_volume", self.once)
        hooks.replace(EC2Response, "_parse_block_device_mapping", requested_mappings)
        hooks.wrap(InstanceBackend, "run_instances", self.run_instances)
        hooks.replace(Subnet, "get_available_subnet_ip", next_address)

    # requests

    def run_response(self, original: Any, response: Any) -> Any:
        """Launch as many as MaxCount, once for a client token, with the protection that the request asks for."""
        parameters = self.cloud.parameters
        least, most = int(parameters.get("MinCount", 1)), int(parameters.get("MaxCount", 1))
        strict.check_counts(least, most)
        response.params["MinCount"] = most
        protected = str(parameters.get("DisableApiTermination", False)).lower() == "true"

        def launch(inner: Any) -> Any:
            result = original(inner)
            for instance in result.result.instances:
                instance.disable_api_termination = protected
            return result

        return self.once(launch, response)

    def once(self, original: Any, response: Any) -> Any:
        """Answer a request that has the client token of an earlier one with what that one made."""
        parameters = dict(self.cloud.parameters)
        token = parameters.pop("ClientToken", "")
        if not token or str(parameters.get("DryRun", False)).lower() == "true":
            return original(response)
        key, asked = _token_key(response, token), json.dumps(parameters, sort_keys=True, default=str)
        if key not in self._tokens:
            made = original(response)
            self._tokens[key] = (asked, made.result)
            return made
        before, result = self._tokens[key]
        if before != asked:
            raise ec2_error(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )
        return ActionResult(result)

    # the launch itself, which CloudFormation and Auto Scaling reach too

    def run_instances(
        self, original: Any, backend: Any, image_id: str, count: int, user_data: Any, group_names: Any, **wanted: Any
    ) -> Any:
        """Check everything, make the instances ``pending`` with their volumes, and boot the machines."""
        image = strict.check_image(backend, image_id or _template(backend, wanted).get("ImageId", ""))
        strict.check_key(backend, wanted.get("key_name"))
        if not wanted.get("is_instance_type_default"):
            strict.check_type(wanted["instance_type"])
        subnet = self._place(backend, wanted)
        mappings = merged_mappings(image.lab_mappings, self._requested(backend, wanted), image.root_device_name)
        strict.check_block_devices(backend, mappings)
        wanted["block_device_mappings"] = []  # moto makes none, so that the root is the image's and not an empty 8 GiB
        volume_tags = dict(wanted.get("tags", {}).get("volume", {}))
        reservation = original(backend, image_id, count, user_data, group_names, **wanted)
        for instance in reservation.instances:
            self._begin(instance, subnet)
            for mapping in mappings:
                self._add_volume(backend, instance, mapping, volume_tags)
            instance.lab_launching = False
            self.instances.boot(instance)
        return reservation

    def _place(self, backend: Any, wanted: dict[str, Any]) -> Any:
        """Return the subnet of the launch; without one it is the default subnet of the zone, as in a default VPC."""
        nics = wanted.get("nics") or []
        subnet_id = wanted.get("subnet_id") or next((nic["SubnetId"] for nic in nics if "SubnetId" in nic), None)
        if subnet_id is None:
            zone = wanted.get("placement") or self.cloud.configuration.zones_of(backend.region_name)[0]
            default = backend.get_default_subnets().get(zone)
            if default is None:
                raise ec2_error("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
            subnet_id = default.id
            if nics:
                nics[0]["SubnetId"] = subnet_id
            else:
                wanted["subnet_id"] = subnet_id
        subnet = backend.get_subnet(subnet_id)
        strict.check_subnet(subnet, self.cloud.configuration.bridge_network)
        strict.check_private_address(subnet, wanted.get("private_ip"))
        return subnet

    @staticmethod
    def _requested(backend: Any, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        if wanted.get("block_device_mappings"):
            return list(wanted["block_device_mappings"])
        if wanted.get("launch_config"):
            return list(wanted["launch_config"].block_device_mapping_dict or [])
        return list(_template(backend, wanted).get("BlockDeviceMappings") or [])

    @staticmethod
    def _begin(instance: Any, subnet: Any) -> None:
        instance.lab_launching = True
        set_state(instance, "pending")
        for nic in instance.nics.values():
            # EC2's default for an interface that the launch made; moto would keep it and its address for ever.
            nic.delete_on_termination = True
            for private in nic.private_ip_addresses:
                subnet._subnet_ips.setdefault(private["PrivateIpAddress"], instance)
        if not instance.security_groups:
            instance.security_groups = list(instance.nics[0].group_set)

    @staticmethod
    def _add_volume(backend: Any, instance: Any, mapping: dict[str, Any], tags: dict[str, str]) -> None:
        ebs = mapping["Ebs"]
        volume = backend.create_volume(
            size=ebs.get("VolumeSize"),
            zone_name=instance.availability_zone,
            snapshot_id=ebs.get("SnapshotId"),
            encrypted=str(ebs.get("Encrypted", False)).lower() == "true",
            kms_key_id=ebs.get("KmsKeyId"),
            volume_type=ebs.get("VolumeType"),
            iops=ebs.get("Iops"),
            throughput=ebs.get("Throughput"),
        )
        volume.add_tags(tags)
        doomed = str(ebs.get("DeleteOnTermination", False)).lower() == "true"
        backend.attach_volume(volume.id, instance.id, mapping["DeviceName"], doomed)


def requested_mappings(response: Any) -> list[dict[str, Any]]:
    """Return the block devices of a request with only what it says; moto's defaults would hide the AMI's."""
    mappings = []
    for asked in response._get_param("BlockDeviceMappings", []):
        ebs = {key: asked["Ebs"][key] for key in EBS_KEYS if asked.get("Ebs", {}).get(key) is not None}
        mapping = {"DeviceName": asked.get("DeviceName"), "Ebs": ebs}
        if asked.get("NoDevice") is not None:
            mapping["NoDevice"] = asked["NoDevice"]
        mappings.append(mapping)
    return mappings


def merged_mappings(
    image: list[dict[str, Any]], requested: list[dict[str, Any]], root_device: str
) -> list[dict[str, Any]]:
    """Lay a launch's block devices over the AMI's: by attachment point, key by key, ``NoDevice`` takes one away.

    The root comes first. A device that only the launch names survives termination unless the launch says otherwise.
    """
    merged = {attachment_point(mapping["DeviceName"]): copy.deepcopy(mapping) for mapping in image}
    for mapping in requested:
        point = attachment_point(mapping["DeviceName"])
        if "NoDevice" in mapping and mapping["NoDevice"] is not None:
            merged.pop(point, None)
        elif point in merged:
            merged[point]["Ebs"].update({k: v for k, v in mapping.get("Ebs", {}).items() if v is not None})
        elif "VirtualName" not in mapping or not mapping["VirtualName"]:
            merged[point] = {"DeviceName": mapping["DeviceName"], "Ebs": dict(mapping.get("Ebs", {}))}
    root = attachment_point(root_device)
    return sorted(merged.values(), key=lambda mapping: attachment_point(mapping["DeviceName"]) != root)


def next_address(subnet: Any, instance: Any) -> str:
    """Return a free address, the next one after the last given: an address rests before it is used again."""
    hosts = list(subnet.cidr.hosts())[3:]  # EC2 keeps the first three for itself
    free = [h for h in hosts if str(h) not in subnet._subnet_ips and h not in subnet._reserved_ips]
    if not free:
        raise ec2_error(
            "InsufficientFreeAddressesInSubnet", f"There are not enough free addresses in subnet '{subnet.id}'."
        )
    last = getattr(subnet, "lab_last_address", ipaddress.IPv4Address(0))
    chosen = next((host for host in free if host > last), free[0])
    subnet.lab_last_address = chosen
    subnet._subnet_ips[str(chosen)] = instance
    return str(chosen)


def _token_key(response: Any, token: Any) -> tuple[str, str, str]:
    """Return what a client token is unique in: EC2 remembers it by region and action."""
    return response.region, response._get_action(), str(token)


def _template(backend: Any, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the launch template of a launch says, if it has one."""
    if not wanted.get("launch_template"):
        return {}
    data: Mapping[str, Any] = backend._get_template_from_args(wanted["launch_template"]).data
    return data
