"""A bake that leaves something behind fails, and says what and where: no AMI comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from packer import bake
from tests.rehearsals.rig import Rig
from transcoder import tags
from transcoder.errors import Failed
from transcoder.model import Image

KEYSTORE = {"crypto": {"ciphertext": "5f" * 32, "kdf": "scrypt", "mac": "cd" * 32}, "version": 3}
KEY, HELPER = "/opt/old/key.json", "/usr/local/bin/helper"
PLANTED = {
    "/etc/ssh/ssh_host_ed25519_key: a host key": "ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key",
    "/home/ubuntu/.bash_history: what somebody did here": "echo ls >/home/ubuntu/.bash_history",
    f"{KEY}: an Ethereum key (keystore JSON)": f"mkdir /opt/old; echo '{json.dumps(KEYSTORE)}' >{KEY}",
    "/etc/geth/geth.toml: owner 0:0, mode 666": "chmod 0666 /etc/geth/geth.toml",
    f"{HELPER}: runs as its owner or group": f"cp /bin/true {HELPER}; chmod 4755 {HELPER}",
    "vm.swappiness: is 60": "sysctl -q -w vm.swappiness=60",
}


def baked_image(rig: Rig) -> Image:
    """Return the image that was baked from the environment's inputs."""
    return rig.world.cloud.images(tags={tags.ENVIRONMENT: rig.settings.name})[-1]


def prepare_careless(rig: Rig, directory: Path) -> bake.Prepared:
    """Prepare a bake that starts from the baked image, cleans it, and then leaves things behind."""
    image = baked_image(rig)
    start = bake.Start(image.id, image.name, image.root_device)
    prepared = bake.prepare(rig.baking_settings, directory, start=start, ami_name_suffix="careless")
    for script in (directory / "provision").glob("*.sh"):
        if script.name < "80":
            script.write_text(": # done in the image that this starts from\n")
    clean = directory / "provision" / "80-clean.sh"
    clean.write_text("\n".join([clean.read_text(), *PLANTED.values(), ""]))
    return prepared


def test_everything_that_is_left_behind_is_told_with_its_path_and_no_image_is_made(rig: Rig, tmp_path: Path) -> None:
    prepared = prepare_careless(rig, tmp_path)
    said: list[str] = []

    with pytest.raises(Failed, match="packer build failed") as failure:
        bake.build(prepared, rig.baking_settings, said.append)

    found = [line.partition("prove-image: found ")[2] for line in said if "prove-image: found " in line]
    assert {expected for expected in PLANTED if not any(line.startswith(expected) for line in found)} == set()
    # A host key is a private key, too; nothing else is found than what was planted.
    assert len(found) <= len(PLANTED) + 4, found
    assert "prove-image: found /etc/ssh/ssh_host_ed25519_key: a host key" in str(failure.value.message)
    assert "5f" * 32 not in "".join(said)
    assert not [image for image in rig.world.cloud.images() if image.name == prepared.ami_name]
