"""HashiCorp Vault, KV version 2: a secret a document, its versions kept by Vault (10 unless it is told otherwise).

``check-and-set`` with 0 writes only where nothing is: the atomic claim. The token comes from a file, where
``vault login`` puts it, and goes nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac
from hvac import exceptions as answers
from requests.exceptions import RequestException

from transcoder.errors import Failed, Refused, Unreachable
from transcoder.keystores.limits import fitting
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.world import Version

LARGEST = 512 * 1024
"""Bytes that an entry may have in Vault's smallest storage (Consul: 512 KiB; integrated storage: 1 MiB)."""
TIMEOUT = 30
FIELD = "document"
AGAIN = (answers.VaultDown, answers.BadGateway, answers.RateLimitExceeded, answers.InternalServerError)


def open_store(settings: Settings) -> VaultStore:
    """Return the store of an environment.

    :raises Refused: when the environment does not say where it is, or there is no token.
    """
    keys = settings.keys
    if not keys.vault_url:
        raise Refused("this environment has no Vault", hint=f"keys.vault_url in {settings.path}")
    file = Path(keys.vault_token_file).expanduser()
    if not file.is_file():
        raise Refused(f"there is no token for Vault in {file}", hint="vault login, or keys.vault_token_file")
    client = hvac.Client(
        url=keys.vault_url,
        token=file.read_text(encoding="utf-8").strip(),
        verify=str(Path(keys.vault_ca_file).expanduser()) if keys.vault_ca_file else True,
        timeout=TIMEOUT,
    )
    return VaultStore(settings, client)


class VaultStore:
    """Implements `transcoder.world.KeyStore`."""

    kind = "vault"
    largest = LARGEST

    def __init__(self, settings: Settings, client: hvac.Client) -> None:
        self._kv = client.secrets.kv.v2
        self._mount, self._prefix = settings.keys.vault_mount, settings.keys.prefix
        self.where = f"Vault {settings.keys.vault_url} {self._mount}/{self._prefix}/*"

    def put(self, name: str, content: Secret) -> str:
        """Store a document. Repeated after a lost answer it makes one more version of the same content."""
        with self._explained("create, update", "data", name):
            reply = self._kv.create_or_update_secret(secret=self._data(content), **self._at(name))
        return str(reply["data"]["version"])

    def get(self, name: str, version: str = "") -> Secret | None:
        """Return a document; None when there is none, or no such version."""
        if version and not version.isdigit():
            return None
        try:
            with self._explained("read", "data", name):
                number = int(version) if version else None
                reply = self._kv.read_secret_version(version=number, raise_on_deleted_version=True, **self._at(name))
        except answers.InvalidPath:
            return None
        found = reply["data"]["data"]
        if not isinstance(found, dict) or FIELD not in found:
            raise Failed(f"{self.where}: {name} is not one of ours: it has no field {FIELD!r}", hint="vault kv get")
        return Secret(str(found[FIELD]))

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions, oldest first."""
        try:
            with self._explained("read", "metadata", name):
                found = self._kv.read_secret_metadata(**self._at(name))["data"]["versions"]
        except answers.InvalidPath:
            return ()
        alive = {int(number): row for number, row in found.items() if not (row["deletion_time"] or row["destroyed"])}
        return tuple(Version(str(number), str(alive[number]["created_time"])) for number in sorted(alive))

    def names(self) -> tuple[str, ...]:
        """Return the names of all documents."""
        return tuple(sorted(f"{key}{name}" for key in self._list("") for name in self._list(key)))

    def create(self, name: str, content: Secret) -> bool:
        """Store a document unless there is one: Vault's check-and-set with 0 is atomic."""
        try:
            with self._explained("create", "data", name):
                self._kv.create_or_update_secret(secret=self._data(content), cas=0, **self._at(name))
        except answers.InvalidRequest as answer:
            if "check-and-set" not in str(answer):
                raise Failed(f"{self.where}: {name}: {answer}", hint="vault kv get") from answer
            return self.get(name) == content  # the first answer may have been lost
        return True

    def _list(self, directory: str) -> list[str]:
        path = f"{self._prefix}/{directory}".rstrip("/")
        try:
            with self._explained("list", "metadata", directory):
                return list(self._kv.list_secrets(path=path, mount_point=self._mount)["data"]["keys"])
        except answers.InvalidPath:
            return []

    def _at(self, name: str) -> dict[str, str]:
        return {"path": f"{self._prefix}/{name}", "mount_point": self._mount}

    def _data(self, content: Secret) -> dict[str, str]:
        return {FIELD: fitting(content, LARGEST, self.where, "the age store takes more: --store age")}

    @contextmanager
    def _explained(self, capability: str, kind: str, name: str) -> Iterator[Any]:
        """Turn what Vault says into our errors; that there is nothing, or something, is left to the caller."""
        path = f"{self._mount}/{kind}/{self._prefix}/{name}"
        try:
            yield
        except (answers.InvalidPath, answers.InvalidRequest):
            raise
        except (answers.Forbidden, answers.Unauthorized) as answer:
            raise Refused(
                f"Vault does not permit {capability!r} on {path}: {answer}",
                hint="vault token lookup; a policy with that capability on that path; vault login",
            ) from answer
        except AGAIN as answer:
            raise Unreachable(f"{self.where} is busy, sealed or throttles: {answer}", hint="try again") from answer
        except RequestException as error:
            raise Unreachable(f"{self.where}: no answer: {type(error).__name__}", hint="try again") from error
        except answers.VaultError as answer:
            raise Failed(f"{self.where}: {name}: {answer}", hint="vault status") from answer
