"""Steps that EC2 does: instances, volumes, addresses, tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from transcoder import layout, tags
from transcoder.actions.attachment import VOLUME_BUDGET, agreed, looked_up, the_volume
from transcoder.aws_shapes import tagged
from transcoder.errors import Failed, Refused
from transcoder.model import ElasticIp, Instance, Volume
from transcoder.step import Step
from transcoder.world import ApiCall, LaunchRequest, VolumeRequest, World


def the_instance(world: World, instance_id: str) -> Instance:
    """Return an instance that must exist.

    :raises Failed: when EC2 does not know it, and goes on not knowing it.
    """
    found = looked_up(world, lambda: world.cloud.instances(ids=[instance_id]))
    if not found:
        raise Failed(f"instance {instance_id} is gone", hint="fab status")
    return found[0]


@dataclass(frozen=True, kw_only=True)
class LaunchInstance(Step):
    """Launch an instance with this Name and wait until EC2 calls it running."""

    name: str
    image_id: str
    zone: str
    user_data: str
    token: str
    instance_tags: Mapping[str, str]
    verb: ClassVar[str] = "launch"
    calls: ClassVar[tuple[str, ...]] = ("RunInstances", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress")

    @property
    def title(self) -> str:
        return f"launch {self.name} from {self.image_id} in {self.zone}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        machine = {"ImageId": self.image_id, "InstanceType": world.settings.instance.type, "MinCount": 1, "MaxCount": 1}
        role = world.settings.aws.instance_profile
        profile = {"IamInstanceProfile": {"Name": role}} if role else {}
        made = [*tagged("instance", self.instance_tags), *tagged("volume", {tags.ENVIRONMENT: world.settings.name})]
        return (ApiCall("RunInstances", {**machine, "TagSpecifications": made, **profile}),)

    def is_done(self, world: World) -> bool:
        return self._found(world) is not None

    def do(self, world: World) -> None:
        group = world.cloud.ensure_security_group()
        world.cloud.launch(
            LaunchRequest(self.image_id, self.zone, group, self.user_data, self.token, self.instance_tags)
        )

    def verify(self, world: World) -> None:
        budget = world.settings.instance.running_budget_seconds

        def running() -> bool:
            instance = self._found(world)
            if instance is not None and instance.state not in ("pending", "running"):
                raise Failed(f"{self.name} ({instance.id}) is {instance.state} instead of running", hint="fab logs")
            return instance is not None and instance.state == "running"

        world.wait(f"{self.name} running", running, budget)

    def _found(self, world: World) -> Instance | None:
        wanted = {tags.ENVIRONMENT: world.settings.name, tags.NAME: self.name}
        return next(iter(world.cloud.instances(tags=wanted)), None)


@dataclass(frozen=True, kw_only=True)
class TerminateInstance(Step):
    """Terminate an instance that no data volume is attached to."""

    instance: Instance
    verb: ClassVar[str] = "terminate"
    calls: ClassVar[tuple[str, ...]] = ("TerminateInstances",)

    @property
    def title(self) -> str:
        return f"terminate {self.instance.name} ({self.instance.id})"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        return (ApiCall("TerminateInstances", {"InstanceIds": [self.instance.id]}),)

    def is_done(self, world: World) -> bool:
        return not world.cloud.instances(ids=[self.instance.id])

    def do(self, world: World) -> None:
        roles = [data.role for data in layout.VOLUMES]
        volumes = world.cloud.volumes(tags={tags.ENVIRONMENT: world.settings.name})
        held = [v.id for v in volumes if v.tags.get(tags.ROLE) in roles and v.attached_to(self.instance.id)]
        if held:
            raise Refused(f"{self.title}: data volumes are still attached: {', '.join(held)}", hint="fab detach")
        world.cloud.terminate(self.instance.id)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), world.settings.instance.running_budget_seconds)


@dataclass(frozen=True, kw_only=True)
class StopInstance(Step):
    """Stop an instance through EC2, so that nothing on it can write any more; force it when its budget is used up.

    EC2 asks the machine to shut down, and cuts its power only after some minutes or when it is told to: a machine
    that can still end in order writes back what it holds.
    """

    instance: Instance
    budget: float
    verb: ClassVar[str] = "stop-instance"
    calls: ClassVar[tuple[str, ...]] = ("StopInstances",)

    @property
    def title(self) -> str:
        return f"stop {self.instance.name} ({self.instance.id}) through EC2, by force after {self.budget:.0f} s"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        return (ApiCall("StopInstances", {"InstanceIds": [self.instance.id]}),)

    def is_done(self, world: World) -> bool:
        return agreed(world, lambda: self._has_stopped(world))

    def do(self, world: World) -> str:
        world.cloud.stop(self.instance.id)
        try:
            world.wait(self.title, lambda: self._has_stopped(world), self.budget)
        except Failed:
            world.cloud.stop(self.instance.id, force=True)
            return "it did not stop by itself: its power was cut"
        return "it shut down in order"

    def verify(self, world: World) -> None:
        world.wait(f"{self.title}: stopped", lambda: self.is_done(world), self.budget)

    def _has_stopped(self, world: World) -> bool:
        found = looked_up(world, lambda: world.cloud.instances(ids=[self.instance.id]))
        return not found or found[0].state == "stopped"


@dataclass(frozen=True, kw_only=True)
class CreateVolume(Step):
    """Create a blank data volume of the node, tagged as blank until it is formatted."""

    node: str
    role: str
    label: str
    zone: str
    size_gib: int
    type: str
    encrypted: bool
    token: str
    verb: ClassVar[str] = "create"
    calls: ClassVar[tuple[str, ...]] = ("CreateVolume",)

    @property
    def title(self) -> str:
        return f"create a blank {self.size_gib} GiB {self.type} volume for {self.label} in {self.zone}"

    def is_done(self, world: World) -> bool:
        volume = self._found(world)
        return volume is not None and volume.state in ("available", "in-use")

    def do(self, world: World) -> None:
        wanted = {
            tags.NAME: f"{self.node} {self.label}",
            tags.ENVIRONMENT: world.settings.name,
            tags.NODE: self.node,
            tags.ROLE: self.role,
            tags.BLANK: "yes",
        }
        if self._found(world) is None:
            world.cloud.create_volume(
                VolumeRequest(self.zone, self.size_gib, self.type, self.encrypted, self.token, wanted)
            )

    def verify(self, world: World) -> None:
        world.wait(f"{self.title}: available", lambda: self.is_done(world), VOLUME_BUDGET)

    def _found(self, world: World) -> Volume | None:
        wanted = {tags.ENVIRONMENT: world.settings.name, tags.NODE: self.node, tags.ROLE: self.role}
        return next(iter(world.cloud.volumes(tags=wanted)), None)


@dataclass(frozen=True, kw_only=True)
class AllocateAddress(Step):
    """Allocate the node's Elastic IP."""

    node: str
    verb: ClassVar[str] = "allocate"
    calls: ClassVar[tuple[str, ...]] = ("AllocateAddress",)

    @property
    def title(self) -> str:
        return f"allocate an Elastic IP for node {self.node}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        made = tagged("elastic-ip", self._tags(world))
        return (ApiCall("AllocateAddress", {"Domain": "vpc", "TagSpecifications": made}),)

    def is_done(self, world: World) -> bool:
        return node_address(world, self.node) is not None

    def do(self, world: World) -> None:
        world.cloud.allocate_address(self._tags(world))

    def _tags(self, world: World) -> Mapping[str, str]:
        return {tags.NAME: self.node, tags.ENVIRONMENT: world.settings.name, tags.NODE: self.node}


@dataclass(frozen=True, kw_only=True)
class AssociateAddress(Step):
    """Give the node's Elastic IP to an instance, away from whoever holds it."""

    address: ElasticIp
    instance: Instance
    verb: ClassVar[str] = "associate"
    calls: ClassVar[tuple[str, ...]] = ("AssociateAddress",)

    @property
    def title(self) -> str:
        return f"Elastic IP {self.address.public_ip} to {self.instance.name}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        wanted = {"AllocationId": self.address.allocation_id, "InstanceId": self.instance.id}
        return (ApiCall("AssociateAddress", {**wanted, "AllowReassociation": True}),)

    def is_done(self, world: World) -> bool:
        wanted = self.address.allocation_id
        return any(
            address.allocation_id == wanted and address.instance_id == self.instance.id
            for address in world.cloud.addresses()
        )

    def do(self, world: World) -> None:
        world.cloud.associate(self.address.allocation_id, self.instance.id)
        # With its Elastic IP the machine loses the public address it had, and connections to that one hang. A private
        # address stays, and other lanes may be in the middle of a command there.
        if world.settings.ssh.address == "public":
            world.hosts.forget(self.instance)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), VOLUME_BUDGET)


@dataclass(frozen=True, kw_only=True)
class Tag(Step):
    """Set and remove tags on a resource. ``what`` names it for people, ``why`` says what the tags mean."""

    resource_id: str
    what: str
    why: str
    set_tags: Mapping[str, str]
    remove: tuple[str, ...] = ()
    verb: ClassVar[str] = "tag"
    calls: ClassVar[tuple[str, ...]] = ("CreateTags", "DeleteTags")

    @property
    def key(self) -> str:
        return f"{self.lane}/{self.verb} {self.resource_id}"

    @property
    def title(self) -> str:
        return f"tag {self.what} ({self.resource_id}): {self.why}"

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        named = {"Resources": [self.resource_id]}
        made = ApiCall("CreateTags", {**named, "Tags": [{"Key": k, "Value": v} for k, v in self.set_tags.items()]})
        gone = ApiCall("DeleteTags", {**named, "Tags": [{"Key": key} for key in self.remove]})
        return (made, gone) if self.remove else (made,)

    def is_done(self, world: World) -> bool:
        found = self._tags(world)
        return all(found.get(key) == value for key, value in self.set_tags.items()) and not set(self.remove) & set(
            found
        )

    def do(self, world: World) -> None:
        world.cloud.tag(self.resource_id, self.set_tags)
        if self.remove:
            world.cloud.untag(self.resource_id, self.remove)

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), VOLUME_BUDGET)

    def _tags(self, world: World) -> Mapping[str, str]:
        if self.resource_id.startswith("vol-"):
            return the_volume(world, self.resource_id).tags
        if self.resource_id.startswith("eipalloc-"):
            return next((a.tags for a in world.cloud.addresses() if a.allocation_id == self.resource_id), {})
        return the_instance(world, self.resource_id).tags


def node_address(world: World, node: str) -> ElasticIp | None:
    """Return the node's Elastic IP, or None.

    :raises Refused: when two addresses claim the node.
    """
    found = world.cloud.addresses(tags={tags.ENVIRONMENT: world.settings.name, tags.NODE: node})
    if len(found) > 1:
        raise Refused(
            f"{len(found)} Elastic IPs are tagged for node {node}",
            reasons=[f"{address.public_ip} ({address.allocation_id})" for address in found],
            hint=f"remove the tag {tags.NODE} from all but one",
        )
    return found[0] if found else None
