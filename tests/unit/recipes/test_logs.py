"""Logs: the journal of the node's services, of the right machine."""

from __future__ import annotations

import pytest

from tests.simulated.world import NODE, Simulation
from transcoder.errors import Refused
from transcoder.layout import LIVEPEER
from transcoder.recipes import logs


def test_both_services_are_asked_for_since_the_time_given() -> None:
    sim = Simulation()
    sim.node()
    sim.machine(NODE).journal[LIVEPEER.service.unit] = ["livepeer: hello"]
    assert logs.read(sim.world, NODE, "", "", "10 min ago", "50") == "livepeer: hello\n"
    asked = sim.hosts.commands[-1].argv
    assert asked[:5] == ("journalctl", "--unit", "livepeer-transcoder.service", "--unit", "geth.service")
    assert asked[5:9] == ("--since", "10 min ago", "--lines", "50")


def test_one_unit_can_be_named() -> None:
    sim = Simulation()
    sim.node()
    logs.read(sim.world, NODE, "", "chrony.service", "1 hour ago", "5")
    assert sim.hosts.commands[-1].argv[:3] == ("journalctl", "--unit", "chrony.service")


def test_a_machine_that_carries_nothing_can_be_named() -> None:
    sim = Simulation()
    sim.node()
    other = sim.instance("other")
    logs.read(sim.world, NODE, "other", "", "1 hour ago", "5")
    assert sim.hosts.commands[-1].machine == other.id


def test_a_node_that_is_nowhere_is_refused_with_the_way_to_name_a_machine() -> None:
    with pytest.raises(Refused, match="fab logs --instance NAME"):
        logs.read(Simulation().world, NODE, "", "", "1 hour ago", "5")


def test_a_number_of_lines_that_is_none_is_refused_by_its_text() -> None:
    with pytest.raises(Refused, match="'many'"):
        logs.read(Simulation().world, NODE, "", "", "1 hour ago", "many")
