"""What secrets look like. Knows no machine: the operator's side reads the same file before a bake starts."""

import re
from typing import List

PROGRAM = b"\x7fELF"
"""How a compiled program begins: it is its publisher's and proven by its sum, and it holds headers of keys."""

_KEY_FILE = re.compile(r"UTC--.+--(0x)?[0-9a-fA-F]{40}$")
_EDGE = rb"(?<![A-Za-z0-9/+])"
PATTERNS = (
    # The header alone stands in programs and manuals; a key has a body.
    ("a private key (PEM)", re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----[\sA-Za-z0-9+/=:,.()-]{64}")),
    ("a private key (PEM)", re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----\s*\n[A-Za-z0-9+/=]{8,}\s*\n")),
    ("a private key (PuTTY)", re.compile(rb"PuTTY-User-Key-File-[0-9]+: ")),
    ("an age identity", re.compile(rb"AGE-SECRET-KEY-1[0-9A-Z]{50}")),
    ("an AWS access key id", re.compile(_EDGE + rb"(AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9/+=])")),
    (
        "an AWS secret access key",
        re.compile(rb"(?i)secret_?access_?key[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])"),
    ),
    ("an AWS session token", re.compile(rb"(?i)session_?token[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+=]{100}")),
    ("a Vault token", re.compile(_EDGE + rb"hvs\.[A-Za-z0-9_-]{24}")),
)
_CIPHERTEXT = re.compile(rb"\"ciphertext\"\s*:\s*\"(0x)?[0-9a-fA-F]{2}")
_DERIVATION = re.compile(rb"\"kdf(params)?\"\s*:")
_RAW_KEY = re.compile(rb"\s*(0x)?[0-9a-fA-F]{64}\s*")


def kinds(content: bytes) -> "List[str]":
    """Return what kinds of secrets a text holds."""
    if content.startswith(PROGRAM):
        return []
    found = list(dict.fromkeys(kind for kind, pattern in PATTERNS if pattern.search(content)))
    if _CIPHERTEXT.search(content) and _DERIVATION.search(content):
        found.append("an Ethereum key (keystore JSON)")
    if _RAW_KEY.fullmatch(content):
        found.append("32 bytes in hexadecimal, as geth and livepeer write a plain key")
    return found


def kinds_of_name(path: str) -> "List[str]":
    """Return what a file's name alone says that it is."""
    return ["a name that only a key file has"] if _KEY_FILE.search(path) else []
