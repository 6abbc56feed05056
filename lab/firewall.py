"""Security groups and Elastic IPs as nftables rules: pure text, applied by ``lab.network`` in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

BRIDGE = "guests"
UPLINK = "uplink"
TABLE = "lab"


@dataclass(frozen=True)
class Rule:
    """One ingress permission of a security group.

    :param protocol: ``tcp``, ``udp``, ``icmp`` or ``-1`` for everything.
    :param from_port: first port; for icmp the type, -1 for all types.
    :param to_port: last port; for icmp the code, -1 for all codes.
    :param source: a CIDR; an IPv6 one admits nobody, since the lab's machines have IPv4 only.
    """

    protocol: str
    from_port: int
    to_port: int
    source: str


@dataclass(frozen=True)
class Guest:
    """A machine as the network sees it."""

    instance_id: str
    private_ip: str
    mac: str
    tap: str
    ingress: tuple[Rule, ...]


@dataclass(frozen=True)
class NetworkState:
    """All that the network must do for the machines: who admits what, and which public address is whose.

    :param elastic: pairs of (public address, private address).
    :param severed: pairs of private addresses between which nothing passes, open connections included.
    """

    guests: tuple[Guest, ...]
    elastic: tuple[tuple[str, str], ...]
    severed: tuple[tuple[str, str], ...] = ()


def render_ruleset(state: NetworkState, elastic_range: str) -> str:
    """Return the input of ``nft -f`` that replaces the whole table of the namespace at once.

    Egress is open and the gateway's own services (DNS, metadata, endpoints) are not filtered.

    Frames between guests are bridged; they pass the forward chain because br_netfilter is on.

    :param elastic_range: ``first-last`` of the public addresses.
    """
    lines = [
        *_prologue(state),
        *_guest_chains(state),
        *_forward(state, elastic_range),
        *_translation(state, elastic_range),
    ]
    return "\n".join(lines) + "\n}\n"


def _prologue(state: NetworkState) -> Iterator[str]:
    # "add" makes "delete" work the first time; both and the new table are one transaction.
    yield f"add table ip {TABLE}"
    yield f"delete table ip {TABLE}"
    yield f"table ip {TABLE} {{"
    yield "  set associated {"
    yield "    type ipv4_addr . ipv4_addr"
    if state.elastic:
        pairs = ", ".join(f"{public} . {private}" for public, private in state.elastic)
        yield f"    elements = {{ {pairs} }}"
    yield "  }"


def _guest_chains(state: NetworkState) -> Iterator[str]:
    for guest in state.guests:
        yield f"  chain {chain_name(guest)} {{"
        yield from (f"    {line}" for rule in guest.ingress for line in render_rule(rule))
        yield "    drop"
        yield "  }"


def chain_name(guest: Guest) -> str:
    """Return the guest's chain; nft identifiers have no dash."""
    return "to_" + guest.instance_id.replace("-", "_")


def render_rule(rule: Rule) -> tuple[str, ...]:
    """Return the nft rule of a permission: one line, or none when it cannot match IPv4.

    :raises ValueError: the source is no CIDR, or the protocol is unknown.
    """
    source = ip_network(rule.source, strict=False)
    if source.version != 4:
        return ()
    matches = [] if source.prefixlen == 0 else [f"ip saddr {source}"]
    return (" ".join([*matches, *_protocol_match(rule), "accept"]),)


def _protocol_match(rule: Rule) -> list[str]:
    if rule.protocol == "-1":
        return []
    if rule.protocol == "icmp":
        return _icmp_match(rule)
    if rule.protocol in ("tcp", "udp"):
        ports = f"{rule.from_port}-{rule.to_port}" if rule.from_port != rule.to_port else f"{rule.from_port}"
        return [f"{rule.protocol} dport {ports}"]
    raise ValueError(f"a security group rule cannot have the protocol {rule.protocol!r}")


def _icmp_match(rule: Rule) -> list[str]:
    if rule.from_port < 0:
        return ["ip protocol icmp"]
    code = [f"icmp code {rule.to_port}"] if rule.to_port >= 0 else []
    return [f"icmp type {rule.from_port}", *code]


def _forward(state: NetworkState, elastic_range: str) -> Iterator[str]:
    yield "  chain forward {"
    yield "    type filter hook forward priority filter; policy drop;"
    # Before all else, and silently: who is cut off learns nothing, and a connection that is open hangs.
    for one, other in state.severed:
        yield f"    ip saddr {one} ip daddr {other} drop"
        yield f"    ip saddr {other} ip daddr {one} drop"
    # A connection by a public address ends when that address moves away, as on EC2: conntrack alone would keep it.
    for direction, public, private in (
        ("original", "ct original ip daddr", "ip daddr"),
        ("reply", "ct original ip daddr", "ip saddr"),
        ("original", "ct reply ip daddr", "ip saddr"),
        ("reply", "ct reply ip daddr", "ip daddr"),
    ):
        yield f"    ct direction {direction} {public} {elastic_range} {public} . {private} != @associated drop"
    yield "    ct state established,related accept"
    yield f'    iifname "{BRIDGE}" oifname "{UPLINK}" accept'
    yield from (f"    ip daddr {guest.private_ip} jump {chain_name(guest)}" for guest in state.guests)
    yield "  }"


def _translation(state: NetworkState, elastic_range: str) -> Iterator[str]:
    yield "  chain prerouting {"
    yield "    type nat hook prerouting priority dstnat;"
    yield from (f"    ip daddr {public} dnat to {private}" for public, private in state.elastic)
    yield "  }"
    yield "  chain output {"
    yield "    type nat hook output priority -100;"
    yield from (f"    ip daddr {public} dnat to {private}" for public, private in state.elastic)
    yield "  }"
    yield "  chain postrouting {"
    yield "    type nat hook postrouting priority srcnat;"
    for public, private in state.elastic:
        yield f'    oifname "{UPLINK}" ip saddr {private} snat to {public}'
        # From one machine to another by its public address: on EC2 the sender is seen by its own public address too.
        yield f'    oifname "{BRIDGE}" ct original ip daddr {elastic_range} ip saddr {private} snat to {public}'
    yield "  }"
