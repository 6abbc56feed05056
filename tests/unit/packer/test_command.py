"""`invoke bake-ami`: an image of the same inputs is returned at once; one that is baked leaves its record."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from packer import bake, command
from packer.record import MANIFEST, SBOM
from packer.versions import Packer
from tests.unit.packer.samples import settings_in, write_archives
from tests.unit.packer.test_record import PACKAGES, PROGRAMS
from transcoder import tags
from transcoder.errors import Refused
from transcoder.model import Image
from transcoder.world import Lock, World

STOCK = Image("ami-0ff", "stock/bionic-1", "available", "2026-01-01", "/dev/sda1")


@dataclass
class Cloud:
    """EC2 with a stock image, and those that were baked."""

    baked: list[Image] = field(default_factory=list)

    def stock_image(self) -> Image:
        return STOCK

    def images(self, *, ids: tuple[str, ...] = (), tags: dict[str, str] | None = None) -> tuple[Image, ...]:
        wanted = (tags or {}).items()
        return tuple(image for image in self.baked if (not ids or image.id in ids) and wanted <= image.tags.items())

    def take_lock(self, _name: str, _lock: Lock) -> None:
        """Nobody else bakes."""

    def free_lock(self, _name: str, _lock: Lock) -> None:
        """Nobody waits."""


@dataclass
class Bakery:
    """Packer's place in these tests: it makes an image in the cloud and carries the machine's lists out."""

    cloud: Cloud = field(default_factory=Cloud)
    builds: int = 0

    def build(self, prepared: bake.Prepared, settings: Any, _on_line: Any) -> str:
        self.builds += 1
        (prepared.directory / "packages.tsv").write_text(PACKAGES)
        (prepared.directory / "programs.sha256").write_text(PROGRAMS)
        given = {tags.ENVIRONMENT: settings.name, tags.DIGEST: prepared.digest}
        self.cloud.baked.append(Image(f"ami-{self.builds}", prepared.ami_name, "available", "2026", tags=given))
        return f"ami-{self.builds}"


@pytest.fixture
def bakery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bakery:
    made = Bakery()
    write_archives(tmp_path)
    monkeypatch.setattr(command, "_directory", lambda settings: tmp_path / "build" / settings.name)
    monkeypatch.setattr(command, "RECORDS", tmp_path / "images")
    monkeypatch.setattr(bake, "observe_packer", lambda: Packer(1, 6, 6))
    monkeypatch.setattr(bake, "validate", lambda _: None)
    monkeypatch.setattr(bake, "build", made.build)
    return made


def run(tmp_path: Path, bakery: Bakery, **options: Any) -> None:
    clock = SimpleNamespace(now=lambda: 1_700_000_000.0)
    world = cast("World", SimpleNamespace(settings=settings_in(tmp_path), cloud=bakery.cloud, clock=clock))
    plain = {"dry_run": False, "force": False, "yes": True, "json_output": True, "verify": False}
    command.bake_ami(world, **{**plain, **options})


def test_the_second_bake_of_the_same_inputs_returns_the_image_and_starts_nothing(
    tmp_path: Path, bakery: Bakery, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, bakery)
    first = json.loads(capsys.readouterr().out)
    run(tmp_path, bakery)
    second = json.loads(capsys.readouterr().out)

    assert (first["baked"], second["baked"], bakery.builds) == (True, False, 1)
    assert (second["ami"], second["digest"]) == (first["ami"], first["digest"])
    assert second["seconds"] < 5


def test_force_bakes_again_under_another_name(
    tmp_path: Path, bakery: Bakery, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, bakery)
    first = json.loads(capsys.readouterr().out)
    run(tmp_path, bakery, force=True)
    second = json.loads(capsys.readouterr().out)

    assert (second["ami"], second["baked"]) == ("ami-2", True)
    assert second["name"] == f"{first['name']}-1700000000"


def test_the_record_of_a_bake_is_named(tmp_path: Path, bakery: Bakery, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, bakery)

    record = Path(json.loads(capsys.readouterr().out)["record"])
    assert record == tmp_path / "images" / "ami-1"
    assert json.loads((record / MANIFEST).read_text())["name"] == bakery.cloud.baked[0].name
    assert {path.name for path in record.iterdir()} == {MANIFEST, SBOM, "packages.tsv", "programs.sha256"}


def test_an_image_baked_elsewhere_has_no_record_here(
    tmp_path: Path, bakery: Bakery, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, bakery)
    capsys.readouterr()
    monkeypatch.setattr(command, "RECORDS", tmp_path / "another-computer")
    run(tmp_path, bakery)

    assert json.loads(capsys.readouterr().out)["record"] == ""


@pytest.mark.parametrize(("version", "plugins"), [("1.6", False), ("1.11", True)])
def test_a_dry_run_is_written_for_the_packer_that_is_asked_for(
    version: str, plugins: bool, tmp_path: Path, bakery: Bakery, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, bakery, dry_run=True, packer_version=version)

    assert ("required_plugins" in capsys.readouterr().out) is plugins
    assert bakery.builds == 0


def test_a_bake_is_for_the_packer_that_is_installed(tmp_path: Path, bakery: Bakery) -> None:
    with pytest.raises(Refused, match="installed"):
        run(tmp_path, bakery, packer_version="1.11")


def test_sums_from_the_server_of_the_archive_are_told_to_be_pinned(
    tmp_path: Path, bakery: Bakery, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = (tmp_path / "sums").read_bytes()
    monkeypatch.setattr("packer.downloads.read_small", lambda _url: sums)
    settings = settings_in(tmp_path)
    geth = settings.geth.model_copy(update={"checksums": "https://example.org/sums"})
    world = SimpleNamespace(settings=settings.model_copy(update={"geth": geth}), cloud=bakery.cloud)
    command.bake_ami(cast("World", world), dry_run=True, force=False, yes=True, json_output=False)

    told = [line for line in capsys.readouterr().err.splitlines() if "to pin it" in line]
    assert len(told) == 1
    assert 'geth.sha256 = "' in told[0]
