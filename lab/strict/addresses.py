"""Elastic IPs: who may take one over, and when it may go."""

from __future__ import annotations

from typing import Any

from lab.hooks import ec2_error


def check_associate(address: Any, eni: Any, instance: Any | None, *, reassociation: bool) -> None:
    """Refuse to move an address that is associated elsewhere when the request says not to.

    In a VPC reassociation is the default; ``AllowReassociation=False`` asks for the refusal.
    """
    if instance is not None and instance.state not in ("running", "stopped", "stopping"):
        raise ec2_error(
            "InvalidInstanceID",
            f"The {instance.state} instance '{instance.id}' is not in a valid state for this operation.",
        )
    elsewhere = address.eni is not None and address.eni.id != eni.id
    if elsewhere and not reassociation:
        raise ec2_error(
            "Resource.AlreadyAssociated",
            f"resource {address.allocation_id} is already associated with associate-id {address.association_id}",
        )


def check_release(address: Any) -> None:
    """Refuse to give up an address that somebody holds."""
    if address.association_id or address.eni is not None:
        raise ec2_error("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")


def check_group_is_unused(backend: Any, group: Any) -> None:
    """Refuse to delete a security group that a network interface has."""
    if any(group in interface.group_set for interface in backend.enis.values()):
        raise ec2_error("DependencyViolation", f"resource {group.id} has a dependent object")


def check_any_free(free: list[str]) -> None:
    """Refuse when every address of the lab is taken."""
    if not free:
        raise ec2_error("AddressLimitExceeded", "The maximum number of addresses has been reached.")
