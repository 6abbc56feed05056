"""EC2's instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transcoder import tags as tag_names
from transcoder.aws_network import subnet
from transcoder.aws_noun import Noun
from transcoder.aws_shapes import read_instance, tag_filters, tagged
from transcoder.model import Instance
from transcoder.world import LaunchRequest

LIVING = ("pending", "running", "shutting-down", "stopping", "stopped")
"""Every state but ``terminated``."""


class Instances(Noun):
    """Looks, launches, stops, terminations."""

    def instances(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Instance, ...]:
        """Return the instances with these ids and these tags, terminated ones left out."""
        request = {"Filters": [*tag_filters(tags), {"Name": "instance-state-name", "Values": list(LIVING)}]}
        if ids:
            request["Filters"].append({"Name": "instance-id", "Values": list(ids)})
        pages = self._calls.pages("describe_instances", "Reservations", **request)
        return tuple(read_instance(item) for reservation in pages for item in reservation["Instances"])

    def launch(self, request: LaunchRequest) -> Instance:
        """Launch one instance as the environment describes it; the same token gives the same instance.

        Repeated: it carries the token.
        """
        reply = self._calls.call("ec2", "run_instances", **self._run_instances(request))
        return read_instance(reply["Instances"][0])

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance for good. Data volumes stay: none of ours is deleted on termination.

        Repeated: EC2 documents it as idempotent (EC2 developer guide, ensuring idempotency).
        """
        self._calls.call("ec2", "terminate_instances", InstanceIds=[instance_id])

    def stop(self, instance_id: str, *, force: bool = False) -> None:
        """Ask EC2 to shut an instance down; it is so when `instances` says ``stopped``, not before.

        Repeated: an instance that is stopping or stopped stays so.

        :param force: when the machine does not shut down in time, end it without flushing its caches: file systems
            are to be checked after that (EC2 API reference, StopInstances).
        :raises NotReady: it is in no state to be stopped, such as ``pending``.
        """
        self._calls.call("ec2", "stop_instances", InstanceIds=[instance_id], Force=force)

    def _run_instances(self, request: LaunchRequest) -> dict[str, Any]:
        aws, machine = self._settings.aws, self._settings.instance
        image = self._calls.call("ec2", "describe_images", ImageIds=[request.image_id])["Images"][0]
        root = {"VolumeSize": machine.root_size_gib, "VolumeType": machine.root_type, "DeleteOnTermination": True}
        # The root volume is no data volume: it gets neither node nor role.
        root_tags = {key: request.tags[key] for key in (tag_names.NAME, tag_names.ENVIRONMENT) if key in request.tags}
        profile = {"IamInstanceProfile": {"Name": aws.instance_profile}} if aws.instance_profile else {}
        return {
            "ImageId": request.image_id,
            "InstanceType": machine.type,
            "KeyName": aws.key_name,
            "MinCount": 1,
            "MaxCount": 1,
            "ClientToken": request.token,
            "UserData": request.user_data,
            "EbsOptimized": machine.ebs_optimized,
            "Monitoring": {"Enabled": machine.monitoring},
            "InstanceInitiatedShutdownBehavior": "terminate" if request.temporary else machine.shutdown_behavior,
            "DisableApiTermination": machine.termination_protection and not request.temporary,
            "SubnetId": subnet(self._settings, self._calls, request.zone),
            "SecurityGroupIds": [request.security_group_id],
            "MetadataOptions": {"HttpTokens": aws.imds_tokens, "HttpEndpoint": "enabled"},
            "BlockDeviceMappings": [{"DeviceName": image["RootDeviceName"], "Ebs": root}],
            "TagSpecifications": [*tagged("instance", request.tags), *tagged("volume", root_tags)],
            **profile,
        }
