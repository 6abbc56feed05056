"""The rehearsal says honestly whether Packer ran now, or an earlier bake of the same inputs was taken."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab import commands
from lab.configuration import LabConfiguration
from lab.rehearsal import acts, terminal
from lab.rehearsal.report import Report
from lab.rehearsal.runner import Finished, Line
from lab.rehearsal.stage import Seen, Stage
from tests.unit.lab.rehearsal import made_up
from transcoder.model import Image

TAGS = {"transcoder:digest": "d1", "transcoder:source-ami": "ami-0stock", "transcoder:packer": "1.6.6"}
BUILDER_LINES = ("==> amazon-ebs.node: Creating AMI livepeer", "us-east-1: ami-01", "amazon-ebs.node: AMI: ami-01")


class Baking:
    """A stage on which only the bake plays."""

    def __init__(self, *, baked: bool, lines: tuple[str, ...] = (), tags: dict[str, str] | None = None) -> None:
        said = {"ami": "ami-01", "name": "livepeer", "baked": baked, "digest": "d1", "packer": "1.11.2"}
        said |= {"builder": "amazon-ebs", "seconds": 0.6}
        self.lines = [Line(0.0, "stderr", text) for text in lines] + [Line(0.0, "stdout", json.dumps(said))]
        image = Image(
            "ami-01", "livepeer", "available", "2026-01-31T16:00:00.000Z", tags=TAGS if tags is None else tags
        )
        self.world = SimpleNamespace(cloud=SimpleNamespace(images=lambda **_: (image,)))
        self.configuration = LabConfiguration()
        self.seen = Seen()
        self.proofs: list[tuple[str, bool, str]] = []

    def succeed(self) -> Finished:
        return Finished(("invoke", "bake-ami"), 0, 0.6, tuple(self.lines), Path("bake.log"))

    def prove(self, claim: str, holds: bool, evidence: str) -> None:
        self.proofs.append((claim, holds, evidence))

    def play(self) -> tuple[str, bool, str]:
        """Bake; return the one proof."""
        acts.bake(cast(Stage, self))
        (proof,) = self.proofs
        return proof

    def fact(self) -> str:
        """Return what the report says of Packer."""
        report: Report = made_up.report()
        changes: dict[str, Any] = {**vars(report), "bake": self.seen.bake}
        return terminal.names(Report(**changes))["Packer"]


@pytest.fixture(autouse=True)
def lab_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "read_ready", lambda _configuration: SimpleNamespace(stock_image_id="ami-0stock"))


def test_a_bake_of_now_is_proved_by_the_builders_own_words() -> None:
    stage = Baking(baked=True, lines=BUILDER_LINES)
    claim, holds, evidence = stage.play()
    assert (claim, holds) == ("Packer baked the AMI with its amazon-ebs builder", True)
    assert "Creating AMI livepeer" in evidence
    assert stage.fact() == "1.11.2; its builder amazon-ebs ran"


def test_a_bake_of_now_of_which_the_builder_said_nothing_proves_nothing() -> None:
    assert not Baking(baked=True).play()[1]


def test_an_earlier_bake_is_called_so_with_its_own_packer_and_date() -> None:
    stage = Baking(baked=False)
    claim, holds, evidence = stage.play()
    assert (claim, holds) == ("Packer baked the AMI earlier with its amazon-ebs builder, of the same inputs", True)
    said = "baked by Packer 1.6.6 (amazon-ebs) at 2026-01-31T16:00:00.000Z, of the very same inputs"
    assert evidence.splitlines()[0] == said
    assert stage.fact() == (
        "1.6.6; amazon-ebs baked the AMI earlier, at 2026-01-31T16:00:00.000Z, from the very same inputs; "
        "not baked again"
    )


@pytest.mark.parametrize(
    ("name", "other"),
    [
        *((name, None) for name in TAGS),
        *((name, "something else") for name in ("transcoder:digest", "transcoder:source-ami")),
    ],
)
def test_an_earlier_bake_without_the_tags_of_the_same_inputs_proves_nothing(name: str, other: str | None) -> None:
    tags = {key: value for key, value in TAGS.items() if key != name} | ({name: other} if other else {})
    _, holds, evidence = Baking(baked=False, tags=tags).play()
    assert not holds
    assert "of the very same inputs" not in evidence
    assert "its tags do not show" in evidence
