"""The document with the passphrase of a node's key, as its machine fetches it at each start of livepeer.

It says which key file each passphrase opens, by the file's sha256: while a key gets another passphrase the document
has both, and whichever file is on the volume is opened. ``files/rootfs/.../fetch-passphrase`` reads the same form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from transcoder.facts.reading import unreadable
from transcoder.secret import Secret

FORMAT = "transcoder-passphrase/1"


@dataclass(frozen=True)
class Passphrases:
    """Of the key of ``address``: the passphrase by the sha256 (hex) of the key file that it opens; empty for none."""

    address: str
    by_digest: Mapping[str, Secret] = field(repr=False)


def render_passphrases(passphrases: Passphrases) -> Secret:
    """Return the document."""
    own = {digest: secret.reveal() for digest, secret in sorted(passphrases.by_digest.items())}
    return Secret(json.dumps({"format": FORMAT, "address": passphrases.address, "passphrases": own}))


def parse_passphrases(document: Secret) -> Passphrases:
    """Return what a document says.

    :raises Failed: when it is none; what is in it is not shown.
    """
    try:
        table = json.loads(document.reveal())
        own, address = dict(table["passphrases"]), table["address"]
        known = table["format"] == FORMAT and all(isinstance(text, str) for text in (address, *own.values()))
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise unreadable("passphrase", f"what is stored is not of the format {FORMAT!r}") from None
    return Passphrases(address, {digest: Secret(text) for digest, text in own.items()})
