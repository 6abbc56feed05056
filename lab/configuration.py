"""The ``[lab]`` table of an environment: which network, which port, which machines, how slow EC2 is."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from transcoder.errors import BadSettings

INSTANCES = range(10, 120)
"""Host numbers of the bridge's network that instances get."""
ELASTIC = range(160, 251)
"""Host numbers of the lab's network that are Elastic IPs and public addresses."""
ZONE_PREFIX = {1: 26, 2: 27}
"""How long a zone's prefix is, by the number of regions: the bridge's /25 is parted equally among all zones."""


class Table(BaseModel):
    """A table of an environment file: no unknown key, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Latencies(Table):
    """Seconds that a state change takes, on top of what the machine itself needs."""

    pending_to_running: float = Field(default=0.0, ge=0)
    status_checks: float = Field(default=0.0, ge=0)
    """From ``running`` until DescribeInstanceStatus says ``ok``."""
    attach: float = Field(default=0.0, ge=0)
    detach: float = Field(default=0.0, ge=0)
    guest_device: float = Field(default=0.0, ge=0)
    """From the API's ``attached`` until the guest sees the device."""
    volume_create: float = Field(default=0.0, ge=0)
    snapshot: float = Field(default=0.0, ge=0)
    """From CreateSnapshot or CopySnapshot until ``completed``, where all blocks are new."""
    snapshot_incremental: float = Field(default=0.0, ge=0)
    """The same where an earlier snapshot of the volume has most of the blocks already."""
    stop: float = Field(default=0.0, ge=0)
    terminate: float = Field(default=0.0, ge=0)
    associate_address: float = Field(default=0.0, ge=0)
    """From the API's answer until packets take the new way."""


PROFILES: Mapping[str, Latencies] = {
    # Long enough that a waiter that does not wait is found out, short enough for tests.
    "fast": Latencies(
        pending_to_running=0.3,
        status_checks=0.5,
        attach=0.5,
        detach=0.5,
        volume_create=0.3,
        snapshot=0.5,
        snapshot_incremental=0.3,
        stop=0.2,
        terminate=0.2,
        associate_address=0.3,
        guest_device=0.2,
    ),
    # From published figures: attach and detach "most 1-4 s" (aws-ebs-csi-driver), create median 1.5 s, pending to
    # running 17 s (daemonology), status checks within minutes; a stop is 2-5 min where the guest is slow. A snapshot
    # takes as long as its changed blocks; hours for a large first one, so these two are for volumes of the lab's size.
    "ec2": Latencies(
        pending_to_running=17.0,
        status_checks=60.0,
        attach=2.0,
        detach=2.0,
        volume_create=1.5,
        snapshot=30.0,
        snapshot_incremental=5.0,
        stop=30.0,
        terminate=20.0,
        associate_address=2.0,
        guest_device=0.5,
    ),
}
"""The profiles that need no table in the file."""


class LabConfiguration(Table):
    """One lab. Several can be up at once when names, networks and ports differ.

    Addresses inside ``network`` N.0/24: bridge N.1/25, instances N.10-N.119, Elastic IPs N.160-N.250, the link
    between host and namespace N.253/N.254.
    """

    name: str = Field(default="lab", pattern=r"^[a-z][a-z0-9]{0,7}$")
    """Names the namespace, the state directory and the network devices (15 characters is the kernel's limit)."""
    network: str = "172.31.210.0/24"
    endpoint_port: int = Field(default=5620, ge=1, le=65535)
    machines: Literal["uml", "none"] = "uml"
    """``none``: no machines, instances and volumes are state only; needs no root, no bridge."""
    machine_memory_mb: int = Field(default=512, ge=128)
    boot_budget_seconds: float = Field(default=120.0, gt=0)
    """How long a machine may take until its sshd answers."""
    stop_budget_seconds: float = Field(default=30.0, gt=0)
    """How long a guest may take to shut down before its power is cut."""
    region: str = "us-east-1"
    zones: tuple[str, str] = ("us-east-1a", "us-east-1b")
    second_region: str = Field(default="", pattern=r"^([a-z]{2}(-[a-z]+)+-[0-9])?$")
    """Another region of the same account, at the same endpoint and on the same network; empty: there is none.

    Its zones are a and b. It starts without an image: one is copied there, as on EC2.
    """
    stock_images: tuple[str, ...] = Field(default=("ubuntu-18.04", "debian-12"), min_length=1)
    """Names known to ``lab/base_image.py``; the first that can be made here becomes the stock AMI."""
    key_name: str = "lab"
    iam: bool = False
    """Let the policies of ``templates/iam`` decide over every call, but for the root's; see `lab.iam`."""
    latency: str = "fast"
    latencies_by_profile: Mapping[str, Latencies] = Field(default_factory=dict, alias="latencies")
    state_root: Path = Path("/var/lib/transcoder-lab")
    cache_directory: Path = Path("/var/cache/transcoder-lab")
    """Shared by all labs: stock images, certificate authority, downloads."""

    @field_validator("network")
    @classmethod
    def _is_a_slash_24(cls, value: str) -> str:
        if ipaddress.IPv4Network(value).prefixlen != 24:
            raise ValueError("must be an IPv4 network of 256 addresses, like 172.31.210.0/24")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.latency not in self.profiles:
            known = ", ".join(sorted(self.profiles))
            raise ValueError(f"latency {self.latency!r} is not a profile; there are: {known}")
        strangers = [zone for zone in self.zones if not zone.startswith(self.region)]
        if strangers or len(set(self.zones)) != len(self.zones):
            raise ValueError(f"zones {', '.join(self.zones)} must be two different zones of region {self.region}")
        if self.second_region == self.region:
            raise ValueError(f"second_region {self.second_region} must be another region than the first")
        return self

    @property
    def profiles(self) -> Mapping[str, Latencies]:
        """The latency profiles: the built-in ones and the file's, which win."""
        return {**PROFILES, **self.latencies_by_profile}

    @property
    def latencies(self) -> Latencies:
        """The latencies of the chosen profile."""
        return self.profiles[self.latency]

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions: one, or two."""
        return (self.region, self.second_region) if self.second_region else (self.region,)

    def zones_of(self, region: str) -> tuple[str, ...]:
        """Return the zones of one of the lab's regions."""
        return self.zones if region == self.region else (f"{region}a", f"{region}b")

    @property
    def state_directory(self) -> Path:
        """Everything this lab writes while it is up; gone after `lab.down`."""
        return self.state_root / self.name

    @property
    def run_directory(self) -> Path:
        """Sockets and process directories of the machines."""
        return self.state_directory / "run"

    @property
    def log_directory(self) -> Path:
        """Consoles of the machines."""
        return self.state_directory / "log"

    @property
    def key_file(self) -> Path:
        """The operator's private key; its public half is the key pair `key_name`."""
        return self.state_directory / "operator_ed25519"

    @property
    def daemon_file(self) -> Path:
        """Written when the lab is ready: pid, port, mode, stock image, key file."""
        return self.state_directory / "daemon.json"

    @property
    def endpoint_url(self) -> str:
        """Where AWS clients on this machine talk to."""
        return f"http://127.0.0.1:{self.endpoint_port}"

    @property
    def gateway(self) -> str:
        """The bridge's address: the machines' gateway, resolver and AWS endpoint."""
        return self.address(1)

    @property
    def bridge_network(self) -> ipaddress.IPv4Network:
        """The network on the bridge: the lower half of `network`."""
        return next(ipaddress.IPv4Network(self.network).subnets(new_prefix=25))

    def address(self, host: int) -> str:
        """Return the address with this host number inside `network`."""
        return str(ipaddress.IPv4Network(self.network)[host])

    def zone_network(self, zone: str) -> ipaddress.IPv4Network:
        """Return the part of the bridge's network that a zone's subnet has."""
        zones = [each for region in self.regions for each in self.zones_of(region)]
        parts = self.bridge_network.subnets(new_prefix=ZONE_PREFIX[len(self.regions)])
        return list(parts)[zones.index(zone)]


def parse(table: Mapping[str, Any], source: str) -> LabConfiguration:
    """Check a ``[lab]`` table.

    :param source: the file it came from, for the message.
    :raises BadSettings: naming every wrong key with what was found and what is allowed.
    """
    try:
        return LabConfiguration.model_validate(dict(table))
    except ValidationError as error:
        reasons = [_reason(dict(item)) for item in error.errors(include_url=False)]
        raise BadSettings(f"{source}: {len(reasons)} wrong setting(s) in [lab]", reasons=reasons) from error


def _reason(item: dict[str, Any]) -> str:
    key = ".".join(["lab", *(str(part) for part in item["loc"])])
    if item["type"] == "extra_forbidden":
        allowed = Latencies if "latencies" in item["loc"] else LabConfiguration
        return f"{key}: no such key; allowed here: {', '.join(sorted(_keys(allowed)))}"
    return f"{key}: found {item['input']!r}; {item['msg']}" if item["loc"] else f"lab: {item['msg']}"


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
