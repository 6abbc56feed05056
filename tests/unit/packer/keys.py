"""OpenPGP keys that are made for a test, and what they sign: real gpg in a home that is thrown away."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signer:
    """A key pair. ``fingerprint`` is that of the primary key, which certifies; a subkey of it signs."""

    home: Path
    fingerprint: str

    def public(self, *, armor: bool = True) -> bytes:
        return gpg(self.home, *(["--armor"] if armor else []), "--export", self.fingerprint)

    def sign(self, content: bytes) -> bytes:
        return gpg(self.home, "--armor", "--local-user", self.fingerprint, "--detach-sign", given=content)


@contextmanager
def signers(*names: str) -> Iterator[list[Signer]]:
    """Make a key for each name, and end the agent that holds them."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as directory:
        home = Path(directory)
        try:
            yield [_signer(home, f"{name} <{name}@example.org>") for name in names]
        finally:
            subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=environment(home), check=True)


def _signer(home: Path, user: str) -> Signer:
    secret = ("--passphrase", "", "--pinentry-mode", "loopback")
    gpg(home, *secret, "--quick-generate-key", user, "ed25519", "cert", "never")
    listed = gpg(home, "--with-colons", "--list-keys", f"={user}").decode()
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
    gpg(home, *secret, "--quick-add-key", fingerprint, "ed25519", "sign", "never")
    return Signer(home, fingerprint)


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "GNUPGHOME": str(home)}


def gpg(home: Path, *arguments: str, given: bytes = b"") -> bytes:
    command = ["gpg", "--batch", "--quiet", *arguments]
    return subprocess.run(command, env=environment(home), input=given, capture_output=True, check=True).stdout
