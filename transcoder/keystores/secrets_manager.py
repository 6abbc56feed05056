"""AWS Secrets Manager: a secret a document, up to 64 KiB, encrypted with a KMS key.

Of the versions only the current and the previous one have a label; older ones are deleted by the service when there
are more than 100 (Secrets Manager user guide, "Secret versions").
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from transcoder.aws_calls import Calls
from transcoder.aws_errors import WRONG_KEY, Answered
from transcoder.errors import Refused
from transcoder.keystores.limits import fitting
from transcoder.keystores.ssm import wrong_key
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.world import Version

LARGEST = 65536
ABSENT = "ResourceNotFoundException"
EXISTS = "ResourceExistsException"
DELETED = "InvalidRequestException"


def open_store(settings: Settings, calls: Calls | None = None) -> SecretsManagerStore:
    """Return the store of an environment."""
    return SecretsManagerStore(settings, calls or Calls(settings))


class SecretsManagerStore:
    """Implements `transcoder.world.KeyStore`."""

    kind = "secrets-manager"
    largest = LARGEST

    def __init__(self, settings: Settings, calls: Calls) -> None:
        self._settings, self._calls = settings, calls
        self._prefix = f"{settings.keys.prefix}/"
        self.where = f"Secrets Manager {self._prefix}* in {settings.aws.region}"

    def put(self, name: str, content: Secret) -> str:
        """Store a document. Repeated with its token it makes no second version."""
        value, token = self._fitting(content), str(uuid.uuid4())
        try:
            request = {"SecretId": self._prefix + name, "SecretString": value, "ClientRequestToken": token}
            return str(self._call("put_secret_value", **request)["VersionId"])
        except Answered as answer:
            if answer.code != ABSENT:
                raise
        return str(self._create(name, value, token)["VersionId"])

    def get(self, name: str, version: str = "") -> Secret | None:
        """Return a document; None when there is none, or no such version."""
        if version and not 32 <= len(version) <= 64:  # its API refuses to be asked
            return None
        own = {"VersionId": version} if version else {}
        try:
            return Secret(self._call("get_secret_value", SecretId=self._prefix + name, **own)["SecretString"])
        except Answered as answer:
            if answer.code == ABSENT:
                return None
            raise

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions, oldest first."""
        request = {"SecretId": self._prefix + name, "IncludeDeprecated": True}
        try:
            rows = list(self._pages("list_secret_version_ids", "Versions", **request))
        except Answered as answer:
            if answer.code == ABSENT:
                return ()
            raise
        current = [(row["CreatedDate"], "AWSCURRENT" in row.get("VersionStages", ()), row["VersionId"]) for row in rows]
        return tuple(Version(identity, when.isoformat(timespec="seconds")) for when, _, identity in sorted(current))

    def names(self) -> tuple[str, ...]:
        """Return the names of all documents."""
        request = {"Filters": [{"Key": "name", "Values": [self._prefix]}]}
        rows = self._pages("list_secrets", "SecretList", **request)
        found = [row["Name"] for row in rows]
        return tuple(sorted(name.removeprefix(self._prefix) for name in found if name.startswith(self._prefix)))

    def create(self, name: str, content: Secret) -> bool:
        """Store a document unless there is one: CreateSecret is atomic."""
        try:
            self._create(name, self._fitting(content), str(uuid.uuid4()))
        except Answered as answer:
            if answer.code != EXISTS:
                raise
            return self.get(name) == content  # the first answer may have been lost
        return True

    def _create(self, name: str, value: str, token: str) -> Any:
        own = {"KmsKeyId": self._settings.keys.kms_key_id} if self._settings.keys.kms_key_id else {}
        request = {"Name": self._prefix + name, "SecretString": value, "ClientRequestToken": token, **own}
        return self._call("create_secret", **request)

    def _fitting(self, content: Secret) -> str:
        return fitting(content, LARGEST, self.where, "another store (--store), or without --database")

    def _pages(self, operation: str, key: str, **request: Any) -> Iterator[Any]:
        token: dict[str, str] = {}
        while True:
            page = self._call(operation, **request, **token)
            yield from page[key]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _call(self, operation: str, **request: Any) -> Any:
        try:
            return self._calls.call("secretsmanager", operation, **request)
        except Answered as answer:
            if answer.code in WRONG_KEY:
                raise wrong_key(answer, self.where, self._settings) from answer
            if answer.code == DELETED:
                raise Refused(
                    f"{self.where}: {answer.message}",
                    hint="a secret that is scheduled for deletion: wait some seconds, or `aws secretsmanager "
                    "restore-secret`",
                ) from answer
            raise
