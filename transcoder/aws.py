"""EC2 and SSM behind our own words: the only import of boto3. AWS dictionaries die in here."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from transcoder import tags as tag_names
from transcoder.aws_shapes import (
    Json,
    permission,
    read_address,
    read_image,
    read_instance,
    read_volume,
    tag_filters,
    tag_list,
)
from transcoder.errors import Failed, Refused, TranscoderError, Unreachable
from transcoder.model import ElasticIp, Image, Instance, Volume
from transcoder.settings import Settings
from transcoder.world import LaunchRequest, Lock, VolumeRequest

THROTTLED = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException", "ServiceUnavailable"}
    | {"Unavailable", "InternalError", "InternalFailure"}
)
"""Codes that mean: ask again later (aws-ebs-csi-driver pkg/cloud/retry_manager.go, amazon.aws retries.py)."""
DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure"})
DETACHED_ALREADY = frozenset({"IncorrectState", "InvalidAttachment.NotFound", "InvalidVolume.NotFound"})
"""Codes of DetachVolume that mean it is detached already (aws-ebs-csi-driver pkg/cloud/cloud.go, DetachDisk)."""


def session(settings: Settings) -> boto3.session.Session:
    """Return a boto3 session of the environment: its profile, or the static identity of its own EC2."""
    aws = settings.aws
    if aws.access_key_id:
        return boto3.session.Session(
            aws_access_key_id=aws.access_key_id,
            aws_secret_access_key=aws.secret_access_key.get_secret_value(),
            region_name=aws.region,
        )
    return boto3.session.Session(profile_name=aws.profile or None, region_name=aws.region)


class Aws:
    """The cloud of one environment. Safe to use from several threads (boto3 clients are)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = session(settings)
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()

    # instances

    def instances(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Instance, ...]:
        """Return the instances with these ids and these tags, terminated ones left out."""
        request = {"Filters": [*tag_filters(tags), {"Name": "instance-state-name", "Values": list(_LIVING)}]}
        if ids:
            request["Filters"].append({"Name": "instance-id", "Values": list(ids)})
        pages = self._pages("ec2", "describe_instances", "Reservations", request)
        return tuple(read_instance(item) for reservation in pages for item in reservation["Instances"])

    def launch(self, request: LaunchRequest) -> Instance:
        """Launch one instance as the environment describes it; the same token gives the same instance."""
        reply = self._call("ec2", "run_instances", **self._run_instances(request))
        return read_instance(reply["Instances"][0])

    def terminate(self, instance_id: str) -> None:
        """Terminate an instance for good. Data volumes stay: none of ours is deleted on termination."""
        self._call("ec2", "terminate_instances", InstanceIds=[instance_id])

    def _run_instances(self, request: LaunchRequest) -> dict[str, Any]:
        aws, machine = self._settings.aws, self._settings.instance
        image = self._call("ec2", "describe_images", ImageIds=[request.image_id])["Images"][0]
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
            "InstanceInitiatedShutdownBehavior": machine.shutdown_behavior,
            "DisableApiTermination": machine.termination_protection,
            "SubnetId": self._subnet(request.zone),
            "SecurityGroupIds": [request.security_group_id],
            "MetadataOptions": {"HttpTokens": aws.imds_tokens, "HttpEndpoint": "enabled"},
            "BlockDeviceMappings": [{"DeviceName": image["RootDeviceName"], "Ebs": root}],
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": tag_list(request.tags)},
                {"ResourceType": "volume", "Tags": tag_list(root_tags)},
            ],
            **profile,
        }

    def _subnet(self, zone: str) -> str:
        """Return the subnet to launch into: the environment's, else the only or the default one of the zone."""
        if self._settings.aws.subnet_id and zone == self._settings.aws.availability_zone:
            return self._settings.aws.subnet_id
        filters = [{"Name": "availability-zone", "Values": [zone]}]
        subnets = self._call("ec2", "describe_subnets", Filters=filters)["Subnets"]
        chosen = subnets if len(subnets) == 1 else [subnet for subnet in subnets if subnet.get("DefaultForAz")]
        if len(chosen) != 1:
            found = ", ".join(subnet["SubnetId"] for subnet in subnets) or "none"
            raise Refused(f"no single subnet to launch into in {zone}: found {found}", hint="set aws.subnet_id")
        return str(chosen[0]["SubnetId"])

    # volumes

    def volumes(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Volume, ...]:
        """Return the volumes with these ids and tags."""
        filters = tag_filters(tags)
        if ids:
            filters.append({"Name": "volume-id", "Values": list(ids)})
        pages = self._pages("ec2", "describe_volumes", "Volumes", {"Filters": filters})
        return tuple(read_volume(item) for item in pages if item["State"] not in ("deleting", "deleted"))

    def create_volume(self, request: VolumeRequest) -> Volume:
        """Create a blank volume; the same token gives the same volume."""
        kms = self._settings.aws.kms_key_id
        reply = self._call(
            "ec2",
            "create_volume",
            AvailabilityZone=request.zone,
            Size=request.size_gib,
            VolumeType=request.type,
            Encrypted=request.encrypted,
            ClientToken=request.token,
            TagSpecifications=[{"ResourceType": "volume", "Tags": tag_list(request.tags)}],
            **({"KmsKeyId": kms} if kms and request.encrypted else {}),
        )
        return read_volume(reply)

    def attach(self, volume_id: str, instance_id: str, device: str) -> None:
        """Ask EC2 to attach; it is attached when `volumes` says ``attached`` for this instance, not before."""
        self._call("ec2", "attach_volume", VolumeId=volume_id, InstanceId=instance_id, Device=device)

    def detach(self, volume_id: str, instance_id: str) -> None:
        """Ask EC2 to detach from this very instance; detached already is fine. Never forced."""
        with self._tolerating(DETACHED_ALREADY):
            self._call("ec2", "detach_volume", VolumeId=volume_id, InstanceId=instance_id)

    # addresses

    def addresses(self, *, tags: Mapping[str, str] | None = None) -> tuple[ElasticIp, ...]:
        """Return the Elastic IPs with these tags."""
        reply = self._call("ec2", "describe_addresses", Filters=tag_filters(tags))
        return tuple(read_address(item) for item in reply["Addresses"])

    def allocate_address(self, tags: Mapping[str, str]) -> ElasticIp:
        """Allocate an Elastic IP."""
        spec = [{"ResourceType": "elastic-ip", "Tags": tag_list(tags)}]
        return read_address(self._call("ec2", "allocate_address", Domain="vpc", TagSpecifications=spec))

    def associate(self, allocation_id: str, instance_id: str) -> None:
        """Give an Elastic IP to an instance, whoever holds it now."""
        self._call(
            "ec2", "associate_address", AllocationId=allocation_id, InstanceId=instance_id, AllowReassociation=True
        )

    def ensure_security_group(self) -> str:
        """Return the id of the environment's security group; create it with its rules where it is missing.

        Rules of a group that exists are the operator's business and are not touched.
        """
        aws = self._settings.aws
        vpc = self._call("ec2", "describe_subnets", SubnetIds=[self._subnet(aws.availability_zone)])["Subnets"][0]
        filters = [
            {"Name": "group-name", "Values": [aws.security_group]},
            {"Name": "vpc-id", "Values": [vpc["VpcId"]]},
        ]
        found = self._call("ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]
        if found:
            return str(found[0]["GroupId"])
        group = self._call(
            "ec2",
            "create_security_group",
            GroupName=aws.security_group,
            Description="Livepeer node",
            VpcId=vpc["VpcId"],
            TagSpecifications=[
                {"ResourceType": "security-group", "Tags": tag_list({tag_names.ENVIRONMENT: self._settings.name})}
            ],
        )["GroupId"]
        self._call(
            "ec2",
            "authorize_security_group_ingress",
            GroupId=group,
            IpPermissions=[permission(rule) for rule in aws.ingress],
        )
        return str(group)

    # images

    def images(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Image, ...]:
        """Return our own images with these ids and tags, newest last."""
        filters = tag_filters(tags)
        if ids:
            filters.append({"Name": "image-id", "Values": list(ids)})
        found = self._call("ec2", "describe_images", Owners=["self"], Filters=filters)["Images"]
        images = (read_image(item) for item in found)
        return tuple(sorted(images, key=lambda image: (image.created, image.id)))

    def stock_image(self) -> Image:
        """Return the stock image that the environment bakes from: the one named, or the newest that matches.

        :raises Refused: when there is none.
        """
        wanted = self._settings.image.source_ami
        by_id = {"ImageIds": [wanted.id]} if wanted.id else {"Owners": wanted.owners}
        filters = [] if wanted.id else [{"Name": "name", "Values": [wanted.name]}]
        filters.append({"Name": "state", "Values": ["available"]})
        request = {**by_id, "Filters": filters, "IncludeDeprecated": wanted.include_deprecated}
        found = [read_image(item) for item in self._call("ec2", "describe_images", **request)["Images"]]
        if not found:
            sought = wanted.id or f"{wanted.name} of {', '.join(wanted.owners)}"
            raise Refused(f"there is no stock image {sought} in {self._settings.aws.region}", hint="image.source_ami")
        return max(found, key=lambda image: (image.created, image.id))

    # tags and locks

    def tag(self, resource_id: str, tags: Mapping[str, str]) -> None:
        """Set tags on a resource."""
        self._call("ec2", "create_tags", Resources=[resource_id], Tags=tag_list(tags))

    def untag(self, resource_id: str, keys: Sequence[str]) -> None:
        """Remove tags from a resource, whatever their values."""
        self._call("ec2", "delete_tags", Resources=[resource_id], Tags=[{"Key": key} for key in keys])

    def take_lock(self, node: str, lock: Lock) -> Lock | None:
        """Take the node's lock; return its holder when somebody has it (``Overwrite=False`` is atomic)."""
        value = json.dumps(asdict(lock))
        try:
            self._call("ssm", "put_parameter", Name=self._lock_name(node), Value=value, Type="String", Overwrite=False)
        except _Answered as answer:
            if answer.code != "ParameterAlreadyExists":
                raise
            return self.lock_holder(node)
        return None

    def free_lock(self, node: str, lock: Lock | None = None) -> Lock | None:
        """Free the node's lock: only ``lock`` when given, whoever holds it otherwise. Return what was freed."""
        holder = self.lock_holder(node)
        if holder is None or (lock is not None and holder != lock):
            return None
        with self._tolerating(frozenset({"ParameterNotFound"})):
            self._call("ssm", "delete_parameter", Name=self._lock_name(node))
        return holder

    def lock_holder(self, node: str) -> Lock | None:
        """Return who holds the node's lock, or None."""
        try:
            reply = self._call("ssm", "get_parameter", Name=self._lock_name(node))
        except _Answered as answer:
            if answer.code == "ParameterNotFound":
                return None
            raise
        return Lock(**json.loads(reply["Parameter"]["Value"]))

    def _lock_name(self, node: str) -> str:
        return f"/transcoder/{self._settings.name}/{node}/lock"

    # calls

    def _client(self, service: str) -> Any:
        with self._making:
            if service not in self._clients:
                config = Config(
                    retries={"mode": "standard", "max_attempts": 6},
                    connect_timeout=5,
                    read_timeout=60,
                    user_agent_extra="livepeer-transcoder-ops",
                )
                endpoint = self._settings.aws.endpoint_url or None
                self._clients[service] = self._session.client(service, endpoint_url=endpoint, config=config)
            return self._clients[service]

    def _call(self, service: str, operation: str, **request: Any) -> Json:
        with self._translating(service, operation):
            method: Callable[..., Json] = getattr(self._client(service), operation)
            return method(**request)

    def _pages(self, service: str, operation: str, key: str, request: Json) -> Iterator[Any]:
        with self._translating(service, operation):
            for page in self._client(service).get_paginator(operation).paginate(**request):
                yield from page[key]

    @contextmanager
    def _translating(self, service: str, operation: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._translated(error, operation) from error
        except BotoCoreError as error:
            where = self._settings.aws.endpoint_url or f"AWS in {self._settings.aws.region}"
            hint = f"is it up? environment {self._settings.name!r} ({self._settings.path})"
            raise Unreachable(f"{service}.{operation}: no answer from {where}: {error}", hint=hint) from error

    def _translated(self, error: ClientError, operation: str) -> TranscoderError:
        code = error.response["Error"].get("Code", "")
        text = error.response["Error"].get("Message", "")
        if code in THROTTLED:
            return Unreachable(f"{operation}: EC2 is busy ({code}): {text}", hint="run the same command again")
        if code in DENIED:
            return Refused(
                f"{operation} is not permitted ({code}): {text}", hint="check the credentials and their policy"
            )
        return _Answered(code, f"{operation}: {code}: {text}")

    @contextmanager
    def _tolerating(self, codes: frozenset[str]) -> Iterator[None]:
        try:
            yield
        except _Answered as answer:
            if answer.code not in codes:
                raise


class _Answered(Failed):
    """EC2 said no, with a code of its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


_LIVING = ("pending", "running", "shutting-down", "stopping", "stopped")
