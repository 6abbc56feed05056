"""Release archives: fetched or taken from a path, proven by their sum and their signature, and only then opened."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from packer.locks import one_at_a_time
from packer.signatures import KEYSERVER, check_signature, only_key
from packer.transfer import Progress, download, read_small, silent
from transcoder.errors import Refused, TranscoderError, Unreachable
from transcoder.settings_programs import Download

CACHE = Path.home() / ".cache" / "transcoder" / "downloads"


@dataclass(frozen=True)
class Archive:
    """A proven archive: ``path`` holds bytes with this ``sha256``; ``source`` is where the settings say it is from.

    ``proofs`` are in words: what it was held against.
    """

    path: Path
    sha256: str
    source: str
    version: str
    proofs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Store:
    """Where bytes come from and stay: ``base`` is what a relative path in the settings is relative to.

    ``mirror`` (a URL or a directory) stands for every https host: there, a URL without its scheme is a path. It is
    never asked for a sum.
    """

    base: Path
    cache: Path = CACHE
    mirror: str = ""
    progress: Progress = silent

    def place(self, source: str) -> str | Path:
        """Return where a source is fetched from: a URL, or a path here."""
        if not _is_url(source):
            return _local(source, self.base)
        if not self.mirror:
            return source
        parts = urlsplit(source)
        mirrored = f"{parts.hostname}{parts.path}"
        if _is_url(self.mirror):
            return f"{self.mirror.rstrip('/')}/{mirrored}"
        return _local(self.mirror, self.base) / unquote(mirrored)

    def read(self, source: str, key: str) -> bytes:
        """Return a small document that proves itself, or is proven by a pinned fingerprint.

        :param key: the setting that names it, for the message.
        """
        place = self.place(source)
        return read_small(place) if isinstance(place, str) else _existing(place, key).read_bytes()


def fetch(wanted: Download, store: Store) -> Archive:
    """Return a download's archive, from the cache where it is already.

    :raises Refused: when nothing would prove it, or when a proof fails: nothing has been unpacked.
    :raises Unreachable: when a server does not answer.
    """
    if not (wanted.sha256 or wanted.checksums or wanted.signature):
        raise Refused(
            f"{wanted.source}: no sha256, checksums or signature is given, so nothing proves what would be baked",
            hint='download it on a machine you trust, check its signature, and pin it: sha256 = "..."',
        )
    expected, proofs = _expected_sha256(wanted, store)
    place = store.place(wanted.source)
    if isinstance(place, str):
        directory = expected or hashlib.sha256(wanted.source.encode()).hexdigest()
        path = store.cache / directory / _file_name(wanted.source)
        with one_at_a_time(path, lambda: store.progress(f"{path.name}: another bake is fetching it", 0, 0)):
            return _archive(wanted, _cached(place, path, expected, store), (expected, proofs), store, throw_away=True)
    return _archive(wanted, _existing(place, "source"), (expected, proofs), store, throw_away=False)


def read_key(wanted: Download, store: Store) -> bytes:
    """Return the keyring with the key of the settings' pinned fingerprint, and no other key.

    :raises Refused: when the key is not where the settings say.
    """
    if wanted.keyring:
        return only_key(store.read(wanted.keyring, "keyring"), wanted.signing_key, wanted.keyring)
    url = KEYSERVER + wanted.signing_key
    try:
        return only_key(read_small(url), wanted.signing_key, url)
    except Unreachable as error:
        hint = "put the key's file beside the environment and name it: keyring = ..."
        raise Unreachable(error.message, hint=hint) from error


def read_programs(archive: Archive, names: tuple[str, ...]) -> Mapping[str, bytes]:
    """Return the wanted programs out of an archive, by name.

    :raises Refused: when a member of the archive points outside it, or a program is not in it exactly once.
    """
    try:
        with tarfile.open(archive.path) as tar:
            members = tar.getmembers()
            _check_members(archive.path, members)
            return {name: _read(tar, _only_program(archive.path, members, name)) for name in names}
    except tarfile.TarError as error:
        raise Refused(f"{archive.path} is not a tar archive: {error}") from error


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_checksums(text: str, name: str) -> str:
    """Return the sha256 that a file in ``sha256sum`` format gives for a file name.

    :raises Refused: when the name is not in it exactly once.
    """
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    sums = {parts[0].lower() for parts in lines if len(parts) == 2 and PurePosixPath(parts[1].lstrip("*")).name == name}
    if len(sums) != 1:
        raise Refused(f"the checksums give {len(sums)} different sums for {name}, not one")
    found = sums.pop()
    if len(found) != 64 or not set(found) <= set("0123456789abcdef"):
        raise Refused(f"the checksums give {found!r} for {name}, which is no sha256")
    return found


def _expected_sha256(wanted: Download, store: Store) -> tuple[str, tuple[str, ...]]:
    """Return the sum that the archive must have and who says so; nothing where its signature alone proves it."""
    if wanted.sha256:
        return wanted.sha256, ("sha256 of the environment",)
    if not wanted.checksums:
        return "", ()
    name = _file_name(wanted.source)
    if not _is_url(wanted.checksums):
        text = _existing(_local(wanted.checksums, store.base), "checksums").read_bytes()
        return parse_checksums(text.decode(), name), (f"sha256 of {wanted.checksums}",)
    return parse_checksums(_read_sums(wanted.checksums, store.mirror).decode(), name), (
        f"sha256 of {wanted.checksums}",
    )


def _read_sums(url: str, mirror: str) -> bytes:
    """Read sums from where they were published. A mirror could change the archive and the sum together."""
    try:
        return read_small(url)
    except TranscoderError as error:
        if mirror:
            error.hint = 'sums never come from downloads.mirror: pin what the archive must have, sha256 = "..."'
        raise


def _cached(url: str, path: Path, expected: str, store: Store) -> Path:
    """Fetch into the cache what is not there. What was gone on with and is wrong is fetched once more as a whole."""
    if not path.is_file() and download(url, path, store.progress) and expected and sha256_of(path) != expected:
        path.unlink()
        download(url, path, store.progress)
    return path


def _archive(
    wanted: Download, path: Path, expectation: tuple[str, tuple[str, ...]], store: Store, *, throw_away: bool
) -> Archive:
    """Hold a file against every proof that is wanted; one that fails in the cache is not kept there."""
    expected, proofs = expectation
    found = sha256_of(path)
    try:
        if expected and found != expected:
            hint = "find out which of the two is right; do not bake what you cannot prove"
            raise Refused(f"{wanted.source}: sha256 is {found}, but {expected} was wanted; not unpacked", hint=hint)
        if wanted.signature:
            signature = store.read(wanted.signature, "signature")
            check_signature(path, signature, read_key(wanted, store), wanted.signing_key)
            proofs = (*proofs, f"signature of {wanted.signing_key}")
    except Refused:
        if throw_away:
            path.unlink()
        raise
    return Archive(path, found, wanted.source, wanted.version, proofs)


def _is_url(source: str) -> bool:
    return urlsplit(source).scheme == "https"


def _file_name(source: str) -> str:
    return PurePosixPath(unquote(urlsplit(source).path)).name


def _local(source: str, base: Path) -> Path:
    parts = urlsplit(source)
    path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(source)
    return base / path.expanduser()


def _existing(path: Path, key: str) -> Path:
    if not path.is_file():
        raise Refused(f"{path} does not exist", hint=f"correct `{key}` in the environment file, or make the file")
    return path


def _check_members(path: Path, members: list[tarfile.TarInfo]) -> None:
    bad = [member.name for member in members if _leads_outside(member)]
    if bad:
        raise Refused(f"{path} has members that lead outside it; not unpacked", reasons=bad)


def _leads_outside(member: tarfile.TarInfo) -> bool:
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        return True
    paths = [PurePosixPath(member.name)]
    if member.issym():
        paths.append(PurePosixPath(member.name).parent / member.linkname)
    if member.islnk():
        paths.append(PurePosixPath(member.linkname))
    return any(path.is_absolute() or ".." in path.parts for path in paths)


def _only_program(path: Path, members: list[tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    found = [member for member in members if member.isfile() and PurePosixPath(member.name).name == name]
    if len(found) != 1:
        raise Refused(f"{path} has {len(found)} files called {name}, not one", reasons=[item.name for item in found])
    return found[0]


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    if file is None:
        raise Refused(f"{member.name} in the archive cannot be read")
    return file.read()
