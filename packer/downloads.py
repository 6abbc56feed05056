"""Release archives: fetched or taken from a path, proven by their sha256, and only then opened."""

from __future__ import annotations

import hashlib
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from transcoder.errors import Failed, Refused, Unreachable
from transcoder.settings import Download

CACHE = Path.home() / ".cache" / "transcoder" / "downloads"
TIMEOUT_SECONDS = 60
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A proven archive: ``path`` holds bytes with this ``sha256``; ``source`` is where the settings say it is from."""

    path: Path
    sha256: str
    source: str
    version: str


def fetch(download: Download, base: Path, cache: Path = CACHE) -> Archive:
    """Return a download's archive, from the cache where it is already.

    :param base: what a relative path in the settings is relative to.
    :raises Refused: without ``sha256`` and ``checksums``, or when the bytes are others: nothing has been unpacked.
    :raises Unreachable: when the server does not answer.
    """
    expected = _expected_sha256(download, base)
    path = cache / expected / _file_name(download.source)
    if not _is_url(download.source):
        path = _local(download.source, base)
        if not path.is_file():
            raise Refused(f"{path} does not exist", hint="correct `source` in the environment file, or make the file")
    elif not path.is_file():
        _download(download.source, path)
    found = sha256_of(path)
    if found != expected:
        hint = "find out which of the two is right; do not bake what you cannot prove"
        if _is_url(download.source):
            path.unlink()
        raise Refused(f"{download.source}: sha256 is {found}, but {expected} was wanted; not unpacked", hint=hint)
    return Archive(path, expected, download.source, download.version)


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


def _expected_sha256(download: Download, base: Path) -> str:
    if download.sha256:
        return download.sha256
    if not download.checksums:
        raise Refused(
            f"{download.source}: neither sha256 nor checksums is given, so nothing proves what would be baked",
            hint='download it on a machine you trust, check its signature, and pin it: sha256 = "..."',
        )
    name = _file_name(download.source)
    if not _is_url(download.checksums):
        path = _local(download.checksums, base)
        if not path.is_file():
            raise Refused(f"{path} does not exist", hint="correct `checksums` in the environment file, or give sha256")
        return parse_checksums(path.read_text(encoding="utf-8"), name)
    return parse_checksums(_get(download.checksums).decode(), name)


def _is_url(source: str) -> bool:
    return urlsplit(source).scheme == "https"


def _file_name(source: str) -> str:
    return PurePosixPath(unquote(urlsplit(source).path)).name


def _local(source: str, base: Path) -> Path:
    parts = urlsplit(source)
    path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(source)
    return base / path.expanduser()


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  https only: see Download
            return bytes(response.read())
    except OSError as error:
        raise _no_answer(url, error) from error


def _download(url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response, draft.open("wb") as file:  # noqa: S310
            while chunk := response.read(_CHUNK):
                file.write(chunk)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _no_answer(url, error) from error
    draft.replace(path)


def _no_answer(url: str, error: OSError) -> Failed | Unreachable:
    if isinstance(error, urllib.error.HTTPError):
        hint = "the release may have moved: correct `source`, or name a file you have"
        return Failed(f"{url}: HTTP status {error.code} {error.reason}", hint=hint)
    return Unreachable(f"{url}: {error}", hint="try again, or name a file you have as `source`")


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
