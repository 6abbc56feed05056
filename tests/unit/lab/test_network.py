"""The network of the lab: addresses, rules and the resolver, as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import host_forwarding
from lab.firewall import render_rule, render_ruleset
from lab.network import (
    AddressPlan,
    Guest,
    Network,
    NetworkState,
    Rule,
    host_resolvers,
    parse_resolvers,
    render_resolver,
    tap_name,
)
from transcoder.errors import Refused

RANGE = "172.31.210.160-172.31.210.250"
SSH = Rule("tcp", 22, 22, "203.0.113.0/24")


def guest(last: int, *ingress: Rule) -> Guest:
    return Guest(f"i-0{last}", f"172.31.210.{last}", f"02:00:00:00:00:{last:02x}", f"tap{last}", ingress)


def chain(ruleset: str, name: str) -> list[str]:
    """The lines of one chain."""
    body = ruleset.split(f"chain {name} {{\n", 1)[1].split("\n  }", 1)[0]
    return [line.strip() for line in body.splitlines()]


def test_the_address_plan_gives_every_part_its_place_in_the_network() -> None:
    plan = AddressPlan.of("172.31.210.0/24")
    assert (plan.gateway, plan.host_side, plan.namespace_side) == ("172.31.210.1", "172.31.210.253", "172.31.210.254")
    assert (plan.subnet, plan.elastic_range) == ("172.31.210.0/25", RANGE)


@pytest.mark.parametrize("cidr", ["172.31.210.0/25", "172.31.0.0/16", "172.31.210.7/24", "fd00::/64", "everything"])
def test_a_network_that_is_not_a_24_is_refused(cidr: str) -> None:
    with pytest.raises(Refused):
        AddressPlan.of(cidr)


@pytest.mark.parametrize("name", ["", "Lab", "a-name-too-long", "9lives", "lab/../x"])
def test_a_name_that_cannot_name_devices_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(Refused):
        Network(name, "172.31.210.0/24", tmp_path)


def test_tap_names_fit_the_kernel_and_keep_the_part_of_the_id_that_differs() -> None:
    first, second = tap_name("i-0123456789abcdef0"), tap_name("i-0123456789abcdef1")
    assert len(first) <= 15
    assert first != second


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (SSH, "ip saddr 203.0.113.0/24 tcp dport 22 accept"),
        (Rule("udp", 30300, 30310, "0.0.0.0/0"), "udp dport 30300-30310 accept"),
        (Rule("-1", -1, -1, "10.0.0.1/32"), "ip saddr 10.0.0.1/32 accept"),
        (Rule("icmp", -1, -1, "0.0.0.0/0"), "ip protocol icmp accept"),
        (Rule("icmp", 8, -1, "0.0.0.0/0"), "icmp type 8 accept"),
        (Rule("icmp", 3, 4, "0.0.0.0/0"), "icmp type 3 icmp code 4 accept"),
    ],
)
def test_a_permission_becomes_one_rule(rule: Rule, text: str) -> None:
    assert render_rule(rule) == (text,)


def test_a_permission_for_ipv6_admits_nobody_over_ipv4() -> None:
    assert render_rule(Rule("tcp", 22, 22, "::/0")) == ()


def test_an_unknown_protocol_is_an_error_rather_than_an_open_door() -> None:
    with pytest.raises(ValueError, match="sctp"):
        render_rule(Rule("sctp", 1, 1, "0.0.0.0/0"))


def test_a_guest_without_permissions_drops_everything_that_is_new() -> None:
    ruleset = render_ruleset(NetworkState((guest(10),), ()), RANGE)
    assert chain(ruleset, "to_i_010") == ["drop"]
    assert "ip daddr 172.31.210.10 jump to_i_010" in chain(ruleset, "forward")
    assert "policy drop" in chain(ruleset, "forward")[0]


def test_the_permissions_of_one_guest_are_not_those_of_another() -> None:
    ruleset = render_ruleset(NetworkState((guest(10, SSH), guest(11)), ()), RANGE)
    assert chain(ruleset, "to_i_010") == ["ip saddr 203.0.113.0/24 tcp dport 22 accept", "drop"]
    assert chain(ruleset, "to_i_011") == ["drop"]


def test_an_elastic_ip_leads_in_to_its_machine_and_is_its_sender_on_the_way_out() -> None:
    ruleset = render_ruleset(NetworkState((guest(10),), (("172.31.210.160", "172.31.210.10"),)), RANGE)
    assert "ip daddr 172.31.210.160 dnat to 172.31.210.10" in chain(ruleset, "prerouting")
    assert 'oifname "uplink" ip saddr 172.31.210.10 snat to 172.31.210.160' in chain(ruleset, "postrouting")
    assert "elements = { 172.31.210.160 . 172.31.210.10 }" in ruleset


def test_connections_by_an_address_that_moved_away_end_before_established_ones_are_accepted() -> None:
    lines = chain(render_ruleset(NetworkState((), ()), RANGE), "forward")
    drops = [number for number, line in enumerate(lines) if line.endswith("!= @associated drop")]
    assert len(drops) == 4
    assert max(drops) < lines.index("ct state established,related accept")


def test_the_table_is_replaced_in_one_transaction() -> None:
    assert render_ruleset(NetworkState((), ()), RANGE).startswith(
        "add table ip lab\ndelete table ip lab\ntable ip lab {"
    )


def test_the_host_hides_the_lab_towards_the_outside_only() -> None:
    table = host_forwarding.render_table("my-lab", "my-lab-host", "172.31.210.0/24")
    rule = 'ip saddr 172.31.210.0/24 ip daddr != 172.31.210.0/24 oifname != "my-lab-host" masquerade'
    assert rule in table
    assert "table ip transcoder_lab_my_lab {" in table


def test_every_name_below_amazonaws_com_is_the_lab_and_the_rest_is_asked_of_the_host_s_servers() -> None:
    text = render_resolver(AddressPlan.of("172.31.210.0/24"), ["192.0.2.53"], Path("/run/pid"))
    assert "address=/amazonaws.com/172.31.210.1\n" in text
    assert "server=192.0.2.53\n" in text
    assert "no-resolv\n" in text


def test_name_servers_on_the_loopback_are_passed_over_for_systemd_resolved_s_own_list(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\noptions edns0\n")
    real.write_text("nameserver 192.0.2.53\nnameserver fe80::1\nsearch example.org\n")
    assert host_resolvers((stub, real)) == ["192.0.2.53"]


def test_a_host_with_only_loopback_name_servers_is_refused_with_a_way_out(tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.write_text("nameserver 127.0.0.1\n")
    with pytest.raises(Refused, match="loopback"):
        host_resolvers((stub, tmp_path / "absent"))


def test_a_resolv_conf_with_odd_lines_is_read() -> None:
    assert parse_resolvers("# nameserver 192.0.2.1\nnameserver\n\nnameserver\t192.0.2.2 \n") == ["192.0.2.2"]
