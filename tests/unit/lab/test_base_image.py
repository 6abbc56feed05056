"""The recipe of the stock image: its digest, its keys, and the programs that run inside the machine."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from lab import base_image, distribution, keyring
from transcoder.errors import Refused

BIONIC = distribution.find("ubuntu-18.04")
SETUP = base_image.ROOTFS / "usr/lib/lab/instance_setup.py"


@pytest.fixture(scope="module")
def setup() -> ModuleType:
    spec = importlib.util.spec_from_file_location("instance_setup", SETUP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_digest_is_the_same_for_the_same_ingredients() -> None:
    first = base_image.recipe_digest(BIONIC, b"authority", "6.1.176")
    assert first == base_image.recipe_digest(BIONIC, b"authority", "6.1.176")


def test_every_ingredient_changes_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {
        base_image.recipe_digest(BIONIC, b"authority", "6.1.176"),
        base_image.recipe_digest(BIONIC, b"another authority", "6.1.176"),
        base_image.recipe_digest(BIONIC, b"authority", "6.1.177"),
        base_image.recipe_digest(dataclasses.replace(BIONIC, packages=("chrony",)), b"authority", "6.1.176"),
    }
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/motd").write_text("changed")
    monkeypatch.setattr(base_image, "ROOTFS", tmp_path)
    digests.add(base_image.recipe_digest(BIONIC, b"authority", "6.1.176"))
    (tmp_path / "etc/motd").chmod(0o755)
    digests.add(base_image.recipe_digest(BIONIC, b"authority", "6.1.176"))
    assert len(digests) == 6


def test_an_unknown_operating_system_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Refused, match="debian-12"):
        distribution.find("ubuntu-16.04")


def test_debian_s_user_is_admin_as_on_its_ami_and_ubuntu_s_is_ubuntu() -> None:
    assert {d.name: d.user for d in distribution.DISTRIBUTIONS} == {
        **{"ubuntu-18.04": "ubuntu", "ubuntu-22.04": "ubuntu", "ubuntu-24.04": "ubuntu"},
        "debian-12": "admin",
    }


def test_chrony_is_left_for_the_recipe_to_install() -> None:
    assert not [d.name for d in distribution.DISTRIBUTIONS if "chrony" in (*distribution.PACKAGES, *d.packages)]


def test_units_that_a_login_session_needs_are_not_masked() -> None:
    needed = {"systemd-logind.service", "user@.service", "cron.service", "dbus.service", "systemd-udevd.service"}
    assert not needed & set(distribution.MASKED_UNITS)


def test_only_primary_keys_count_as_fingerprints() -> None:
    listing = (
        "pub:-:4096:1:871920D1991BC93C:1537196506:::-:::scSC::::::23::0:\n"
        "fpr:::::::::F6ECB3762474EDA9D21B7022871920D1991BC93C:\n"
        "uid:-::::1537196506::A1::Ubuntu Archive Automatic Signing Key (2018)::::::::::0:\n"
        "sub:-:4096:1:0000000000000001:1537196506::::::e::::::23:\n"
        "fpr:::::::::000000000000000000000000000000000000SUBK:\n"
    )
    assert keyring.parse_fingerprints(listing) == {"F6ECB3762474EDA9D21B7022871920D1991BC93C"}


def test_a_keyring_without_the_archive_s_keys_is_refused_and_the_keys_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "check_tools", lambda _tools: None)
    monkeypatch.setattr(keyring, "run", lambda *_arguments: "pub:::\nfpr:::::::::SOMEBODYELSE:\n")
    with pytest.raises(Refused) as refusal:
        keyring.check_fingerprints(tmp_path / "keys.gpg", BIONIC)
    assert [reason.split()[1] for reason in refusal.value.reasons] == sorted(BIONIC.fingerprints)


def test_programs_of_the_overlay_are_executable_in_the_image_and_data_is_not() -> None:
    assert base_image.overlay_mode(base_image.ROOTFS / "usr/lib/lab/net") == 0o755
    assert base_image.overlay_mode(base_image.ROOTFS / "etc/fstab") == 0o644


def test_the_cache_keeps_the_newest_images_of_a_system_and_all_of_another(tmp_path: Path) -> None:
    for age, name in enumerate(("ubuntu-18.04-a", "ubuntu-18.04-b", "ubuntu-18.04-c", "ubuntu-18.04-d", "debian-12-a")):
        (tmp_path / f"{name}.img").touch()
        os.utime(tmp_path / f"{name}.img", (age, age))
    newest = base_image.BaseImage(tmp_path / "ubuntu-18.04-d.img", "name", "ubuntu-18.04", 8, "ubuntu")
    base_image.forget_old_images(newest)
    kept = ["debian-12-a", "ubuntu-18.04-b", "ubuntu-18.04-c", "ubuntu-18.04-d"]
    assert sorted(path.stem for path in tmp_path.iterdir()) == kept


@pytest.mark.parametrize(
    ("serial", "words"),
    [
        ("vol0abc.xvdg", "vol0abc xvdg\n"),
        ("vol0abc.sda1", "vol0abc xvda sda1\n"),
    ],
)
def test_a_disk_s_serial_is_split_into_volume_and_device_names(serial: str, words: str) -> None:
    program = str(base_image.ROOTFS / "usr/lib/lab/ebs-id")
    assert subprocess.run([program, serial], capture_output=True, text=True, check=True).stdout == words


def test_the_code_for_the_machine_runs_on_python_3_6() -> None:
    source = SETUP.read_text()
    compile(source, str(SETUP), "exec", dont_inherit=True)
    assert "from __future__ import annotations" not in source  # Python 3.7
    assert ":=" not in source  # Python 3.8


def test_a_new_host_name_replaces_the_one_of_the_instance_that_was_baked_from(setup: ModuleType) -> None:
    before = "127.0.0.1 localhost\n127.0.1.1 ip-10-0-0-1\n# kept\n"
    after = setup.hosts_with_name(before, "ip-10-0-0-2.ec2.internal ip-10-0-0-2")
    assert after == "127.0.0.1 localhost\n# kept\n127.0.1.1 ip-10-0-0-2.ec2.internal ip-10-0-0-2\n"


def test_user_data_that_is_a_script_is_marked_to_run_and_other_user_data_is_not(
    setup: ModuleType, tmp_path: Path
) -> None:
    script, text = tmp_path / "script", tmp_path / "text"
    script.mkdir()
    text.mkdir()
    setup.keep_user_data(script, b"#!/bin/sh\ntrue\n")
    setup.keep_user_data(text, b"key = value\n")
    assert (script / "user-data.pending").exists()
    assert (script / "scripts/user-data").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in text.iterdir()] == ["user-data.txt"]


def test_a_metadata_service_that_refuses_is_not_asked_again(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        asked.append(path)
        return 403, b"disabled"

    monkeypatch.setattr(setup, "request", refuse)
    with pytest.raises(setup.MetadataError, match="403 disabled"):
        setup.fetch_token()
    assert asked == ["/latest/api/token"]
