"""Archive keyrings: what makes a mirror's packages trustworthy, also on a host of another distribution."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.command import check_tools, run
from lab.distribution import Distribution, KeyringPackage
from transcoder.errors import Failed, Refused, Unreachable

DOWNLOAD_SECONDS = 30


def ensure(distribution: Distribution, cache_directory: Path) -> Path:
    """Return a keyring that holds the distribution's archive keys: the host's own, else a pinned download.

    :raises Refused: the host has none and none can be downloaded, or it lacks an expected key.
    :raises Unreachable: the download did not answer.
    """
    keyring = Path(distribution.keyring)
    if not keyring.exists():
        if distribution.download is None:
            hint = f"apt-get install {distribution.keyring_package}"
            raise Refused(f"{distribution.name}: the archive keyring {keyring} is missing", hint=hint)
        keyring = _downloaded(distribution.download, cache_directory)
    check_fingerprints(keyring, distribution)
    return keyring


def check_fingerprints(keyring: Path, distribution: Distribution) -> None:
    """Refuse a keyring that lacks one of the distribution's archive keys."""
    check_tools(["gpg"])
    with TemporaryDirectory() as home:
        listing = run("gpg", "--homedir", home, "--batch", "--with-colons", "--show-keys", str(keyring))
    missing = sorted(set(distribution.fingerprints) - parse_fingerprints(listing))
    if missing:
        reasons = [f"key {fingerprint} is not in it" for fingerprint in missing]
        hint = f"update the package {distribution.keyring_package} on this machine"
        raise Refused(f"{keyring} cannot vouch for {distribution.name}", reasons=reasons, hint=hint)


def parse_fingerprints(listing: str) -> set[str]:
    """Return the primary keys' fingerprints in the output of ``gpg --with-colons --show-keys`` (doc/DETAILS)."""
    fingerprints = set()
    record_before = ""
    for line in listing.splitlines():
        fields = line.split(":")
        if fields[0] == "fpr" and record_before == "pub":
            fingerprints.add(fields[9])
        if fields[0] in ("pub", "sub", "fpr"):
            record_before = fields[0]
    return fingerprints


def _downloaded(package: KeyringPackage, cache_directory: Path) -> Path:
    keyring = cache_directory / "keyrings" / f"{package.sha256[:16]}-{Path(package.member).name}"
    if not keyring.exists():
        keyring.parent.mkdir(parents=True, exist_ok=True)
        _unpack(_download(package), package, keyring)
    return keyring


def _download(package: KeyringPackage) -> bytes:
    try:
        with urllib.request.urlopen(package.url, timeout=DOWNLOAD_SECONDS) as response:  # noqa: S310 - a constant URL
            content: bytes = response.read()
    except (urllib.error.URLError, TimeoutError) as error:
        raise Unreachable(f"the archive keyring at {package.url} cannot be had: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != package.sha256:
        raise Failed(f"{package.url} has SHA-256 {found}, not {package.sha256}", hint="something rewrites downloads")
    return content


def _unpack(content: bytes, package: KeyringPackage, keyring: Path) -> None:
    with TemporaryDirectory(dir=keyring.parent) as directory:
        archive = Path(directory) / "keyring.deb"
        archive.write_bytes(content)
        run("dpkg-deb", "--extract", str(archive), directory)
        (Path(directory) / package.member).replace(keyring)
