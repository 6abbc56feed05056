"""`invoke launch`: an instance from our image, with its address; `transcoder.recipes.attach` adds the volumes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from transcoder import tags
from transcoder.actions.cloud import AllocateAddress, AssociateAddress, LaunchInstance
from transcoder.actions.guest import WaitReachable, has_booted
from transcoder.errors import Refused
from transcoder.model import Image, Instance
from transcoder.operate import Operation
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.settings import Settings
from transcoder.step import Plan, Skip, Step
from transcoder.world import World


@dataclass(frozen=True)
class Request:
    """Launch an instance called ``name`` (empty: the node's name) from ``image_id`` (empty: the newest).

    A ``spare`` gets neither volumes nor address: a machine for a node to be migrated to. ``unverified``: take an image
    also when nobody has tested it.
    """

    node: str
    name: str = ""
    image_id: str = ""
    spare: bool = False
    unverified: bool = False

    @property
    def instance_name(self) -> str:
        """The Name of the instance."""
        return self.name or self.node


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from."""

    settings: Settings
    request: Request
    node: NodeFacts
    instance: Instance | None
    reachable: bool
    image: Image | None
    token: str
    passed_over: Image | None = None
    """An image that is newer than the chosen one, and was not taken because it is not verified."""


def operation(request: Request) -> Operation:
    """Return the operation for `transcoder.operate`."""
    token = str(uuid.uuid4())  # one for all looks: the plan that was printed is the plan that is run
    return Operation("invoke launch", request.node, lambda world: plan(replace(observe(world, request), token=token)))


def observe(world: World, request: Request) -> Observed:
    """Look at EC2 and, where it runs already, at the machine."""
    node = observe_node(world, request.node)
    named = [i for i in node.instances if i.tags.get(tags.NAME) == request.instance_name]
    instance = named[0] if named else None
    image, passed_over = (None, None) if instance else _image(world, request)
    reachable, token = _reachable(world, instance), str(uuid.uuid4())
    return Observed(world.settings, request, node, instance, reachable, image, token, passed_over)


def _reachable(world: World, instance: Instance | None) -> bool:
    return instance is not None and instance.state == "running" and has_booted(world, instance)


def _image(world: World, request: Request) -> tuple[Image, Image | None]:
    """Return the image to launch from, and a newer one that was passed over."""
    if not request.image_id:
        return _newest(world, request.unverified)
    found = world.cloud.images(ids=[request.image_id])
    if not found:
        raise Refused(f"image {request.image_id} is not one of this account", hint="invoke bake-ami")
    if not found[0].verified and not request.unverified:
        raise _unverified(found[0])
    return found[0], None


def newest_image(world: World) -> Image:
    """Return the newest verified AMI that was baked for this environment.

    :raises Refused: when there is none, or none has been verified.
    """
    return _newest(world)[0]


def _newest(world: World, unverified: bool = False) -> tuple[Image, Image | None]:
    baked = [i for i in world.cloud.images(tags={tags.ENVIRONMENT: world.settings.name}) if i.state == "available"]
    if not baked:
        raise Refused(f"no image has been baked for environment {world.settings.name}", hint="invoke bake-ami")
    fit = [image for image in baked if image.verified or unverified]
    if not fit:
        raise _unverified(baked[-1])
    return fit[-1], baked[-1] if baked[-1] != fit[-1] else None


def _unverified(image: Image) -> Refused:
    anyway = f"to launch it all the same: invoke launch --ami {image.id} --unverified"
    return Refused(
        f"image {image.id} ({image.name}) has not been verified: nobody has seen it boot and looked at what it is",
        hint=f"invoke verify-ami --ami {image.id}; {anyway}",
    )


def plan(observed: Observed) -> Plan:
    """Return what is to be done next: launch, then reach it and give it the node's address.

    :raises Refused: when the node runs somewhere else.
    """
    _refuse(observed)
    name = observed.request.instance_name
    if observed.instance is None:
        assert observed.image is not None  # noqa: S101 - observed whenever there is no instance
        return _launch_plan(observed, observed.image)
    reach = WaitReachable(instance=observed.instance, skip=Skip.DONE if observed.reachable else None)
    if observed.request.spare:
        return Plan(f"launch {name}, a spare machine", (reach,))
    return Plan(f"launch {name} for node {observed.node.name}", (reach, *_address_steps(observed, observed.instance)))


def _refuse(observed: Observed) -> None:
    node, instance = observed.node, observed.instance
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", observed.request.instance_name):
        raise Refused(f"{observed.request.instance_name!r} is no host name: letters, digits and dashes, 63 at most")
    carrier = node.carrier
    elsewhere = carrier is not None and (instance is None or carrier.id != instance.id)
    if carrier is not None and elsewhere and not observed.request.spare:
        raise Refused(
            f"node {node.name} is at {carrier.name} ({carrier.id}, {carrier.state}) already",
            hint=f"fab migrate --node {node.name} --to new; or, for later: invoke launch --spare --name NAME",
        )
    if instance is not None and instance.state not in ("pending", "running"):
        raise Refused(f"{instance.name} ({instance.id}) exists and is {instance.state}", hint="fab status")


def _launch_plan(observed: Observed, image: Image) -> Plan:
    request, node = observed.request, observed.node
    zone = node.livepeer.zone if node.livepeer else observed.settings.aws.availability_zone
    extra = {tags.ROLE: "spare"} if request.spare else {tags.ROLE: "node", tags.NODE: node.name}
    launch = launch_step(observed.settings, request.instance_name, image.id, zone, observed.token, extra)
    steps: list[Step] = [launch]
    if not request.spare:
        known = Skip.DONE if node.address is not None else None
        steps.append(AllocateAddress(lane="address", node=node.name, skip=known))
    note = "then: wait until it is booted" + ("" if request.spare else ", associate the Elastic IP, attach the volumes")
    title = f"launch {request.instance_name} from {image.name} ({image.id})"
    return Plan(title, tuple(steps), (*_warnings(observed), note))


def _warnings(observed: Observed) -> tuple[str, ...]:
    """Return what an operator should know of the image."""
    image, newer = observed.image, observed.passed_over
    found = [f"{image.id} has not been verified"] if image is not None and not image.verified else []
    if newer is not None:
        found.append(f"{newer.id} is newer and not verified: invoke verify-ami --ami {newer.id}")
    return tuple(found)


def _address_steps(observed: Observed, instance: Instance) -> list[Step]:
    address = observed.node.address
    if address is None:
        return [AllocateAddress(lane="address", node=observed.node.name)]
    done = Skip.DONE if address.instance_id == instance.id else None
    return [AssociateAddress(lane="address", address=address, instance=instance, skip=done)]


def launch_step(
    settings: Settings, name: str, image_id: str, zone: str, token: str, extra: Mapping[str, str]
) -> LaunchInstance:
    """Return the step that launches an instance with our tags and its own host name."""
    return LaunchInstance(
        name=name,
        image_id=image_id,
        zone=zone,
        user_data=user_data(name, settings.node.domain),
        token=token,
        instance_tags={tags.NAME: name, tags.ENVIRONMENT: settings.name, **extra},
    )


def user_data(name: str, domain: str) -> str:
    """Return the script that cloud-init runs at the first boot: the host name, kept over reboots. No secret is in it.

    A shell script rather than cloud-config: it means the same to every implementation of the metadata's user-data.
    ``name`` and ``domain`` hold letters, digits, dots and dashes only (checked by the settings and by EC2's Name).
    """
    full = f"{name}.{domain}" if domain else name
    return "\n".join(
        [
            "#!/bin/sh",
            "set -eu",
            "mkdir -p /etc/cloud/cloud.cfg.d",
            "echo 'preserve_hostname: true' > /etc/cloud/cloud.cfg.d/99-transcoder-hostname.cfg",
            f"printf '%s\\n' '{full}' > /etc/hostname",
            f"hostname '{full}'",
            f"grep -q ' {full}$' /etc/hosts || printf '127.0.1.1 %s\\n' '{full}' >> /etc/hosts",
            "",
        ]
    )
