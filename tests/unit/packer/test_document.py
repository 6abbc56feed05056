"""The HCL for one environment and one version of Packer. The golden files are written anew with GOLDEN=write."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import hcl2
import pytest

from packer.document import ssh_sources, write_document
from packer.recipe import SCRIPTS, image_steps
from packer.versions import Packer
from tests.unit.packer.samples import amazon_settings, settings_in
from transcoder.settings import Settings, load, names

DATA = Path(__file__).parents[2] / "data"
GOLDEN = Path(__file__).parent / "golden"
OLD, NEW = Packer(1, 6, 6), Packer(1, 11, 0)


def shipped(name: str, _directory: Path) -> Settings:
    return load(name)


WORLDS: dict[str, Callable[[Path], Settings]] = {
    "other-ec2": settings_in,
    "amazon": amazon_settings,
    **{name: partial(shipped, name) for name in names()},
}
CASES = {
    f"{world}-{packer.major}.{packer.minor}": (make, packer) for world, make in WORLDS.items() for packer in (OLD, NEW)
}
needs_packer_1_6 = pytest.mark.skipif(
    shutil.which("packer") is None
    or "v1.6." not in subprocess.run(["packer", "version"], capture_output=True, text=True, check=False).stdout,
    reason="Packer 1.6 is not installed (apt-get install packer on Debian 12)",
)


def document(settings: Settings, packer: Packer, source_ami_id: str = "", root_device: str = "") -> str:
    return write_document(
        settings,
        image_steps(settings, "a" * 64, "b" * 64),
        packer,
        ami_name="livepeer-transcoder-ubuntu-18.04-0123456789ab",
        digest="0123456789ab" + "0" * 52,
        commit="c" * 40,
        source_ami_id=source_ami_id,
        root_device=root_device,
    )


@pytest.mark.parametrize("case", CASES)
def test_the_document_is_the_golden_one(case: str, tmp_path: Path) -> None:
    make, packer = CASES[case]
    golden = GOLDEN / f"{case}.pkr.hcl"
    written = document(make(tmp_path), packer)
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(written)

    assert written == golden.read_text()


@pytest.mark.parametrize("case", CASES)
def test_every_attribute_of_the_source_is_one_that_the_builder_knows(case: str, tmp_path: Path) -> None:
    known = set((DATA / "packer-amazon-ebs-1.8.2-attributes.txt").read_text().split())
    known |= {"launch_block_device_mappings", "source_ami_filter", "ami_name", "source_ami"}
    make, packer = CASES[case]

    source = hcl2.loads(document(make(tmp_path), packer))["source"][0]['"amazon-ebs"']['"node"']

    assert {name for name in source if not name.startswith("__")} - known == set()


@needs_packer_1_6
@pytest.mark.parametrize("world", WORLDS)
def test_the_installed_packer_1_6_accepts_the_document(world: str, tmp_path: Path) -> None:
    template = tmp_path / "image.pkr.hcl"
    template.write_text(document(WORLDS[world](tmp_path), OLD, source_ami_id="ami-0123456789abcdef0"))
    shutil.copytree(SCRIPTS, tmp_path / "provision")
    for name in ("rootfs.tar", "binaries.tar"):
        (tmp_path / name).touch()

    result = subprocess.run(["packer", "validate", str(template)], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@needs_packer_1_6
@pytest.mark.parametrize("case", CASES)
def test_packer_fmt_has_nothing_to_change(case: str, tmp_path: Path) -> None:
    make, packer = CASES[case]
    template = tmp_path / "image.pkr.hcl"
    template.write_text(document(make(tmp_path), packer))

    command = ["packer", "fmt", "-check", "-diff", "-write=false", str(template)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout) == (0, "")


def test_no_secret_is_in_the_document(tmp_path: Path) -> None:
    assert "very-secret" not in document(settings_in(tmp_path), OLD)


def test_a_given_image_takes_the_place_of_the_filter(tmp_path: Path) -> None:
    written = document(settings_in(tmp_path), OLD, source_ami_id="ami-0abc", root_device="/dev/xvda")

    assert '"ami-0abc"' in written
    assert "source_ami_filter" not in written
    assert 'device_name           = "/dev/xvda"' in written


def test_the_build_machine_lets_in_the_same_networks_to_ssh_as_the_node(tmp_path: Path) -> None:
    assert ssh_sources(settings_in(tmp_path)) == ["192.0.2.0/24", "198.51.100.7/32"]


def test_a_gp3_root_says_what_it_can_because_packer_1_6_insists(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    gp3 = settings.model_copy(update={"instance": settings.instance.model_copy(update={"root_type": "gp3"})})

    assert "throughput" not in document(settings, OLD)
    assert "throughput            = 125" in document(gp3, OLD)
    assert "iops                  = 3000" in document(gp3, NEW)


def test_packer_1_6_gets_nothing_that_it_does_not_know(tmp_path: Path) -> None:
    written = document(amazon_settings(tmp_path), OLD)

    unknown = ("required_plugins", "metadata_options", "imds_support", "include_deprecated", "temporary_key_pair_type")
    assert [name for name in unknown if name in written] == []


def test_a_current_packer_bakes_with_the_second_metadata_service_and_an_ed25519_key(tmp_path: Path) -> None:
    written = document(settings_in(tmp_path), NEW)

    wanted = ('http_tokens                 = "required"', "imds_support", '"v2.0"', '"ed25519"', "required_plugins")
    assert [text for text in wanted if text not in written] == []
