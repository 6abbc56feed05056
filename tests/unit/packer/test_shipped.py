"""The environments that ship: what they choose goes together, and each gives a document that Packer accepts."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from packer import bake, command
from packer.programs import check_programs, choice_of, notes
from packer.release import release_notes
from packer.versions import Packer
from transcoder import layout, shape
from transcoder.catalog import geth, livepeer
from transcoder.errors import Refused, Unreachable
from transcoder.settings import load, names
from transcoder.world import World

SHIPPED = names()
ON_AMAZON = [name for name in SHIPPED if not load(name).aws.endpoint_url]
OLD, NEW = Packer(1, 6, 6), Packer(1, 11, 0)


def test_the_three_environments_for_amazon_ship() -> None:
    assert {"arbitrum", "bionic-2018", "bionic-arbitrum"} <= set(ON_AMAZON)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_an_environment_chooses_goes_together(name: str) -> None:
    check_programs(load(name))


@pytest.mark.parametrize("name", ON_AMAZON)
def test_the_archives_are_those_of_the_releases(name: str) -> None:
    settings, choice = load(name), choice_of(load(name))

    assert settings.livepeer.source == livepeer.download(choice.livepeer.version)
    assert settings.livepeer.checksums == livepeer.checksums(choice.livepeer.version)
    if choice.geth:
        assert settings.geth.source == geth.download(choice.geth.version)


@pytest.mark.parametrize("name", ON_AMAZON)
@pytest.mark.parametrize("packer", [OLD, NEW], ids=str)
def test_each_gives_a_document_without_a_network_and_without_credentials(
    name: str, packer: Packer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.OpenerDirector.open", _no_network)

    shown = bake.prepare(load(name), tmp_path, packer=packer, cache=tmp_path / "cache", preview=True)

    assert "source_ami_filter" in shown.hcl
    if packer is OLD and shutil.which("packer"):
        validate(shown.template)


def validate(template: Path) -> None:
    version = subprocess.run(["packer", "version"], capture_output=True, text=True, check=True).stdout
    if "v1.6." in version:
        result = subprocess.run(["packer", "validate", str(template)], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout + result.stderr) == (0, "")


def _no_network(*_: object, **__: object) -> None:
    raise OSError("no network")


def test_bionic_arbitrum_has_the_newest_livepeer_that_runs_there() -> None:
    settings = load("bionic-arbitrum")
    newer = settings.model_copy(update={"livepeer": settings.livepeer.model_copy(update={"version": "v0.7.0"})})

    assert (settings.image.os, settings.livepeer.network) == ("ubuntu-18.04", "arbitrum-one-mainnet")
    with pytest.raises(Refused) as refusal:
        check_programs(newer)
    assert "glibc 2.31" in refusal.value.reasons[0]


def test_arbitrum_is_a_node_of_today() -> None:
    settings = load("arbitrum")

    assert (settings.image.os, settings.livepeer.version) == ("ubuntu-24.04", "v0.9.1")
    assert (settings.aws.imds_tokens, settings.instance.root_type, settings.volumes.livepeer.type) == (
        *("required", "gp3"),
        "gp3",
    )
    assert shape.data_volumes(settings) == (layout.LIVEPEER,)


def test_the_reference_says_that_its_network_is_gone() -> None:
    assert "no longer exists" in load("bionic-2018").description
    assert any("exists no longer" in note for note in notes(load("bionic-2018")))


# The preview of the command


class Blind:
    """A cloud that nobody has credentials for."""

    def stock_image(self) -> None:
        raise Unreachable("DescribeImages: Unable to locate credentials")

    def images(self, **_: Any) -> None:
        raise AssertionError("there is nothing to be asked with")


@contextmanager
def built_in(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(command, "_directory", lambda settings: directory / settings.name)
    monkeypatch.setattr(bake, "observe_packer", lambda: OLD)
    monkeypatch.setattr("urllib.request.OpenerDirector.open", _no_network)
    yield


@pytest.mark.parametrize("name", ON_AMAZON)
def test_a_dry_run_without_credentials_prints_the_document_with_the_filter_and_says_so(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = cast("World", SimpleNamespace(settings=load(name), cloud=Blind()))
    with built_in(tmp_path, monkeypatch):
        command.bake_ami(world, dry_run=True, force=False, yes=False, json_output=False)

    printed = capsys.readouterr()
    assert printed.out.startswith("packer {")
    assert "source_ami_filter" in printed.out
    assert "its filter stands for it" in printed.err
    assert "as it stands this would be refused" in printed.err


def test_a_bake_without_credentials_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = cast("World", SimpleNamespace(settings=load("arbitrum"), cloud=Blind()))
    with built_in(tmp_path, monkeypatch), pytest.raises(Unreachable, match="credentials"):
        command.bake_ami(world, dry_run=False, force=False, yes=True, json_output=False)


def test_the_release_notes_of_an_image_name_its_network(tmp_path: Path) -> None:
    notes_of = json.loads(release_notes(load("arbitrum"), "d" * 64, {}, commit="c", source_ami={}))

    assert notes_of["network"] == "arbitrum-one-mainnet"
