"""Files encrypted with age, in a directory of your choice: for a safe, a stick, or a disk that others back up.

A version is a file. It is written under a temporary name, synced, and linked to its own, which fails where there is
one already: a version is never overwritten, and of two who claim something at the same time one wins (link(2)).
Nothing but what age has encrypted is ever written.
"""

from __future__ import annotations

import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

import pyrage

from transcoder.errors import Failed, Refused
from transcoder.keystores.limits import fitting
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.world import Version

LARGEST = 64 * 1024 * 1024
"""Bytes. No limit of age's: a document is in memory as a whole, more than once."""
_FILE = re.compile(r"(\d{6})\.age")


def open_store(settings: Settings) -> AgeStore:
    """Return the store of an environment.

    :raises Refused: when the environment does not say where it is, or for whom.
    """
    keys = settings.keys
    if not (keys.age_directory and keys.age_recipients and keys.age_identity_file):
        hint = f"keys.age_directory, keys.age_recipients and keys.age_identity_file in {settings.path}"
        raise Refused("this environment has no directory of age files", hint=hint)
    return AgeStore(
        Path(keys.age_directory).expanduser(), keys.age_recipients, Path(keys.age_identity_file).expanduser()
    )


class AgeStore:
    """Implements `transcoder.world.KeyStore`."""

    kind = "age"
    largest = LARGEST

    def __init__(self, directory: Path, recipients: list[str], identity: Path) -> None:
        self._directory, self._identity = directory, identity
        self._recipients = [_recipient(text) for text in recipients]
        self.where = f"age files in {directory}"

    def put(self, name: str, content: Secret) -> str:
        """Store a document as the next version."""
        while True:
            number = max([int(version.id) for version in self.versions(name)], default=0) + 1
            if self._write(name, number, content):
                return str(number)

    def get(self, name: str, version: str = "") -> Secret | None:
        """Return a document; None when there is none, or no such version.

        :raises Failed: when a file is cut short or was changed: age notices.
        """
        wanted = version or max((each.id for each in self.versions(name)), key=int, default="")
        file = self._file(name, int(wanted)) if wanted.isdigit() else None
        if file is None or not file.is_file():
            return None
        identities = self._identities()
        try:
            return Secret(pyrage.decrypt(file.read_bytes(), identities).decode())
        except pyrage.DecryptError as error:
            if "matching keys" in str(error):
                raise Refused(
                    f"{file} is not encrypted for the identity in {self._identity}", hint="keys.age_identity_file"
                ) from error
            raise Failed(f"{file} is damaged: {error}", hint="an earlier version: --version") from error

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions, oldest first."""
        directory = self._directory / name
        files = directory.iterdir() if directory.is_dir() else ()
        found = sorted((int(match[1]), file) for file in files if (match := _FILE.fullmatch(file.name)))
        return tuple(Version(str(number), _time(file)) for number, file in found)

    def names(self) -> tuple[str, ...]:
        """Return the names of all documents."""
        files = self._directory.rglob("*.age") if self._directory.is_dir() else ()
        found = {file.parent.relative_to(self._directory) for file in files if _FILE.fullmatch(file.name)}
        return tuple(sorted(str(path) for path in found))

    def create(self, name: str, content: Secret) -> bool:
        """Store a document unless there is one."""
        return self._write(name, 1, content) or self.get(name) == content

    def _write(self, name: str, number: int, content: Secret) -> bool:
        """Write a version; False when there is such a one."""
        text = fitting(content, LARGEST, self.where, "what is in it?")
        file = self._file(name, number)
        temporary = file.with_name(f".{secrets.token_hex(8)}.new")
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_synced(temporary, pyrage.encrypt(text.encode(), self._recipients))
            try:
                os.link(temporary, file)
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
            _sync(file.parent)
        except OSError as error:
            raise Refused(f"{file} cannot be written: {error.strerror}", hint="keys.age_directory") from error
        return True

    def _file(self, name: str, number: int) -> Path:
        return self._directory / name / f"{number:06d}.age"

    def _identities(self) -> list[pyrage.x25519.Identity]:
        try:
            mode, text = self._identity.stat().st_mode, self._identity.read_text(encoding="utf-8")
        except OSError as error:
            hint = "keys.age_identity_file: what age-keygen has written"
            raise Refused(f"{self._identity} cannot be read: {error.strerror}", hint=hint) from error
        if mode & 0o077:
            raise Refused(f"{self._identity} can be read by others", hint=f"chmod 0600 {self._identity}")
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        try:
            return [pyrage.x25519.Identity.from_str(line) for line in lines]
        except pyrage.IdentityError:
            raise Refused(f"{self._identity} holds no identity of age", hint="age-keygen makes one") from None


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise Refused(f"keys.age_recipients: {text!r} is none: {error}", hint="age1..., from age-keygen") from error


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _time(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")
