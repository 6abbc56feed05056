"""The digest of an image: sha256 over everything that goes into it. Same digest, same image: no need to bake again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from packer.downloads import Archive
from packer.recipe import SCRIPTS, Script, Step, image_steps
from packer.tarball import File
from transcoder.settings import Settings


def image_digest(
    settings: Settings, rootfs: Mapping[str, File], archives: Mapping[str, Archive], source_ami_id: str = ""
) -> str:
    """Return the digest of the image in hex.

    :param source_ami_id: the image to start from; without it the selector of the settings counts, and a newer stock
        image does not change the digest.
    """
    source: Any = source_ami_id or settings.image.source_ami.model_dump()
    inputs = {
        "environment": settings.name,
        "os": settings.image.os,
        "source_ami": source,
        "root": [settings.image.root_size_gib, settings.instance.root_type],
        "imds_tokens": settings.aws.imds_tokens,
        "rootfs": {path: [file.mode, hashlib.sha256(file.content).hexdigest()] for path, file in rootfs.items()},
        "scripts": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in SCRIPTS.glob("*.sh")},
        **({"encrypted": settings.image.kms_key_id or True} if settings.image.encrypted else {}),
        "steps": [[step.__class__.__name__, *_words(step)] for step in image_steps(settings, "", "")],
        "archives": {name: [archive.version, archive.sha256] for name, archive in archives.items()},
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _words(step: Step) -> list[Any]:
    """Return what a step does, without what it says of itself, and without the sums of what is an input already."""
    return [step.name, dict(step.environment)] if isinstance(step, Script) else list(vars(step).values())
