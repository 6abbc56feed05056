"""geth from the package archive: apt trusts its one key for it alone, and takes nothing else from there."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from packer import bake
from packer.digest import image_digest
from packer.downloads import Store
from packer.ppa import KEYRING, PREFERENCES, SOURCES, apt_files
from packer.programs import check_programs, notes
from packer.recipe import SCRIPTS
from packer.versions import Packer
from tests.unit.packer.keys import Signer, signers
from tests.unit.packer.samples import GETH_TAR, settings_in, write_archives
from transcoder.errors import BadSettings, Refused
from transcoder.settings import Settings, load

OLD = Packer(1, 6, 6)


@pytest.fixture(scope="module")
def launchpad() -> Iterator[Signer]:
    with signers("launchpad") as made:
        yield made[0]


def from_ppa(tmp_path: Path, launchpad: Signer, *, mirror: str = "", sha256: str = "") -> Settings:
    """The sample environment with geth from the package archive."""
    write_archives(tmp_path)
    (tmp_path / "ppa.asc").write_bytes(launchpad.public())
    path = Path(settings_in(tmp_path).path)
    archive = f'source = "{GETH_TAR}"\nchecksums = "sums"'
    text = path.read_text().replace(archive, own(launchpad))
    path.write_text(text.replace("[geth]", f'[downloads]\nmirror = "{mirror}"\n\n[geth]\nsha256 = "{sha256}"', 1))
    return load(str(path))


def own(launchpad: Signer) -> str:
    return f'source = "ppa:ethereum/ethereum"\nsigning_key = "{launchpad.fingerprint}"\nkeyring = "ppa.asc"'


def prepared(tmp_path: Path, settings: Settings) -> bake.Prepared:
    return bake.prepare(settings, tmp_path / "out", packer=OLD, cache=tmp_path / "cache")


def test_the_source_names_its_own_keyring_and_the_release_of_the_image(tmp_path: Path, launchpad: Signer) -> None:
    files = apt_files(from_ppa(tmp_path, launchpad), Store(tmp_path))

    assert files[SOURCES].content.decode() == (
        "deb [signed-by=/usr/share/keyrings/ethereum-ppa.gpg] "
        "https://ppa.launchpadcontent.net/ethereum/ethereum/ubuntu bionic main\n"
    )
    assert files[KEYRING].content.startswith(b"\x98")
    assert files[PREFERENCES].content.decode().split("\n\n") == [
        "Package: *\nPin: release o=LP-PPA-ethereum-ethereum\nPin-Priority: -1",
        "Package: geth\nPin: version 1.8.27+*\nPin-Priority: 1000\n",
    ]


def test_geth_is_installed_by_apt_and_no_archive_of_it_is_fetched(tmp_path: Path, launchpad: Signer) -> None:
    done = prepared(tmp_path, from_ppa(tmp_path, launchpad, sha256="a" * 64))

    assert "45-geth-package: install geth from ppa:ethereum/ethereum" in done.steps
    assert "GETH_SHA256=" + "a" * 64 in done.hcl
    with tarfile.open(done.directory / "binaries.tar") as tar:
        assert tar.getnames() == ["livepeer", "livepeer_cli"]
    release = json.loads((done.directory / "rootfs/etc/transcoder/release.json").read_text())
    assert release["geth"]["proven_by"] == [f"signature of {launchpad.fingerprint}"]
    assert (done.directory / "rootfs" / SOURCES).is_file()


def test_another_version_of_it_is_another_image(tmp_path: Path, launchpad: Signer) -> None:
    settings = from_ppa(tmp_path, launchpad)
    other = settings.model_copy(update={"geth": settings.geth.model_copy(update={"version": "1.8.26"})})

    digests = {image_digest(each, apt_files(each, Store(tmp_path)), {}) for each in (settings, other)}

    assert len(digests) == 2


def test_a_mirror_serves_the_package_archive_too_when_the_machine_can_reach_it(
    tmp_path: Path, launchpad: Signer
) -> None:
    settings = from_ppa(tmp_path, launchpad, mirror="https://mirror.example/x")
    source = apt_files(settings, Store(tmp_path, mirror=settings.downloads.mirror))[SOURCES].content.decode()

    assert "https://mirror.example/x/ppa.launchpadcontent.net/ethereum/ethereum/ubuntu bionic" in source
    with pytest.raises(Refused, match="cannot reach"):
        prepared(tmp_path, from_ppa(tmp_path, launchpad, mirror="/srv/mirror"))


def test_a_key_with_another_fingerprint_is_refused(tmp_path: Path, launchpad: Signer) -> None:
    settings = from_ppa(tmp_path, launchpad)
    wrong = settings.model_copy(update={"geth": settings.geth.model_copy(update={"signing_key": "A" * 40})})

    with pytest.raises(Refused, match="has not the key A"):
        prepared(tmp_path, wrong)


def test_packages_are_of_ubuntu_and_need_not_the_glibc_of_the_archive(tmp_path: Path, launchpad: Signer) -> None:
    settings = from_ppa(tmp_path, launchpad)
    new = {"version": "1.14.6", "sync_mode": "snap", "consensus_client": True}
    newer = settings.model_copy(update={"geth": settings.geth.model_copy(update=new)})
    debian = settings.model_copy(update={"image": settings.image.model_copy(update={"os": "debian-12"})})

    check_programs(newer)
    assert any("newest build only" in note for note in notes(newer))
    with pytest.raises(Refused) as refusal:
        check_programs(debian)
    assert "not built for debian-12" in refusal.value.reasons[0]


def test_sums_of_an_archive_make_no_sense_for_it(tmp_path: Path, launchpad: Signer) -> None:
    path = from_ppa(tmp_path, launchpad).path
    path.write_text(path.read_text().replace('keyring = "ppa.asc"', 'keyring = "ppa.asc"\nchecksums = "sums"'))

    with pytest.raises(BadSettings) as refusal:
        load(str(path))
    assert "apt checks it" in refusal.value.reasons[0]


def test_a_version_that_the_archive_no_longer_has_fails_with_what_it_offers(tmp_path: Path) -> None:
    stubs = {
        "apt-get": "exit 0",
        "apt-cache": 'echo " geth | 1.17.5+build32000+bionic | https://ppa.launchpadcontent.net"',
    }
    for name, does in stubs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "GETH_VERSION": "1.8.27", "GETH_SHA256": ""}

    command = ["sh", str(SCRIPTS / "45-geth-package.sh")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert "offers geth 1.17.5+build32000+bionic and not 1.8.27" in result.stderr
