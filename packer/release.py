"""/etc/transcoder/release.json: what an image is, for whoever is logged in to a machine of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from packer.downloads import Archive
from transcoder.catalog.geth import PPA_SIGNED_BY
from transcoder.settings import Settings

RELEASE = "etc/transcoder/release.json"


def release_notes(
    settings: Settings, digest: str, archives: Mapping[str, Archive], *, commit: str, source_ami: Mapping[str, str]
) -> str:
    """Return the file's text. In the machine, the time of the bake is added at its top.

    :param source_ami: ``id`` and ``name`` of the stock image, as far as they are known.
    """
    notes = {
        "digest": digest,
        "commit": commit,
        "environment": settings.name,
        "os": settings.image.os,
        "source_ami": {**source_ami, "owners": settings.image.source_ami.owners},
        "network": settings.livepeer.network,
        **_geth(settings),
        **{name: _archive(archive) for name, archive in archives.items()},
    }
    return json.dumps(notes, indent=2, sort_keys=True) + "\n"


def _archive(archive: Archive) -> dict[str, Any]:
    return {
        "version": archive.version,
        "source": archive.source,
        "sha256": archive.sha256,
        "proven_by": list(archive.proofs),
    }


def _geth(settings: Settings) -> dict[str, Any]:
    own = settings.geth
    if not own.from_ppa:
        return {}
    key = own.signing_key or PPA_SIGNED_BY
    return {"geth": {"version": own.version, "source": own.source, "proven_by": [f"signature of {key}"]}}
