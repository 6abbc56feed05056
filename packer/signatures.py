"""Who made a file: a detached OpenPGP signature, checked by gpgv against the one key whose fingerprint is pinned.

gpg and gpgv run with a home of their own that is thrown away, so that no key of the operator's counts.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transcoder.errors import Refused

TIMEOUT_SECONDS = 120
KEYSERVER = "https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x"
"""Anybody may put anything there: a key from there counts because its fingerprint is the pinned one."""


def only_key(keys: bytes, fingerprint: str, where: str) -> bytes:
    """Return one key, out of armoured or binary keys, as a keyring for gpgv and apt: either trusts all that it holds.

    :param fingerprint: of the primary key, 40 hexadecimal digits in upper case.
    :param where: where the keys are from, for the message.
    :raises Refused: when the key is not among them.
    """
    with _home() as home:
        _run("gpg", home, "--import-options", "import-minimal", "--import", given=keys)
        listed = _run("gpg", home, "--with-colons", "--fingerprint", "--list-keys").stdout.decode(errors="replace")
        found = _primary_fingerprints(listed)
        if fingerprint not in found:
            held = ", ".join(found) or "no key"
            raise Refused(f"{where} has not the key {fingerprint}, but {held}: the pinned fingerprint is what counts")
        return _run("gpg", home, "--export-options", "export-minimal", "--export", fingerprint).stdout


def check_signature(file: Path, signature: bytes, keyring: bytes, fingerprint: str) -> None:
    """Check that a file was signed by the key with this fingerprint.

    :param keyring: that of `only_key`.
    :raises Refused: with what gpgv says: nothing has been unpacked.
    """
    with _home() as home:
        (home / "key.gpg").write_bytes(keyring)
        (home / "signature").write_bytes(signature)
        files = ("--keyring", str(home / "key.gpg"), str(home / "signature"), str(file.resolve()))
        result = _run("gpgv", home, "--status-fd", "1", *files)
    if result.returncode or fingerprint not in _signers(result.stdout.decode(errors="replace")):
        said = [line for line in result.stderr.decode(errors="replace").splitlines() if line.strip()]
        message = f"{file.name} is not signed by the key {fingerprint}; not unpacked"
        raise Refused(message, reasons=said, hint="do not bake what you cannot prove: find out who changed it")


def _signers(status: str) -> set[str]:
    """Return the fingerprints of good signatures: of the signing key, and of the primary key that it belongs to."""
    lines = [line.split() for line in status.splitlines()]
    return {part for line in lines if line[1:2] == ["VALIDSIG"] for part in (line[2], line[-1])}


def _primary_fingerprints(listed: str) -> list[str]:
    """Return the fingerprints that ``gpg --with-colons`` lists of primary keys: the fpr line after each pub line."""
    kinds = [line.split(":") for line in listed.splitlines()]
    pairs = [(a, b) for a, b in itertools.pairwise(kinds) if (a[0], b[0]) == ("pub", "fpr")]
    return [fpr[9] for _, fpr in pairs]


@contextmanager
def _home() -> Iterator[Path]:
    """A directory for one run of gpg. Its path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as directory:
        yield Path(directory)


def _run(program: str, home: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    found = shutil.which(program)
    if found is None:
        raise Refused(f"there is no `{program}` on the PATH, which checks signatures", hint="script/bootstrap")
    quiet = ("--batch", "--quiet", "--no-autostart", "--no-options") if program == "gpg" else ("--quiet",)
    command = [found, "--homedir", str(home), *quiet, *arguments]
    return subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
