"""A partition in the firewall's rules and in the wiring."""

from __future__ import annotations

from lab.faults.seams import Seams
from lab.firewall import Guest, NetworkState, render_ruleset

MACHINE, OPERATOR = "172.31.212.10", "172.31.212.253"
RANGE = "172.31.212.160-172.31.212.250"


def rules(*severed: tuple[str, str]) -> list[str]:
    """Return the lines of the forward chain."""
    guest = Guest("i-1", MACHINE, "02:00:00:00:00:01", "tap1", ())
    text = render_ruleset(NetworkState((guest,), (), severed), RANGE)
    return [line.strip() for line in text.partition("chain forward {")[2].partition("}")[0].splitlines()]


def test_packets_are_dropped_in_both_directions_before_open_connections_are_let_through() -> None:
    lines = rules((OPERATOR, MACHINE))
    open_ones = lines.index("ct state established,related accept")
    assert lines.index(f"ip saddr {OPERATOR} ip daddr {MACHINE} drop") < open_ones
    assert lines.index(f"ip saddr {MACHINE} ip daddr {OPERATOR} drop") < open_ones


def test_nothing_else_of_the_rules_changes() -> None:
    cut = [line for line in rules((OPERATOR, MACHINE)) if OPERATOR not in line]
    assert cut == rules()


def test_two_faults_on_one_machine_both_have_to_end() -> None:
    seams = Seams()
    for key in ("a", "b"):
        seams.severed.put(key, "i-1")
    seams.severed.take("a")
    assert seams.severed_instances() == {"i-1"}
    seams.severed.take("b")
    assert seams.severed_instances() == frozenset()
