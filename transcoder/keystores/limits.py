"""What the stores have in common: how large a document may be, and how it is said."""

from __future__ import annotations

from transcoder.errors import Refused
from transcoder.secret import Secret


def fitting(content: Secret, largest: int, where: str, hint: str) -> str:
    """Return the text of a document that fits into the store.

    :raises Refused: when it is larger than ``largest`` bytes.
    """
    text = content.reveal()
    size = len(text.encode())
    if size > largest:
        raise Refused(f"{size} bytes are too large for {where}, which takes {largest}", hint=hint)
    return text
