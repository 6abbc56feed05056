"""What is kept of a bake: the machine's own lists, as they were carried out of it, and a bill of materials of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.bom import Bom

from packer.inventory import Package, Program, parse_packages, parse_programs
from packer.record import MANIFEST, SBOM, write_record
from transcoder.errors import Failed
from transcoder.model import Image

PACKAGES = (
    "chrony\t3.2-4ubuntu4.5\tamd64\tchrony\t3.2-4ubuntu4.5\n"
    "libc-bin\t2.27-3ubuntu1.6\tamd64\tglibc\t2.27-3ubuntu1.6\n"
    "tzdata\t2023c-0ubuntu0.18.04\tall\ttzdata\t2023c-0ubuntu0.18.04\n"
)
PROGRAMS = f"{'1' * 64}  geth\n{'2' * 64}  livepeer\n{'3' * 64}  livepeer_cli\n"
RELEASE: dict[str, Any] = {
    "commit": "c" * 40,
    "digest": "d" * 64,
    "environment": "world",
    "os": "ubuntu-18.04",
    "source_ami": {"id": "ami-1", "name": "stock/bionic", "owners": ["self"]},
    "geth": {"version": "1.8.27", "source": "https://example.org/geth.tar.gz", "sha256": "a" * 64},
    "livepeer": {"version": "0.2.4", "source": "/srv/livepeer.tar.gz", "sha256": "b" * 64},
}
IMAGE = Image("ami-0abc", "livepeer-transcoder-x", "available", "", tags={"transcoder:digest": "d" * 64})


def recorded(directory: Path, packages: str = PACKAGES, release: dict[str, Any] | None = None) -> Path:
    baked_in = directory / "bake"
    (baked_in / "rootfs/etc/transcoder").mkdir(parents=True)
    (baked_in / "rootfs/etc/transcoder/release.json").write_text(json.dumps(release or RELEASE))
    (baked_in / "packages.tsv").write_text(packages)
    (baked_in / "programs.sha256").write_text(PROGRAMS)
    write_record(IMAGE, baked_in, directory / "images", {"ami": IMAGE.id, "baked": True})
    return directory / "images" / IMAGE.id


def components(record: Path) -> dict[str, dict[str, Any]]:
    document = json.loads((record / SBOM).read_text())
    return {component["name"]: component for component in document["components"]}


def test_the_manifest_lies_beside_the_lists_of_the_machine(tmp_path: Path) -> None:
    record = recorded(tmp_path)
    manifest = json.loads((record / MANIFEST).read_text())

    assert (manifest["ami"], manifest["tags"], manifest["release"]) == (IMAGE.id, dict(IMAGE.tags), RELEASE)
    assert (record / "packages.tsv").read_text() == PACKAGES


def test_every_package_is_named_as_scanners_name_it(tmp_path: Path) -> None:
    found = components(recorded(tmp_path))

    assert found["libc-bin"]["purl"] == "pkg:deb/ubuntu/libc-bin@2.27-3ubuntu1.6?arch=amd64&distro=ubuntu-18.04"
    assert found["libc-bin"]["properties"] == [
        {"name": "transcoder:source-package", "value": "glibc 2.27-3ubuntu1.6"},
    ]
    assert set(found) == {"chrony", "libc-bin", "tzdata", "geth", "livepeer", "livepeer_cli"}


def test_each_program_has_its_own_sum_and_that_of_the_archive_it_is_from(tmp_path: Path) -> None:
    found = components(recorded(tmp_path))

    assert found["geth"]["purl"] == "pkg:github/ethereum/go-ethereum@1.8.27"
    assert found["geth"]["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert found["livepeer_cli"]["externalReferences"] == [
        {
            "type": "distribution",
            "url": "/srv/livepeer.tar.gz",
            "hashes": [{"alg": "SHA-256", "content": "b" * 64}],
        }
    ]


def test_a_geth_that_apt_installed_has_no_archive_of_its_own(tmp_path: Path) -> None:
    release = {**RELEASE, "geth": {"version": "1.8.27", "source": "ppa:ethereum/ethereum"}}

    reference = components(recorded(tmp_path, release=release))["geth"]["externalReferences"]

    assert reference == [{"type": "distribution", "url": "ppa:ethereum/ethereum"}]


def test_the_bill_is_of_the_ami_and_read_back_as_cyclonedx(tmp_path: Path) -> None:
    text = (recorded(tmp_path) / SBOM).read_text()
    document = json.loads(text)
    bom = Bom.from_json(document)  # type: ignore[attr-defined]

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["name"] == IMAGE.name
    assert document["metadata"]["component"]["version"] == "d" * 64
    assert len(bom.components) == 6
    depends = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert len(depends[IMAGE.id]) == 6


@pytest.mark.parametrize("text", ["", "chrony\t3.2\n", "chrony\t\tamd64\tchrony\t3.2\n"])
def test_a_list_that_is_broken_off_is_no_list(text: str, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="list of packages"):
        recorded(tmp_path, packages=text)


def test_the_lists_are_read_into_facts() -> None:
    assert parse_packages(PACKAGES)[1] == Package("libc-bin", "2.27-3ubuntu1.6", "amd64", "glibc", "2.27-3ubuntu1.6")
    assert parse_programs(PROGRAMS)[0] == Program("geth", "1" * 64)
    with pytest.raises(Failed, match="list of programs"):
        parse_programs("abc  geth\n")
