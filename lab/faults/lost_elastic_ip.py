"""The node's Elastic IP is disassociated behind the operator's back: packets to it come to nobody."""

from __future__ import annotations

from typing import Any

from lab.faults.fault import Effect, Options
from lab.faults.options import Option
from lab.faults.site import Site
from transcoder.errors import Refused

SUMMARY = "the Elastic IP is taken from the instance behind the operator's back"
OPTIONS = (
    Option("instance", "a Name or an instance id; not needed when only one has an address", "instance", subject=True),
)


def on(site: Site, options: Options) -> Effect:
    """Take the address away."""
    with site.cloud.lock:
        address = _held_by(site, str(options.get("instance", "")))
        instance = address.eni.instance
        instance.ec2_backend.disassociate_address(address=address.public_ip)
    return Effect(f"{address.public_ip} is not {instance.id}'s any more", (address, instance))


def _held_by(site: Site, wanted: str) -> Any:
    backends = [site.instance(wanted).ec2_backend] if wanted else list(site.cloud.backends)
    held = [address for backend in backends for address in backend.addresses if address.eni is not None]
    found = [address for address in held if not wanted or address.eni.instance.id == site.instance(wanted).id]
    if len(found) != 1:
        shown = ", ".join(f"{address.eni.instance.id} {address.public_ip}" for address in held) or "nobody has one"
        hint = f"name the instance: {shown}"
        raise Refused(f"{len(found)} Elastic IPs are associated{f' with {wanted}' if wanted else ''}", hint=hint)
    return found[0]


def off(site: Site, _options: Options, memory: Any) -> str:
    """Give it back to the instance that had it, unless somebody has associated it since, or either is gone."""
    address, instance = memory
    if over(site, {}, memory):
        return f"{address.public_ip} has found its way without this"
    with site.cloud.lock:
        instance.ec2_backend.associate_address(instance=instance, address=address.public_ip)
    return f"{address.public_ip} is {instance.id}'s again"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the address is associated again, or it or the instance is no more."""
    address, instance = memory
    with site.cloud.lock:
        known = address in instance.ec2_backend.addresses
    return address.eni is not None or not known or instance.state == "terminated"
