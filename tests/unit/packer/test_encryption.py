"""An AMI that is encrypted, with EBS's own key or a given one, is so from its first byte on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import hcl2
import pytest

from packer import bake
from packer.versions import Packer
from tests.unit.packer.samples import settings_in, write_archives
from transcoder.settings import Settings

OLD, NEW = Packer(1, 6, 6), Packer(1, 11, 0)
KEY = "arn:aws:kms:us-east-1:111122223333:key/0123"
WITH_KEY: Mapping[str, object] = {"encrypted": True, "kms_key_id": KEY}


def settings(directory: Path, image: Mapping[str, object]) -> Settings:
    own = settings_in(directory)
    return own.model_copy(update={"image": own.image.model_copy(update=dict(image))})


def prepared(directory: Path, image: Mapping[str, object], packer: Packer = OLD) -> bake.Prepared:
    write_archives(directory)
    return bake.prepare(settings(directory, image), directory / "bake", packer=packer, cache=directory / "cache")


@pytest.mark.parametrize("packer", [OLD, NEW], ids=str)
def test_the_root_volume_of_the_bake_is_encrypted_and_so_is_what_is_made_of_it(packer: Packer, tmp_path: Path) -> None:
    def root(**image: object) -> dict[str, object]:
        source = hcl2.loads(prepared(tmp_path, image, packer).hcl)["source"][0]
        (mapping,) = source['"amazon-ebs"']['"node"']["launch_block_device_mappings"]
        return {key: mapping[key] for key in ("encrypted", "kms_key_id") if key in mapping}

    assert root() == {}
    assert root(encrypted=True) == {"encrypted": True}
    assert root(**WITH_KEY) == {"encrypted": True, "kms_key_id": f'"{KEY}"'}


def test_another_key_is_another_image_and_none_is_the_image_of_before(tmp_path: Path) -> None:
    digests = [
        prepared(tmp_path, image).digest
        for image in ({}, {"encrypted": False}, {"encrypted": True}, WITH_KEY, {**WITH_KEY, "kms_key_id": "alias/b"})
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


@pytest.mark.skipif(shutil.which("packer") is None, reason="packer is not installed (apt-get install packer)")
def test_the_installed_packer_1_6_accepts_an_encrypted_root(tmp_path: Path) -> None:
    version = subprocess.run(["packer", "version"], capture_output=True, text=True, check=True).stdout
    if "v1.6." not in version:
        pytest.skip(f"this is {version.strip()}, not 1.6")
    bake.validate(prepared(tmp_path, WITH_KEY))
