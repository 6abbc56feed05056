"""What `invoke bake-ami` does in which order: one image of the same inputs, verified once, published when it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from packer import bake, command
from packer.verify.command import Verified
from packer.verify.suite import Finding
from packer.versions import Packer
from tests.simulated.world import ENVIRONMENT, Simulation, settings
from transcoder import tags
from transcoder.errors import Failed, Refused
from transcoder.model import Image
from transcoder.recipes.retire_amis import LOCK

DIGEST = "d" * 64
STOCK = Image("ami-stock", "ubuntu", "available", "2026-01-01T00:00:00Z")
BAKED = Image(
    "ami-1",
    "node",
    "available",
    "2027-01-01T00:00:00Z",
    tags={tags.ENVIRONMENT: ENVIRONMENT, tags.DIGEST: DIGEST},
)
YES: dict[str, Any] = {"dry_run": False, "force": False, "yes": True, "json_output": False}


@dataclass
class Bakery:
    """The steps of a bake, written down."""

    sim: Simulation
    passes: bool = True
    done: list[str] = field(default_factory=list)

    def prepare(self, *_: object, again: str = "", **more: object) -> bake.Prepared:
        name = f"node-{again}" if again else "node"
        return bake.Prepared("packer {}", DIGEST, Path(), Path(), name, (), Packer(1, 6, 6))

    def build(self, prepared: bake.Prepared, *_: object) -> str:
        assert self.sim.cloud.locks.keys() == {LOCK}, "nobody retires what is not in use yet"
        self.done.append("bake")
        self.sim.cloud.amis["ami-1"] = replace(BAKED, name=prepared.ami_name)
        return "ami-1"

    def verify(self, world: object, image: Image, console: object) -> Verified:
        self.done.append("verify")
        if self.passes:
            self.sim.cloud.change_image(image.id, tags={**image.tags, tags.VERIFIED: "2027-01-01T00:01:00Z 0123"})
        return Verified(image, (Finding("it", "it is there", self.passes, "half of it", 0.1),), 20.0)


@pytest.fixture
def bakery(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bakery:
    sim = Simulation(settings(ENVIRONMENT))
    sim.cloud.amis.clear()
    made = Bakery(sim)
    monkeypatch.setattr(sim.cloud, "stock_image", lambda: STOCK)
    monkeypatch.setattr(command, "_prepare", made.prepare)
    monkeypatch.setattr(command, "_directory", lambda _: tmp_path)
    monkeypatch.setattr(command, "write_record", lambda *_: made.done.append("record"))
    monkeypatch.setattr(command, "verify_image", made.verify)
    monkeypatch.setattr(bake, "validate", lambda _: made.done.append("validate"))
    monkeypatch.setattr(bake, "build", made.build)
    return made


def test_a_bake_is_validated_built_and_verified(bakery: Bakery, capsys: pytest.CaptureFixture[str]) -> None:
    command.bake_ami(bakery.sim.world, **YES)
    assert bakery.done == ["validate", "bake", "record", "verify"]
    assert "verified at 2027-01-01T00:01:00Z" in capsys.readouterr().out
    assert bakery.sim.cloud.locks == {}


def test_the_second_time_nothing_is_built_verified_or_launched(
    bakery: Bakery, capsys: pytest.CaptureFixture[str]
) -> None:
    command.bake_ami(bakery.sim.world, **YES)
    bakery.done.clear()
    capsys.readouterr()
    command.bake_ami(bakery.sim.world, **{**YES, "json_output": True})
    said = json.loads(capsys.readouterr().out)
    assert bakery.done == []
    assert (said["ami"], said["baked"], said["checks"]) == ("ami-1", False, [])
    assert said["verified"].startswith("2027")


def test_one_that_was_baked_and_never_verified_is_verified_now(bakery: Bakery) -> None:
    bakery.sim.cloud.amis["ami-1"] = BAKED
    command.bake_ami(bakery.sim.world, **YES)
    assert bakery.done == ["verify"]


def test_without_verification_it_is_baked_and_says_so(bakery: Bakery, capsys: pytest.CaptureFixture[str]) -> None:
    command.bake_ami(bakery.sim.world, **YES, verify=False)
    assert bakery.done == ["validate", "bake", "record"]
    assert "not verified" in capsys.readouterr().out


def test_an_image_that_fails_is_reported_and_ends_with_4(bakery: Bakery, capsys: pytest.CaptureFixture[str]) -> None:
    bakery.passes = False
    with pytest.raises(Failed, match="it is there: half of it"):
        command.bake_ami(bakery.sim.world, **YES)
    assert "1 of 1 checks failed" in capsys.readouterr().out
    assert bakery.sim.cloud.locks == {}


def test_force_bakes_although_there_is_one(bakery: Bakery) -> None:
    bakery.sim.cloud.amis["ami-1"] = BAKED
    command.bake_ami(bakery.sim.world, **{**YES, "force": True})
    assert bakery.done == ["validate", "bake", "record", "verify"]


def test_without_a_yes_and_without_a_terminal_nothing_is_baked(bakery: Bakery) -> None:
    with pytest.raises(Refused, match="nobody is here to confirm"):
        command.bake_ami(bakery.sim.world, **{**YES, "yes": False})
    assert bakery.done == []


def test_what_is_verified_gets_its_date_and_what_is_not_gets_none(bakery: Bakery) -> None:
    sim, own = bakery.sim, bakery.sim.settings
    sim.settings = own.model_copy(update={"image": own.image.model_copy(update={"deprecate_after_days": 90})})
    command.bake_ami(sim.world, **YES, verify=False)
    assert sim.cloud.amis["ami-1"].deprecates == ""
    command.bake_ami(sim.world, **YES)
    assert sim.cloud.amis["ami-1"].deprecates == "2027-04-01T00:00:00Z"
