"""Ethereum addresses: one written form, so that two of them can be compared.

Keystore files write 40 lower-case digits, livepeer's API an EIP-55 text with mixed case. Here an address is ``0x`` and
40 lower-case hexadecimal digits. The checksum in the mixed case is not checked: nobody types these in.
"""

from __future__ import annotations

import re

from transcoder.facts.reading import unreadable

ZERO = "0x" + "0" * 40
_ADDRESS = re.compile(r"(0x)?([0-9a-fA-F]{40})")


def parse_address(tool: str, text: str) -> str:
    """Return the address in its one form.

    :param tool: who printed it, for the error.
    :raises Failed: when it is none, or the zero address, which a node without an account reports.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if not match:
        raise unreadable(tool, "expected an Ethereum address", text)
    address = "0x" + match[2].lower()
    if address == ZERO:
        raise unreadable(tool, "the zero address: it runs without an account", text)
    return address
