"""Elastic IPs and public addresses come from the lab's own range, and really lead to the machine."""

from __future__ import annotations

from typing import Any

from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.security_groups import SecurityGroupBackend

from lab.cloud import Cloud
from lab.configuration import ELASTIC
from lab.hooks import Hooks, ec2_error
from lab.reconcile.wiring import Wires
from lab.strict import addresses as strict


class Addresses:
    """Wraps Elastic IPs."""

    def __init__(self, cloud: Cloud, wires: Wires) -> None:
        self.cloud = cloud
        self.wires = wires

    def install(self, hooks: Hooks) -> None:
        """Wrap moto's models."""
        for name in ("allocate_address", "associate_address", "disassociate_address", "release_address"):
            hooks.wrap(ElasticAddressBackend, name, getattr(self, name))
        hooks.wrap(SecurityGroupBackend, "delete_security_group", delete_group)
        hooks.replace(NetworkInterface, "check_auto_public_ip", self._auto_public_ip())

    def free(self) -> list[str]:
        """Return the lab's public addresses that nobody has, lowest first."""
        taken = {address.public_ip for backend in self.cloud.backends for address in backend.addresses}
        taken |= {eni.public_ip for backend in self.cloud.backends for eni in backend.enis.values() if eni.public_ip}
        return [each for each in map(self.cloud.configuration.address, ELASTIC) if each not in taken]

    def allocate_address(
        self, original: Any, backend: Any, domain: str, address: str | None = None, **more: Any
    ) -> Any:
        """Take the lowest free address, or the one asked for."""
        free = self.free()
        strict.check_any_free(free)
        if address and address not in free:
            raise ec2_error("InvalidAddress.NotFound", f"Address {address} is not free in this lab")
        return original(backend, domain, address=address or free[0], **more)

    def associate_address(self, original: Any, backend: Any, **wanted: Any) -> Any:
        """Move the address, away from whoever has it unless the request forbids that."""
        address = self._find(backend, wanted.get("address"), wanted.get("allocation_id"))
        instance: Any = wanted.get("instance")
        eni = wanted.get("eni") or instance.nics[0]
        allowed = str(self.cloud.parameters.get("AllowReassociation", True)).lower() != "false"
        strict.check_associate(address, eni, instance or eni.instance, reassociation=allowed)
        if address.eni is not None and address.eni.id == eni.id:
            return address
        for other in [address, *self._others(backend, eni)]:
            _let_go(other)
        wanted.update(instance=eni.instance, eni=eni, reassociate=True)
        associated = original(backend, **wanted)
        self._refresh_later()
        return associated

    def disassociate_address(self, original: Any, backend: Any, **which: Any) -> None:
        """Take the way to the machine away."""
        original(backend, **which)
        self._refresh_later()

    def release_address(self, original: Any, backend: Any, **which: Any) -> None:
        """Give an address up that nobody holds."""
        strict.check_release(self._find(backend, which.get("address"), which.get("allocation_id")))
        original(backend, **which)

    def _refresh_later(self) -> None:
        self.cloud.later("addresses", self.cloud.latencies.associate_address, self.wires.refresh_addresses)

    @staticmethod
    def _find(backend: Any, address: str | None, allocation_id: str | None) -> Any:
        return (backend.address_by_ip([address]) if address else backend.address_by_allocation([allocation_id]))[0]

    @staticmethod
    def _others(backend: Any, eni: Any) -> list[Any]:
        """Return the addresses that the interface has already: it keeps only the one that comes."""
        return [address for address in backend.addresses if address.eni is not None and address.eni.id == eni.id]

    def _auto_public_ip(self) -> Any:
        """Return the replacement for moto's random public address, which would lead out of this machine."""

        def check_auto_public_ip(nic: Any) -> None:
            if str(nic.public_ip_auto_assign).lower() == "true":
                free = self.free()
                strict.check_any_free(free)
                nic.public_ip = free[-1]

        return check_auto_public_ip


def delete_group(original: Any, backend: Any, name: str | None = None, group_id: str | None = None) -> Any:
    """Delete a security group that nobody has."""
    group = backend.get_security_group_from_id(group_id) if group_id else backend.get_security_group_from_name(name)
    if group is not None:
        strict.check_group_is_unused(backend, group)
    return original(backend, name, group_id)


def _let_go(address: Any) -> None:
    """Undo an association without giving the interface another public address."""
    if address.eni is not None:
        address.eni.public_ip = None
    address.eni = address.instance = address.association_id = None
