"""`fab attach` is given volumes that hold something: it refuses with every reason, and not one byte changes."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rehearsals.rig import Rig

MIB = 1024 * 1024
MACHINE = "attic"


@pytest.fixture(scope="module")
def machine(rig: Rig) -> Rig:
    """A spare machine that no node needs."""
    rig.run("invoke", "launch", "--spare", "--name", MACHINE, "--yes")
    return rig


def ext4(disk: Path) -> None:
    # The very label that the mount unit looks for: a machine that mounted it by itself would change it.
    subprocess.run(["mkfs.ext4", "-q", "-L", "livepeer-data", str(disk)], check=True)


def xfs(disk: Path) -> None:
    subprocess.run(["mkfs.xfs", "-q", str(disk)], check=True)


def partitions(disk: Path) -> None:
    subprocess.run(["sfdisk", "--quiet", str(disk)], input=b"label: gpt\n,100M\n", check=True)


def random_bytes(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.write(random.Random(7).randbytes(3 * MIB))  # noqa: S311 - the same bytes every time


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (ext4, "holds ext4 with label 'livepeer-data' and no marker"),
        (xfs, "holds xfs"),
        (partitions, "holds a partition table (gpt)"),
        (random_bytes, "holds data without a file system"),
    ],
)
def test_a_volume_that_holds_something_is_refused_and_given_back_unchanged(
    machine: Rig, fill: Callable[[Path], None], reason: str
) -> None:
    volume = machine.volume()
    fill(machine.disk(volume.id))
    before = machine.digest(volume.id)
    options = ("--node", "tc900", "--instance", MACHINE, "--livepeer-volume", volume.id, "--format", volume.id)
    ran = machine.run("fab", "attach", *options, "--yes", expect=3)
    assert reason in ran.stderr
    assert machine.world.cloud.volumes(ids=[volume.id])[0].state == "available"
    assert machine.digest(volume.id) == before


def test_every_reason_is_given_at_once(machine: Rig) -> None:
    machine.run("invoke", "launch", "--spare", "--name", "cellar", "--yes")
    other = machine.instance("cellar")
    used, far = machine.volume(), machine.volume("us-east-1b")
    machine.world.cloud.attach(used.id, other.id, "/dev/sdg")
    machine.world.wait("attached", lambda: machine.world.cloud.volumes(ids=[used.id])[0].attached_to(other.id), 60)
    digests = [machine.digest(volume.id) for volume in (used, far)]
    options = ("--node", "tc901", "--instance", MACHINE, "--livepeer-volume", used.id, "--geth-volume", far.id)
    ran = machine.run("fab", "attach", *options, "--yes", expect=3)
    assert f"{used.id} is in use (attached) by instance {other.id}" in ran.stderr
    assert f"{far.id} is in zone us-east-1b" in ran.stderr
    assert [machine.digest(volume.id) for volume in (used, far)] == digests
    machine.world.cloud.detach(used.id, other.id)
    machine.run("invoke", "terminate", "--instance", "cellar", "--yes")
    machine.run("invoke", "terminate", "--instance", MACHINE, "--yes")
