"""What is kept of a bake on the operator's disk, by AMI: manifest, release notes, package list, bill of materials."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packer.inventory import Inventory, parse_packages, parse_programs
from packer.recipe import PACKAGE_LIST, PROGRAM_SUMS
from packer.release import RELEASE
from packer.sbom import Subject, write_sbom
from transcoder.model import Image

MANIFEST, SBOM = "manifest.json", "sbom.cdx.json"


def write_record(image: Image, baked_in: Path, directory: Path, manifest: Mapping[str, Any]) -> None:
    """Write the record of a baked image.

    :param baked_in: the directory of the bake, with what was carried out of the machine.
    :param directory: of all records; this one gets a directory named after the AMI.
    :raises Failed: when the machine's lists are not what they should be.
    """
    release = json.loads((baked_in / "rootfs" / RELEASE).read_text(encoding="utf-8"))
    texts = {name: (baked_in / name).read_text(encoding="utf-8") for name in (PACKAGE_LIST, PROGRAM_SUMS)}
    inventory = Inventory(parse_packages(texts[PACKAGE_LIST]), parse_programs(texts[PROGRAM_SUMS]))
    own = directory / image.id
    own.mkdir(parents=True, exist_ok=True)
    for name in texts:
        shutil.copyfile(baked_in / name, own / name)
    (own / SBOM).write_text(write_sbom(Subject(image.id, image.name, release), inventory), encoding="utf-8")
    whole = {**manifest, "tags": dict(image.tags), "release": release}
    (own / MANIFEST).write_text(json.dumps(whole, indent=2, sort_keys=True) + "\n", encoding="utf-8")
