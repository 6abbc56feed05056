"""Every task that calls AWS, typed once or more often, so that together it makes all the calls that it has.

A new task gets a line in `LINES`: what is typed, and the world in which it ends well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from packer import bake, command
from packer.verify import command as verify_command
from packer.verify import suite
from packer.versions import Packer
from tests.simulated.disk import KEY, by_hand
from tests.simulated.world import NODE, OTHER_ZONE, WEST, Simulation, perform, settings
from tests.unit.recipes import test_backup_and_restore_keys as keys
from tests.unit.recipes import test_fetched_passphrase as fetching
from tests.unit.recipes import test_launch_with_keys as old_keys
from tests.unit.recipes import test_monitoring as watching
from tests.unit.recipes import test_publish as publishing
from tests.unit.recipes import test_verify_keys as verifying
from transcoder import app, proof, tags
from transcoder.layout import LIVEPEER
from transcoder.model import Image, ImageUse
from transcoder.recipes import migrate
from transcoder.world import Lock

TARGET = "tc001-b"
DIGEST = "d" * 64
Sims = Mapping[str, Simulation]


@dataclass(frozen=True)
class Bench:
    """What a test lends to those who furnish a world."""

    monkeypatch: pytest.MonkeyPatch
    directory: Path


Furnish = Callable[[Bench], Sims]


@dataclass(frozen=True)
class Line:
    """A command line, and what makes the worlds in which it is typed: the environment's own is ``home``."""

    words: str
    furnish: Furnish
    ends: int = 0
    """The exit code of one who may do all of it."""

    @property
    def task(self) -> str:
        """What is typed without its options."""
        return " ".join(self.words.split()[:2])

    def argv(self, directory: Path) -> list[str]:
        """Return what is typed, with the key's address and a directory of the test filled in."""
        return self.words.format(key=KEY, directory=directory).split()


def _home(make: Callable[[], Simulation]) -> Furnish:
    return lambda _: {"home": make()}


def _node() -> Simulation:
    sim = Simulation()
    sim.node()
    return sim


def _empty() -> Simulation:
    return Simulation()


def _keyless() -> Simulation:
    sim = Simulation()
    sim.node(address="")
    return sim


def _instance() -> Simulation:
    sim = Simulation()
    sim.instance(NODE)
    return sim


def _volume_made_by_hand() -> Simulation:
    sim = _instance()
    made = sim.volume(by_hand(LIVEPEER))
    sim.cloud.blocks["vol-byhand"] = replace(made, id="vol-byhand")
    sim.cloud.disks["vol-byhand"] = sim.cloud.disks.pop(made.id)
    del sim.cloud.blocks[made.id]
    return sim


def _two() -> Simulation:
    sim = _node()
    sim.instance(TARGET)
    return sim


def _lost() -> Simulation:
    sim = _two()
    sim.machine(NODE).faults.powered_off = True
    sim.clock.sleep(3.0)
    return sim


def _moved() -> Simulation:
    sim = _node()
    perform(migrate.operation(migrate.Request(NODE, migrate.NEW, zone=OTHER_ZONE)), sim)
    sim.clock.sleep(10.0)
    return sim


def _regions(_: Bench) -> Sims:
    east = _node()
    west = settings(WEST, aws={"region": "us-west-2", "availability_zone": "us-west-2a"})
    there = Simulation(west, beside=east)
    there.instance(TARGET)
    return {"home": east, WEST: there}


def _locked() -> Simulation:
    sim = _node()
    sim.cloud.locks[NODE] = Lock("ada", "another-machine", 4711, "2026-01-31T16:00:00+00:00", "fab migrate --to new")
    return sim


def _reward() -> Simulation:
    sim = _node()
    sim.rounds.last_reward = sim.rounds.current - 1
    return sim


def _backed_up() -> Simulation:
    return keys.backed_up()


def _emptied() -> Simulation:
    return keys.emptied(keys.backed_up())


def _rotating(bench: Bench) -> Sims:
    """A node whose key has a passphrase; it is typed, and takes little work to try."""
    for name, work in (("STANDARD", 4), ("LIGHT", 2)):
        bench.monkeypatch.setattr(proof, name, work)
    bench.monkeypatch.setattr(app, "passphrase", lambda *_: verifying.OLD)
    bench.monkeypatch.setattr(app, "new_passphrase", lambda *_: verifying.NEW)
    return {"home": verifying.backed_up()}


def _fetching(bench: Bench) -> Sims:
    """The same, where the machine fetches its passphrase."""
    _rotating(bench)
    return {"home": fetching.backed_up()}


def _fetching_from_secrets_manager(bench: Bench) -> Sims:
    _rotating(bench)
    return {"home": fetching.backed_up("secrets-manager")}


def _nightly(bench: Bench) -> Sims:
    """A node, and a home without the lock of anybody else's night."""
    bench.monkeypatch.setenv("XDG_STATE_HOME", str(bench.directory))
    return {"home": _node()}


def _watched() -> Simulation:
    """A node whose states go to CloudWatch."""
    return watching.Rig().simulation


def _alarmed() -> Simulation:
    """The same with its stack of alarms."""
    rig = watching.Rig()
    rig.deploy()
    return rig.simulation


def _images() -> Simulation:
    sim = Simulation()
    own = {tags.ENVIRONMENT: sim.settings.name, tags.DIGEST: DIGEST, tags.VERIFIED: "2026-01-01T00:01:00Z 0123"}
    for number in range(1, 4):
        made = Image(f"ami-{number}", f"node {number}", "available", f"2026-01-0{number}T00:00:00.000Z", tags=own)
        sim.cloud.amis[made.id] = replace(made, snapshot_ids=(f"snap-{number}",))
        stored = sim.volume(by_hand(LIVEPEER))
        sim.cloud.copies[f"snap-{number}"] = _snapshot(sim, stored.id, number, own)
    sim.cloud.uses.append(ImageUse("ami-3", "launch template nodes (version 1)"))
    return sim


def _snapshot(sim: Simulation, volume_id: str, number: int, own: Mapping[str, str]) -> Any:
    made = sim.cloud.create_snapshot(volume_id, own)
    sim.cloud.disks[f"snap-{number}"] = sim.cloud.disks[made.id]
    del sim.cloud.copies[made.id]
    return replace(made, id=f"snap-{number}", state="completed")


def _verifying(bench: Bench) -> Sims:
    """An image that is to be verified; what is looked at in the machine is not AWS's business."""
    sim = _images()
    sim.cloud.change_image("ami-3", tags={**sim.cloud.amis["ami-3"].tags, tags.VERIFIED: ""})
    passed = (suite.Finding("it", "it is there", True, "it is", 0.1),)
    bench.monkeypatch.setattr(verify_command, "_subject", lambda *_: None)
    bench.monkeypatch.setattr(suite, "run", lambda *_: passed)
    return {"home": sim}


def _failing(bench: Bench) -> Sims:
    sims = _verifying(bench)
    failed = (suite.Finding("it", "it is there", False, "it is not", 0.1),)
    bench.monkeypatch.setattr(suite, "run", lambda *_: failed)
    return sims


def _baking(bench: Bench) -> Sims:
    """An environment whose images are copied and get a date. Packer makes its own calls, which the lab has seen."""
    _verifying(bench)
    sim = publishing.world(days=3650)
    sim.cloud.amis.clear()
    own = {tags.ENVIRONMENT: sim.settings.name, tags.DIGEST: DIGEST}
    stock = Image("ami-stock", "ubuntu", "available", "2026-01-01T00:00:00Z")
    baked = Image("ami-1", "node", "available", "2026-06-01T00:00:00.000Z", tags=own)
    prepared = bake.Prepared("packer {}", DIGEST, Path(), Path(), "node", (), Packer(1, 6, 6))

    def build(*_: object) -> str:
        sim.cloud.amis["ami-1"] = baked
        return "ami-1"

    bench.monkeypatch.setattr(sim.cloud, "stock_image", lambda: stock)
    bench.monkeypatch.setattr(command, "_prepare", lambda *_, **__: prepared)
    bench.monkeypatch.setattr(command, "_directory", lambda _: bench.directory)
    bench.monkeypatch.setattr(command, "write_record", lambda *_: None)
    bench.monkeypatch.setattr(bake, "validate", lambda _: None)
    bench.monkeypatch.setattr(bake, "build", build)
    return {"home": sim}


LINES = (
    Line("fab adopt --volume vol-byhand --role livepeer --instance tc001 --yes", _home(_volume_made_by_hand)),
    Line("fab attach --instance tc001 --yes", _home(_instance)),
    Line("fab backup-keys --yes", _home(_node)),
    Line("fab backup-keys --store secrets-manager --yes", _home(_node)),
    Line("fab bundle --output {directory}/bundle.tar.gz", _home(_node)),
    Line("fab create-key --yes", _home(_keyless)),
    Line("fab detach --yes", _home(_node)),
    Line("fab logs", _home(_node)),
    Line("fab migrate --to tc001-b --ignore-round --yes", _home(_two)),
    Line("fab migrate --to tc001-b --source-lost --yes", _home(_lost)),
    Line(f"fab migrate --to new --zone {OTHER_ZONE} --ignore-round --yes", _home(_node)),
    Line(f"fab migrate --to tc001-b --to-env {WEST} --ignore-round --yes", _regions),
    Line("fab migrate --confirm --yes", _home(_moved)),
    Line("fab restart --yes", _home(_node)),
    Line("fab restore-keys --address {key} --yes", _home(_emptied)),
    Line("fab reward --yes", _home(_reward)),
    Line("fab rotate-passphrase --yes", _rotating),
    Line("fab set-passphrase --yes", _fetching),
    Line("fab set-passphrase --node tc001 --yes", _fetching_from_secrets_manager),
    Line("fab status", _home(_node)),
    Line("fab unlock", _home(_locked)),
    Line("fab verify-keys --json", _home(_backed_up)),
    Line("invoke amis", _home(_images)),
    Line("invoke bake-ami --yes", _baking),
    Line("invoke keys --json", _home(_backed_up)),
    Line("invoke keys --store secrets-manager --json", _home(_backed_up)),
    Line("invoke launch --yes", _home(_empty)),
    Line("invoke launch --restore-keys --address {key} --yes", _home(old_keys.stored)),
    Line("invoke monitoring.deploy --yes", _home(_watched)),
    Line("invoke monitoring.diff", _home(_watched)),
    Line("invoke monitoring.remove --yes", _home(_alarmed)),
    Line("invoke nightly-restart", _nightly),
    Line("invoke retire-amis --keep 1 --yes", _home(_images)),
    Line("invoke terminate --yes", _home(_node)),
    Line("invoke verify-ami --yes", _verifying),
    Line("invoke verify-ami --ami ami-3 --yes", _failing, ends=4),
)
