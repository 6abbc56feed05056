"""The network as moto's state wants it: who may reach which instance, and where each public address leads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lab.cloud import Cloud
from lab.drivers import Member, Wiring
from lab.firewall import Rule

ON_THE_NETWORK = frozenset({"pending", "running", "stopping", "shutting-down"})
EVERY_PORT = (0, 65535)
OPERATOR = 253
"""Host number of the lab's network that is the host itself, see `lab.network`."""


class Wires:
    """Keeps the driver's network equal to moto's security groups and addresses."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._applied = Wiring()
        self._ways: tuple[tuple[str, str], ...] = ()

    def refresh(self) -> None:
        """Apply what changed in security groups and instances. The caller holds the lock; costs nothing when equal."""
        wanted = Wiring(members(self.cloud.instances()), self._ways, self._severed())
        if wanted != self._applied:
            self.cloud.driver.apply(wanted)
            self._applied = wanted

    def _severed(self) -> tuple[tuple[str, str], ...]:
        """Return who cannot reach whom: the operator is the host's end of the link to the lab."""
        operator = self.cloud.configuration.address(OPERATOR)
        severed = self.cloud.seams.severed_instances()
        instances = [each for each in self.cloud.instances() if each.id in severed]
        return tuple((operator, each.private_ip) for each in instances if each.state in ON_THE_NETWORK)

    def refresh_addresses(self) -> None:
        """Let packets take the new way of public addresses. The caller holds the lock."""
        self._ways = ways(self.cloud.instances())
        self.refresh()


def members(instances: Iterable[Any]) -> tuple[Member, ...]:
    """Return those of the instances that are on the network, with what their security groups let in."""
    instances = [instance for instance in instances if instance.state in ON_THE_NETWORK]
    addresses: dict[str, list[str]] = {}
    for instance in instances:
        for group in groups_of(instance):
            addresses.setdefault(group.id, []).append(instance.private_ip)
    return tuple(
        Member(
            instance_id=instance.id,
            private_ip=instance.private_ip,
            mac=instance.nics[0].mac_address,
            ingress=ingress(groups_of(instance), addresses),
        )
        for instance in instances
    )


def groups_of(instance: Any) -> list[Any]:
    """Return the security groups of an instance's first network interface, ordered by id."""
    return sorted(instance.nics[0].group_set, key=lambda group: str(group.id))


def ingress(groups: Iterable[Any], addresses: dict[str, list[str]]) -> tuple[Rule, ...]:
    """Turn security groups into address rules; a group as a source becomes the addresses of its members.

    :param addresses: group id -> private addresses of its members.
    """
    found = {rule for group in groups for permission in group.ingress_rules for rule in _rules(permission, addresses)}
    return tuple(sorted(found, key=lambda rule: (rule.protocol, rule.from_port, rule.to_port, rule.source)))


def _rules(permission: Any, addresses: dict[str, list[str]]) -> Iterator[Rule]:
    ports = EVERY_PORT if permission.from_port is None else (int(permission.from_port), int(permission.to_port))
    for source in _sources(permission, addresses):
        yield Rule(str(permission.ip_protocol), *ports, source)


def _sources(permission: Any, addresses: dict[str, list[str]]) -> Iterator[str]:
    if cidr := permission.ip_range.get("CidrIp"):
        yield str(cidr)
    if group_id := permission.source_group.get("GroupId"):
        yield from (f"{address}/32" for address in addresses.get(group_id, []))


def ways(instances: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    """Return (public, private) of every public address that leads to an instance that is not terminated."""
    return tuple(
        sorted(
            (nic.public_ip, nic.private_ip_address)
            for instance in instances
            if instance.state != "terminated"
            for nic in instance.nics.values()
            if nic.public_ip
        )
    )
