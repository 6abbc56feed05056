"""`prepare` writes all that a bake consumes, and the same inputs give the same digest."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from packer import bake, digest
from packer.downloads import sha256_of
from packer.recipe import image_steps, package_names
from packer.versions import Packer
from tests.unit.packer.samples import (
    GETH_TAR,
    amazon_settings,
    arbitrum_settings,
    settings_in,
    tar_with,
    write_archives,
)
from transcoder import layout
from transcoder.errors import Refused
from transcoder.settings import Settings

OLD = Packer(1, 6, 6)


def prepared(tmp_path: Path, settings: Settings | None = None, source_ami_id: str = "ami-1") -> bake.Prepared:
    write_archives(tmp_path)
    settings = settings or settings_in(tmp_path)
    (tmp_path / "out").mkdir(exist_ok=True)
    return bake.prepare(
        settings,
        tmp_path / "out",
        start=bake.Start(source_ami_id, "stock/bionic", "/dev/sda1"),
        packer=OLD,
        cache=tmp_path / "cache",
    )


def test_everything_that_the_template_names_is_beside_it(tmp_path: Path) -> None:
    done = prepared(tmp_path)

    named = [line.split("${path.root}/")[1].strip('"') for line in done.hcl.splitlines() if "${path.root}/" in line]
    assert len(named) == 14
    assert [name for name in named if not (done.directory / name).is_file()] == ["packages.tsv", "programs.sha256"]
    assert done.template.read_text() == done.hcl


def test_the_programs_of_the_archives_are_uploaded_executable(tmp_path: Path) -> None:
    with tarfile.open(prepared(tmp_path).directory / "binaries.tar") as tar:
        assert {m.name: oct(m.mode) for m in tar} == dict.fromkeys(("geth", "livepeer", "livepeer_cli"), "0o755")


def test_the_same_inputs_give_the_same_digest_and_the_same_archives(tmp_path: Path) -> None:
    first = prepared(tmp_path)
    archive = (first.directory / "rootfs.tar").read_bytes()
    second = prepared(tmp_path)

    assert (second.digest, second.hcl) == (first.digest, first.hcl)
    assert (second.directory / "rootfs.tar").read_bytes() == archive


def test_every_input_changes_the_digest(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    image = settings.image
    others = [
        settings.model_copy(update={"name": "elsewhere"}),
        settings.model_copy(update={"image": image.model_copy(update={"extra_packages": ["jq"]})}),
        settings.model_copy(update={"image": image.model_copy(update={"root_size_gib": 9})}),
        settings.model_copy(update={"geth": settings.geth.model_copy(update={"max_peers": 3})}),
        settings.model_copy(update={"ssh": settings.ssh.model_copy(update={"user": "admin"})}),
    ]

    digests = [prepared(tmp_path, other).digest for other in (settings, *others)]
    digests.append(prepared(tmp_path, settings, source_ami_id="ami-2").digest)

    assert len(set(digests)) == len(digests)


def test_the_order_of_the_steps_is_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)
    first = digest.image_digest(settings, {}, {})
    monkeypatch.setattr(digest, "image_steps", lambda *_: tuple(reversed(image_steps(settings, "", ""))))

    assert digest.image_digest(settings, {}, {}) != first


def test_another_commit_with_the_same_inputs_is_the_same_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared(tmp_path)
    monkeypatch.setattr(bake, "observe_commit", lambda: "another-dirty")
    second = prepared(tmp_path)

    assert second.digest == first.digest
    assert '"another-dirty"' in second.hcl


def test_another_archive_changes_the_digest(tmp_path: Path) -> None:
    first = prepared(tmp_path)
    write_archives(tmp_path)
    (tmp_path / GETH_TAR).write_bytes(tar_with({"geth": b"other"}))
    sums = (tmp_path / "sums").read_text().splitlines()
    (tmp_path / "sums").write_text(f"{sha256_of(tmp_path / GETH_TAR)}  {GETH_TAR}\n{sums[1]}\n")

    second = bake.prepare(settings_in(tmp_path), tmp_path / "out", start=bake.Start("ami-1"), packer=OLD)

    assert second.digest != first.digest


def test_how_the_build_is_reached_does_not_change_the_digest(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    nearer = settings.model_copy(update={"ssh": settings.ssh.model_copy(update={"port": 2022})})

    assert prepared(tmp_path, nearer).digest == prepared(tmp_path, settings).digest


def test_the_image_says_what_it_is(tmp_path: Path) -> None:
    done = prepared(tmp_path)
    notes = json.loads((done.directory / "rootfs/etc/transcoder/release.json").read_text())

    assert notes["digest"] == done.digest
    assert notes["source_ami"] == {"id": "ami-1", "name": "stock/bionic", "owners": ["self"]}
    assert notes["commit"] == done.commit
    assert notes["geth"]["proven_by"] == ["sha256 of sums"]
    assert notes["geth"]["version"] == "1.8.27"
    assert notes["geth"]["sha256"] == sha256_of(tmp_path / GETH_TAR)


def test_the_name_of_the_image_fits_ec2(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    long = settings.model_copy(update={"image": settings.image.model_copy(update={"name_prefix": "x" * 128})})

    assert len(bake.ami_name(long, "d" * 64)) == 128
    assert bake.ami_name(long, "d" * 64, "1700000000").endswith("-dddddddddddd-1700000000")
    assert bake.ami_name(settings, "0123456789abcdef" * 4) == "livepeer-transcoder-ubuntu-18.04-0123456789ab"


def test_secrets_go_through_the_environment_of_packer_and_not_into_its_files(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    done = prepared(tmp_path, settings)

    assert bake.credentials(settings)["AWS_SECRET_ACCESS_KEY"] == "very-secret"
    texts = [path.read_bytes() for path in done.directory.rglob("*") if path.is_file()]
    assert [text for text in texts if b"very-secret" in text] == []


def test_a_profile_is_named_and_no_key_given(tmp_path: Path) -> None:
    found = bake.credentials(amazon_settings(tmp_path))

    assert found == {"AWS_PROFILE": "ops", "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1"}


def test_packer_1_6_cannot_build_from_a_deprecated_image_that_it_has_to_find_itself(tmp_path: Path) -> None:
    found = prepared(tmp_path, amazon_settings(tmp_path), source_ami_id="")

    with pytest.raises(Refused, match="cannot be baked like this") as refusal:
        bake.build(found, amazon_settings(tmp_path), print)
    assert "deprecated" in refusal.value.reasons[0]
    assert prepared(tmp_path, amazon_settings(tmp_path)).obstacles == ()


def test_a_build_machine_that_nobody_may_log_in_to_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    closed = settings.model_copy(update={"ssh": settings.ssh.model_copy(update={"port": 2222})})

    assert "port 2222" in prepared(tmp_path, closed).obstacles[0]


def test_an_image_that_would_lock_its_own_user_out_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    rooted = settings.model_copy(update={"ssh": settings.ssh.model_copy(update={"user": "root"})})

    with pytest.raises(Refused, match=r"ssh\.user is root"):
        prepared(tmp_path, rooted)


def test_programs_that_do_not_go_together_are_refused_all_at_once_before_anything_is_fetched(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    other = settings.model_copy(
        update={
            "geth": settings.geth.model_copy(update={"version": "1.14.6"}),
            "livepeer": settings.livepeer.model_copy(update={"version": "v0.7.0", "network": "devenv"}),
        }
    )

    with pytest.raises(Refused) as refusal:
        bake.prepare(other, tmp_path / "out", packer=OLD, cache=tmp_path / "cache")
    told = " ".join(refusal.value.reasons)
    for words in ("livepeer v0.7.0 on ubuntu-18.04", "geth 1.14.6 on ubuntu-18.04", "options.ethController", "light"):
        assert words in told
    assert "invoke catalog" in refusal.value.hint
    assert not (tmp_path / "out").exists()


def test_an_image_without_geth_fetches_none_and_says_nothing_of_it(tmp_path: Path) -> None:
    done = prepared(tmp_path, arbitrum_settings(tmp_path))

    assert "transcoder:geth" not in done.hcl
    assert "geth" not in json.loads((done.directory / "rootfs/etc/transcoder/release.json").read_text())
    with tarfile.open(done.directory / "binaries.tar") as tar:
        assert tar.getnames() == ["livepeer", "livepeer_cli"]
    assert "USERS=livepeer:2101" in done.hcl
    assert 'GETH_VERSION="' in done.hcl
    assert "LIVEPEER_VERSION=0.9.1" in done.hcl


def test_a_gpu_brings_its_driver_and_changes_the_digest(tmp_path: Path) -> None:
    plain, gpu = arbitrum_settings(tmp_path), arbitrum_settings(tmp_path, gpus="all")

    assert not any("nvidia" in name for name in package_names(plain))
    assert {"nvidia-utils-580-server", "libnppig12"} <= set(package_names(gpu))


def test_a_preview_needs_no_archive_and_what_it_shows_cannot_be_built(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match="does not exist"):
        bake.prepare(settings, tmp_path / "out", packer=OLD, cache=tmp_path / "cache")

    shown = bake.prepare(settings, tmp_path / "out", packer=OLD, cache=tmp_path / "cache", preview=True)

    assert shown.hcl == shown.template.read_text()
    assert len([text for text in shown.obstacles if "not the final ones" in text]) == 2
    with pytest.raises(Refused, match="cannot be baked like this"):
        bake.build(shown, settings, print)


def test_a_package_name_that_the_shell_would_take_apart_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    image = settings.image.model_copy(update={"extra_packages": ["jq", "x; reboot"]})

    with pytest.raises(Refused) as refusal:
        prepared(tmp_path, settings.model_copy(update={"image": image}))
    assert refusal.value.reasons == ("'x; reboot'",)


def test_the_steps_for_people_are_in_the_order_of_the_document(tmp_path: Path) -> None:
    done = prepared(tmp_path)

    assert done.steps[0].startswith("10-wait-for-apt")
    assert done.steps[-2:] == ("80-clean: remove what belongs to one machine", "90-prove: prove the image")
    assert f"livepeer:{layout.LIVEPEER.service.id} geth:{layout.GETH.service.id}" in done.hcl
