"""The node moves: to a machine that waits for it, again, and to one that is launched for it and broken off."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

from lab.rehearsal.explained import changes, unexplained
from lab.standins.livepeer_node.state import parse_record
from tests.rehearsals.rig import NODE, Rig
from transcoder import layout, tags
from transcoder.model import Instance

RECORDS = "/d1/livepeer/.lpData/records.log"


def records(rig: Rig, name: str) -> list[int]:
    """Return the numbers of the records on the node's volume; a torn line has none."""
    numbers = [parse_record(line.encode()) for line in rig.on(name, "cat", RECORDS).splitlines()]
    return [number for number in numbers if number is not None]


def test_a_dry_run_changes_nothing(node: Rig) -> None:
    node.run("invoke", "launch", "--spare", "--name", "tc001-b", "--yes")
    before = node.ec2_state()
    ran = node.run("fab", "migrate", "--to", "tc001-b", "--ignore-round", "--dry-run", "--json")
    assert ran.json["dry_run"] is True
    assert any(step["key"] == "livepeer/detach" for step in ran.json["plan"]["steps"])
    assert node.ec2_state() == before


def test_the_node_moves_with_everything(node: Rig) -> None:
    old, address = node.instance(NODE), node.status()["address"]
    written = max(records(node, NODE))
    logged = len(node.calls())
    ran = node.run("fab", "migrate", "--to", "tc001-b", "--ignore-round", "--yes", "--json")
    made = node.calls()[logged:]
    assert unexplained(made, ran.json["plan"]["steps"]) == ()
    assert {call["action"] for call in changes(made)} >= {"DetachVolume", "AttachVolume", "AssociateAddress"}

    after = node.status()
    assert after["healthy"], after["problems"]
    assert after["name"] == "tc001-b"
    assert after["address"] == address != ""
    assert after["elastic_ip_at"] == after["instance"]
    numbers = records(node, "tc001-b")
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "no record lost, none twice"
    assert max(numbers) > written
    shown = node.on("tc001-b", "lsblk", "--noheadings", "--output", "LABEL,MOUNTPOINT")
    assert {tuple(line.split()) for line in shown.splitlines()} >= {("livepeer-data", "/d1"), ("geth-data", "/d2")}
    for data in layout.VOLUMES:
        pid = node.on("tc001-b", "systemctl", "show", "--property=MainPID", data.service.unit).strip().split("=")[1]
        limits = node.on("tc001-b", "cat", f"/proc/{pid}/limits")
        assert re.search(r"Max open files +50000 +50000", limits), limits
    retired = node.instance(NODE)
    assert (retired.id, retired.state, retired.tags[tags.RETIRED]) == (old.id, "running", NODE)
    assert "-data" not in node.on(NODE, "lsblk", "--noheadings", "--output", "LABEL")


def test_the_same_migration_again_finds_nothing_to_do(node: Rig) -> None:
    ran = node.run("fab", "migrate", "--to", "tc001-b", "--ignore-round", "--yes")
    assert "nothing is to be done" in ran.stdout


def test_a_broken_off_migration_to_new_goes_on_with_its_target(node: Rig) -> None:
    known = {instance.id for instance in node.node().instances}
    source = node.instance(node.status()["name"])
    migration = node.start("fab", "migrate", "--to", "new", "--ignore-round", "--yes")

    def target() -> Any:
        return [i for i in node.node().instances if i.id not in known]

    node.world.wait("the target is launched", target, 120)
    node.world.wait("the node has begun to move", lambda: _has_left(node, source), 180)
    os.killpg(migration.pid, signal.SIGKILL)
    migration.wait()
    launched = target()
    assert len(launched) == 1

    node.run("fab", "migrate", "--to", "new", "--ignore-round", "--yes")
    assert [i.id for i in target()] == [launched[0].id], "no second target"
    after = node.status()
    assert after["healthy"], after["problems"]
    assert after["instance"] == launched[0].id
    numbers = records(node, after["name"])
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _has_left(rig: Rig, source: Instance) -> bool:
    """Tell whether one of the node's volumes has left the machine that carried it."""
    volumes = [rig.node().volume(data) for data in layout.VOLUMES]
    return any(volume is not None and not volume.attached_to(source.id) for volume in volumes)


def test_two_at_once_are_refused_with_the_holders_name(node: Rig) -> None:
    from transcoder.world import Lock

    holder = Lock("ada", "another-machine", 4711, "2026-01-31T16:00:00+00:00", "fab migrate --to new")
    assert node.world.cloud.take_lock(NODE, holder) is None
    ran = node.run("fab", "detach", "--yes", expect=3)
    assert "ada on another-machine" in ran.stderr
    assert f"fab unlock --node {NODE}" in ran.stderr
    assert "ada" in node.run("fab", "unlock", "--node", NODE).stdout
