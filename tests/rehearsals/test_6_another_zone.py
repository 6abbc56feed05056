"""The node goes to another zone by snapshots: same address, all records, and the old volumes stay until confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rehearsals.rig import NODE, Rig
from tests.rehearsals.test_3_a_migration import records
from transcoder import tags
from transcoder.layout import VOLUMES
from transcoder.model import Volume

ZONE = "us-east-1b"


def held(rig: Rig) -> list[Volume]:
    """Return the node's data volumes, those that a copy has replaced included."""
    mine = {tags.NODE: NODE}, {tags.RETIRED: NODE}
    return [
        volume
        for volume in rig.world.cloud.volumes()
        if tags.ROLE in volume.tags and any(wanted.items() <= volume.tags.items() for wanted in mine)
    ]


@pytest.fixture(scope="module")
def moved(node: Rig) -> dict[str, Any]:
    """What was before, and what the migration printed."""
    before = node.status()
    written = max(records(node, before["name"]))
    volumes = sorted(volume.id for volume in held(node) if volume.tags.get(tags.NODE) == NODE)
    ran = node.run("fab", "migrate", "--to", "new", "--zone", ZONE, "--ignore-round", "--yes")
    return {"before": before, "written": written, "volumes": volumes, "said": ran.said}


def test_the_node_runs_there_with_its_address_and_every_record(node: Rig, moved: dict[str, Any]) -> None:
    after = node.status()
    assert after["healthy"], after["problems"]
    assert node.instance(after["name"]).zone == ZONE
    assert after["address"] == moved["before"]["address"] != ""
    assert after["elastic_ip_at"] == after["instance"] != moved["before"]["instance"]
    numbers = records(node, after["name"])
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "no record lost, none twice"
    assert max(numbers) > moved["written"]
    assert "fab migrate --confirm" in moved["said"]


def test_the_old_volumes_stay_until_the_operator_confirms(node: Rig, moved: dict[str, Any]) -> None:
    assert len(moved["volumes"]) == len(VOLUMES)
    stayed = {volume.id: volume for volume in held(node) if volume.id in moved["volumes"]}
    assert sorted(stayed) == moved["volumes"]
    assert all(volume.attachment is None and tags.NODE not in volume.tags for volume in stayed.values())

    node.run("fab", "migrate", "--confirm", "--yes")
    left = held(node)
    assert {volume.zone for volume in left} == {ZONE}
    assert len(left) == len(VOLUMES)
    after = node.status()
    assert after["healthy"], after["problems"]
