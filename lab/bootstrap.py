"""What an account has before anybody asks, in each region: a default VPC with one subnet a zone, the operator's key."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from lab.cloud import Cloud
from lab.command import run
from lab.configuration import INSTANCES
from transcoder.errors import Refused


class Bootstrap:
    """Builds it with moto's own models. The caller holds the lock."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def account(self, public_key: bytes) -> None:
        """Replace moto's default VPCs by ones that are the lab's bridge, and import the operator's key.

        :raises Refused: the second region does not have the zones that it should.
        """
        for backend in self.cloud.backends:
            self._check_zones(backend)
            self._region(backend, public_key)

    def _check_zones(self, backend: Any) -> None:
        wanted = self.cloud.configuration.zones_of(backend.region_name)
        known = [zone.name for zone in backend.describe_availability_zones()]
        if missing := [zone for zone in wanted if zone not in known]:
            raise Refused(
                f"region {backend.region_name} has no zone {', '.join(missing)}; it has {', '.join(known)}",
                hint="choose another region in [lab]",
            )

    def _region(self, backend: Any, public_key: bytes) -> None:
        configuration = self.cloud.configuration
        self._drop_default_vpc(backend)
        vpc = backend.create_vpc(configuration.network, is_default=True)
        backend.default_vpc = vpc
        for zone in configuration.zones_of(backend.region_name):
            subnet = backend.create_subnet(vpc.id, str(configuration.zone_network(zone)), availability_zone=zone)
            subnet.default_for_az = True
            subnet.map_public_ip_on_launch = False
            subnet._reserved_ips |= self._not_for_instances(subnet)
        backend.import_key_pair(configuration.key_name, public_key, {})

    @staticmethod
    def _drop_default_vpc(backend: Any) -> None:
        """Forget moto's default VPC: no machine of the lab can have its addresses."""
        backend.subnets.clear()
        for vpc_id in list(backend.vpcs):
            del backend.vpcs[vpc_id]
            backend.groups.pop(vpc_id, None)
        for owned in (backend.route_tables, backend.network_acls):
            owned.clear()

    def _not_for_instances(self, subnet: Any) -> set[Any]:
        """Return the subnet's addresses that instances do not get: the bridge's, and the top of the range."""
        network = ipaddress.IPv4Network(self.cloud.configuration.network)
        allowed = {network[host] for host in INSTANCES}
        return {host for host in subnet.cidr.hosts() if host not in allowed}


def ensure_key(path: Path) -> bytes:
    """Make the operator's ed25519 key where there is none, and return its public half in OpenSSH format."""
    public = path.with_name(path.name + ".pub")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(path))
    return public.read_bytes()
