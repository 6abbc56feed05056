"""An inventory as a software bill of materials: CycloneDX 1.6 in JSON, which scanners of vulnerabilities read."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from packer.inventory import Inventory, Package

PROJECTS = {"geth": ("ethereum", "go-ethereum"), "livepeer": ("livepeer", "go-livepeer")}
"""The repository on GitHub that a program is released from."""


@dataclass(frozen=True)
class Subject:
    """Whose bill it is: the AMI, and what its release.json says."""

    ami: str
    ami_name: str
    release: Mapping[str, Any]


def write_sbom(subject: Subject, inventory: Inventory) -> str:
    """Return the document."""
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"ami:{subject.ami}"))
    image = _image(subject)
    bom.metadata.component = image
    parts = [*_packages(subject, inventory), *_programs(subject, inventory)]
    bom.components.update(parts)
    bom.register_dependency(image, parts)
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return str(outputter.output_as_string(indent=2)) + "\n"


def _image(subject: Subject) -> Component:
    release = subject.release
    told = {
        "ami": subject.ami,
        "commit": release["commit"],
        "environment": release["environment"],
        "source-ami": release["source_ami"].get("id", ""),
    }
    return Component(
        type=ComponentType.OPERATING_SYSTEM,
        name=subject.ami_name,
        version=release["digest"],
        bom_ref=subject.ami,
        properties=[Property(name=f"transcoder:{name}", value=value) for name, value in told.items()],
    )


def _packages(subject: Subject, inventory: Inventory) -> Iterator[Component]:
    for package in inventory.packages:
        url = _package_url(package, subject.release["os"])
        yield Component(
            type=ComponentType.LIBRARY,
            name=package.name,
            version=package.version,
            purl=url,
            bom_ref=url.to_string(),
            properties=[Property(name="transcoder:source-package", value=f"{package.source} {package.source_version}")],
        )


def _package_url(package: Package, os: str) -> PackageURL:
    """Return ``pkg:deb/ubuntu/curl@7.58.0-2ubuntu3?arch=amd64&distro=ubuntu-18.04``, as the purl specification says."""
    return PackageURL(
        "deb", os.partition("-")[0], package.name, package.version, {"arch": package.architecture, "distro": os}
    )


def _programs(subject: Subject, inventory: Inventory) -> Iterator[Component]:
    for program in inventory.programs:
        project = program.name.partition("_")[0]
        release = subject.release[project]
        owner, repository = PROJECTS[project]
        yield Component(
            type=ComponentType.APPLICATION,
            name=program.name,
            version=release["version"],
            purl=PackageURL("github", owner, repository, release["version"]),
            bom_ref=f"/usr/local/bin/{program.name}",
            hashes=[_sha256(program.sha256)],
            external_references=[_distribution(release)],
        )


def _distribution(release: Mapping[str, Any]) -> ExternalReference:
    """Return the archive that the program is from, with the archive's own sum where there is one."""
    hashes = [_sha256(release["sha256"])] if "sha256" in release else []
    return ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(release["source"]), hashes=hashes)


def _sha256(content: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=content)
