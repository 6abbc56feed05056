"""What a migration asks EC2 beforehand (``DryRun``) is what it will call: the policy of the operator permits it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lab.iam.guard import denial
from lab.iam.identities import Identity
from lab.iam.needs import Asked
from tests.simulated.world import NODE, OTHER_ZONE, WEST, Simulation, perform, settings
from transcoder import iam
from transcoder.operate import Operation
from transcoder.recipes import migrate, relocate
from transcoder.world import ApiCall

ACCOUNT = "123456789012"
ROLE = {"instance_profile": "node"}


def watched(sim: Simulation, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the operator's policy answer the trials; return the list that their actions are noted in."""
    own = sim.settings
    tried: list[str] = []

    def tags_of(identity: str) -> Mapping[str, str]:
        tables = (sim.cloud.machines, sim.cloud.blocks, sim.cloud.elastic, sim.cloud.copies, sim.cloud.amis)
        return next((dict(table[identity].tags) for table in tables if identity in table), {})

    def answer(call: ApiCall) -> str:
        tried.append(call.action)
        who = Identity("operator", "arn:aws:iam::1:user/operator", (iam.render("operator", own, ACCOUNT),))
        asked = Asked("ec2", call.action, call.arguments, own.aws.region, ACCOUNT, tags_of)
        refused = denial(who, asked)
        return refused.message if refused else ""

    monkeypatch.setattr(sim.cloud, "denial", answer)
    return tried


def go(operation: Operation, sim: Simulation) -> None:
    perform(operation, sim)


def test_to_a_new_machine_in_another_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Simulation(settings(aws=ROLE))
    sim.node()
    tried = watched(sim, monkeypatch)
    go(migrate.operation(migrate.Request(NODE, migrate.NEW, zone=OTHER_ZONE)), sim)
    assert set(tried) >= {"RunInstances", "CreateSnapshot", "CreateVolume"}


def test_to_another_region(monkeypatch: pytest.MonkeyPatch) -> None:
    east = Simulation()
    there = settings(WEST, aws={"region": "us-west-2", "availability_zone": "us-west-2a"})
    west = Simulation(there, beside=east)
    east.node()
    west.instance("west-b")
    tried = [watched(east, monkeypatch), watched(west, monkeypatch)]
    go(relocate.operation(migrate.Request(NODE, "west-b"), west.world), east)
    assert set(tried[0]) | set(tried[1]) >= {"CreateSnapshot", "CreateVolume"}
