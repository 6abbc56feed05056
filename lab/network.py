"""The network of a lab: a namespace with a bridge, joined to the host by one veth pair.

::

    host --- <name>-host .253 ======= uplink .254 --- [namespace <name>] --- guests .1/25 --- one tap a machine
                                                       DNS, metadata, AWS endpoints, NAT, security groups

Address plan inside the /24 ``N.0``: bridge N.1, machines N.10-N.119, Elastic IPs N.160-N.250, link N.253 / N.254.
A route of type ``unreachable`` lies under the route to the namespace, so that no packet for the lab's range ever leaves
the host by the default route when the namespace is gone.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from lab import host_forwarding
from lab.command import check_tools, run, succeeds
from lab.firewall import BRIDGE, UPLINK, Guest, NetworkState, Rule, render_ruleset
from lab.namespace import NAMESPACES, call_inside
from transcoder.errors import Failed, Refused

__all__ = ["AddressPlan", "Guest", "Network", "NetworkState", "Rule"]

METADATA_ADDRESS = "169.254.169.254"
# EC2's resolver and time service, beside the metadata service, on every instance.
LINK_LOCAL_ADDRESSES = (METADATA_ADDRESS, "169.254.169.253", "169.254.169.123")
# The worst metric there is: used only when no other route to the range is left.
LAST_METRIC = "4294967295"
RESOLVER_START_SECONDS = 5.0
TOOLS = ("ip", "nft", "dnsmasq", "nsenter")
RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


@dataclass(frozen=True)
class AddressPlan:
    """Who has which address in the lab's /24."""

    network: IPv4Network

    @classmethod
    def of(cls, cidr: str) -> AddressPlan:
        """Read ``N.0/24``.

        :raises Refused: not an IPv4 /24.
        """
        try:
            network = IPv4Network(cidr)
        except ValueError as error:
            raise Refused(f"the lab's network {cidr!r} is no IPv4 network: {error}") from error
        if network.prefixlen != 24:
            raise Refused(f"the lab's network {cidr} must be a /24", hint="for example 172.31.210.0/24")
        return cls(network)

    def address(self, last: int) -> str:
        """Return N.last."""
        return str(self.network[last])

    @property
    def gateway(self) -> str:
        """The bridge: gateway, resolver and AWS endpoints of the machines."""
        return self.address(1)

    @property
    def host_side(self) -> str:
        """The host's end of the link to the namespace."""
        return self.address(253)

    @property
    def namespace_side(self) -> str:
        """The namespace's end of the link."""
        return self.address(254)

    @property
    def subnet(self) -> str:
        """The machines' subnet, N.0/25."""
        return f"{self.network.network_address}/25"

    @property
    def elastic_range(self) -> str:
        """The Elastic IPs as nft writes a range."""
        return f"{self.address(160)}-{self.address(250)}"


class Network:
    """The network of one lab. Every method needs root.

    :param name: of the namespace, and the prefix of the host's device: at most ten of a-z, 0-9 and dash.
    :param cidr: an IPv4 /24 that is the lab's alone.
    :param run_directory: for the resolver's files.
    """

    def __init__(self, name: str, cidr: str, run_directory: Path) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,9}", name):
            raise Refused(f"{name!r} cannot be the name of a lab", hint="at most ten of a-z, 0-9 and dash")
        self.name = name
        self.plan = AddressPlan.of(cidr)
        self.gateway = self.plan.gateway
        self.exec_prefix = ["nsenter", f"--net={NAMESPACES / name}", "--"]
        self._run_directory = run_directory
        self._host_device = f"{name}-host"
        self._resolver: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        """Make the network, after removing what an earlier crash left of it.

        :raises Refused: no root, a tool is missing, the range or the namespace's name is somebody else's.
        """
        check_tools(TOOLS)
        if os.geteuid() != 0:
            raise Refused("the lab's network needs root", hint="run as root, or with sudo")
        resolvers = host_resolvers()
        self._check_range_is_free()
        self.down()
        self._run_directory.mkdir(parents=True, exist_ok=True)
        self._join_namespace()
        self._make_bridge()
        call_inside(self.name, _set_kernel_switches)
        host_forwarding.enable(self.name, self._host_device, str(self.plan.network))
        self.apply(NetworkState((), ()))
        self._start_resolver(resolvers)

    def down(self) -> None:
        """Remove the network; what is not there is passed over. Machines in it must be gone already."""
        self._stop_resolver()
        if self._exists():
            self._check_namespace_is_ours()
            run("ip", "netns", "delete", self.name)
        if succeeds("ip", "link", "show", "dev", self._host_device):
            run("ip", "link", "delete", "dev", self._host_device)
        unreachable = ("unreachable", str(self.plan.network), "metric", LAST_METRIC)
        left = run("ip", "route", "show", "type", "unreachable", "exact", str(self.plan.network)).strip()
        # Another lab that has the same range keeps its safety net.
        if left and not self._foreign_routes():
            run("ip", "route", "delete", *unreachable)
        host_forwarding.disable(self.name)

    def create_tap(self, instance_id: str) -> str:
        """Make the tap of a machine, on the bridge; one that a crash left is made anew. Returns its name."""
        tap = tap_name(instance_id)
        self.delete_tap(tap)
        self._ip("tuntap", "add", "dev", tap, "mode", "tap")
        self._ip("link", "set", "dev", tap, "master", BRIDGE, "up")
        # A machine may call itself by its own Elastic IP: such a frame leaves the bridge by the port it came in.
        self._ip("link", "set", "dev", tap, "type", "bridge_slave", "hairpin", "on")
        return tap

    def delete_tap(self, tap: str) -> None:
        """Remove a tap, if it is there."""
        if succeeds("ip", "-netns", self.name, "link", "show", "dev", tap):
            self._ip("link", "delete", "dev", tap)

    def apply(self, state: NetworkState) -> None:
        """Put security groups and Elastic IPs in force, all at once: nobody sees a half-way state.

        :raises Failed: nft refused the rules; the old ones stay.
        """
        run(*self.exec_prefix, "nft", "-f", "-", stdin=render_ruleset(state, self.plan.elastic_range))

    def listen(self, address: str, port: int) -> socket.socket:
        """Return a listening TCP socket that lives in the namespace although the caller does not.

        :raises OSError: the address is not the namespace's, or the port is taken.
        """
        return call_inside(self.name, lambda: socket.create_server((address, port), backlog=128))

    def bind_datagrams(self, address: str, port: int) -> socket.socket:
        """Return a bound UDP socket that lives in the namespace, for services such as time."""

        def bound() -> socket.socket:
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((address, port))
            return server

        return call_inside(self.name, bound)

    def _exists(self) -> bool:
        return (NAMESPACES / self.name).exists()

    def _ip(self, *arguments: str) -> None:
        run("ip", "-netns", self.name, *arguments)

    def _check_namespace_is_ours(self) -> None:
        links = run("ip", "-netns", self.name, "-oneline", "link", "show").splitlines()
        ours = any(f" {device}" in line for line in links for device in (f"{BRIDGE}:", f"{UPLINK}@"))
        if not ours and len(links) > 1:
            hint = f"choose another lab name in the settings, or remove it: ip netns delete {self.name}"
            raise Refused(f"the network namespace {self.name} exists and is not a lab's", hint=hint)

    def _check_range_is_free(self) -> None:
        taken = self._foreign_routes()
        if taken:
            hint = "choose another /24 for the lab in the settings"
            raise Refused(f"this machine routes {self.plan.network} elsewhere already", reasons=taken, hint=hint)

    def _foreign_routes(self) -> list[str]:
        """Return the host's routes into the range that are neither of our device nor the ``unreachable`` one."""
        routes = run("ip", "route", "show", "root", str(self.plan.network)).splitlines()
        ours = f" dev {self._host_device} "
        return [route.strip() for route in routes if not route.startswith("unreachable") and ours not in f"{route} "]

    def _join_namespace(self) -> None:
        plan = self.plan
        run("ip", "route", "add", "unreachable", str(plan.network), "metric", LAST_METRIC)
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self._host_device, "type", "veth", "peer", "name", UPLINK, "netns", self.name)
        run("ip", "address", "add", f"{plan.host_side}/30", "dev", self._host_device)
        run("ip", "link", "set", "dev", self._host_device, "up")
        self._ip("link", "set", "dev", "lo", "up")
        self._ip("address", "add", f"{plan.namespace_side}/30", "dev", UPLINK)
        self._ip("link", "set", "dev", UPLINK, "up")
        self._ip("route", "add", "default", "via", plan.host_side)
        # A public address that nobody holds must not bounce between host and namespace.
        self._ip("route", "add", "unreachable", str(plan.network), "metric", LAST_METRIC)
        run("ip", "route", "add", str(plan.network), "via", plan.namespace_side, "dev", self._host_device)

    def _make_bridge(self) -> None:
        self._ip("link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
        self._ip("address", "add", f"{self.gateway}/25", "dev", BRIDGE)
        for address in LINK_LOCAL_ADDRESSES:
            self._ip("address", "add", f"{address}/32", "dev", BRIDGE)
        self._ip("link", "set", "dev", BRIDGE, "up")

    @property
    def _resolver_files(self) -> tuple[Path, Path]:
        return self._run_directory / "dnsmasq.conf", self._run_directory / "dnsmasq.pid"

    def _start_resolver(self, resolvers: list[str]) -> None:
        configuration, pid_file = self._resolver_files
        configuration.write_text(render_resolver(self.plan, resolvers, pid_file))
        arguments = [*self.exec_prefix, "dnsmasq", "--keep-in-foreground", f"--conf-file={configuration}"]
        # A child rather than a daemon: its end is collected here also where process 1 does not collect orphans.
        with (self._run_directory / "dnsmasq.log").open("wb") as log:
            self._resolver = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + RESOLVER_START_SECONDS
        while not pid_file.exists():
            if self._resolver.poll() is not None or time.monotonic() > deadline:
                said = (self._run_directory / "dnsmasq.log").read_text().strip()
                raise Failed(f"dnsmasq did not start: {said or 'it said nothing'}")
            time.sleep(0.01)

    def _stop_resolver(self) -> None:
        configuration, pid_file = self._resolver_files
        if pid_file.exists():
            pid = int(pid_file.read_text().strip() or "0")
            command_line = Path(f"/proc/{pid}/cmdline")
            # The pid may be another program's by now: only a dnsmasq with our configuration is ours to end.
            if command_line.exists() and f"--conf-file={configuration}".encode() in command_line.read_bytes():
                os.kill(pid, signal.SIGKILL)
            pid_file.unlink()
        if self._resolver is not None:
            self._resolver.kill()
            self._resolver.wait()
            self._resolver = None


def tap_name(instance_id: str) -> str:
    """Return a device name of at most 15 characters (IFNAMSIZ) for an instance."""
    return "tap" + instance_id.removeprefix("i-")[-12:]


def render_resolver(plan: AddressPlan, resolvers: list[str], pid_file: Path) -> str:
    """Return the configuration of dnsmasq: AWS is the lab, instances have EC2's names, the rest is the host's."""
    lines = [
        *("no-resolv", "no-hosts", "bind-interfaces", "cache-size=1000", f"pid-file={pid_file}"),
        *(f"listen-address={address}" for address in (plan.gateway, "169.254.169.253")),
        # amazonaws.com as a whole: an endpoint that the lab does not serve must not be the real one.
        f"address=/amazonaws.com/{plan.gateway}",
        f"synth-domain=ec2.internal,{plan.network},ip-",
        *(f"server={resolver}" for resolver in resolvers),
    ]
    return "\n".join(lines) + "\n"


def host_resolvers(files: tuple[Path, ...] = RESOLVER_FILES) -> list[str]:
    """Return the host's name servers that a namespace can reach.

    :raises Refused: there are only ones on the loopback, which is the host's own.
    """
    for path in files:
        servers = parse_resolvers(path.read_text()) if path.exists() else []
        if servers:
            return servers
    reason = "the host's name servers are all on its loopback, where the lab's machines cannot reach them"
    raise Refused(reason, hint="name a reachable server in /etc/resolv.conf")


def parse_resolvers(text: str) -> list[str]:
    """Return the IPv4 name servers of a resolv.conf that are not on the loopback."""
    words = [line.split() for line in text.splitlines()]
    servers = [line[1] for line in words if line[:1] == ["nameserver"] and len(line) > 1]
    return [server for server in servers if ":" not in server and not server.startswith("127.")]


def _set_kernel_switches() -> None:
    """Route, let bridged frames pass the firewall, and send no redirects; called inside the namespace."""
    switches = Path("/proc/sys/net")
    bridge = switches / "bridge" / "bridge-nf-call-iptables"
    if not bridge.exists():
        run("modprobe", "br_netfilter")
    for switch, value in (
        (switches / "ipv4" / "ip_forward", "1"),
        (bridge, "1"),
        (switches / "ipv4" / "conf" / "all" / "send_redirects", "0"),
        (switches / "ipv4" / "conf" / BRIDGE / "send_redirects", "0"),
    ):
        switch.write_text(value)
