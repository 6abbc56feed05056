"""SSM Parameter Store: a SecureString a document, encrypted with a KMS key, with up to 100 versions.

A value has at most 4096 characters in the standard tier and 8192 in the advanced one, which costs money and does not
become standard again (SSM user guide, "Managing parameter tiers"). A key file of geth has 491 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transcoder.aws_calls import Calls
from transcoder.aws_errors import WRONG_KEY, Answered
from transcoder.errors import Refused
from transcoder.keystores.limits import fitting
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.world import Version

LARGEST = {"Standard": 4096, "Advanced": 8192}
ABSENT = ("ParameterNotFound", "ParameterVersionNotFound")
EXISTS = "ParameterAlreadyExists"
BIGGER = "another store (--store), without --database, or keys.ssm_tier = 'Advanced' (8192 bytes)"


def open_store(settings: Settings, calls: Calls | None = None) -> SsmStore:
    """Return the store of an environment."""
    return SsmStore(settings, calls or Calls(settings))


class SsmStore:
    """Implements `transcoder.world.KeyStore`."""

    kind = "ssm"

    def __init__(self, settings: Settings, calls: Calls) -> None:
        self._settings, self._calls = settings, calls
        self._prefix = f"/{settings.keys.prefix}/"
        self.where = f"SSM {self._prefix}* in {settings.aws.region}"
        self.largest = LARGEST[settings.keys.ssm_tier]

    def put(self, name: str, content: Secret) -> str:
        """Store a document. Repeated after a lost answer it makes one more version of the same content."""
        reply = self._call("put_parameter", **self._request(name, content), Overwrite=True)
        return str(reply["Version"])

    def get(self, name: str, version: str = "") -> Secret | None:
        """Return a document; None when there is none, or no such version."""
        if version and not version.isdigit():
            return None
        full = f"{self._prefix}{name}" + (f":{version}" if version else "")
        try:
            reply = self._call("get_parameter", Name=full, WithDecryption=True)
        except Answered as answer:
            if answer.code in ABSENT:
                return None
            raise
        return Secret(reply["Parameter"]["Value"])

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions, oldest first; SSM deletes the oldest of more than 100."""
        try:
            rows = list(self._pages("get_parameter_history", Name=self._prefix + name, WithDecryption=False))
        except Answered as answer:
            if answer.code in ABSENT:
                return ()
            raise
        found = [(int(row["Version"]), row["LastModifiedDate"].isoformat(timespec="seconds")) for row in rows]
        return tuple(Version(str(number), when) for number, when in sorted(found))

    def names(self) -> tuple[str, ...]:
        """Return the names of all documents; no value is decrypted for it."""
        path = self._prefix.rstrip("/")
        rows = self._pages("get_parameters_by_path", Path=path, Recursive=True, WithDecryption=False)
        return tuple(sorted(row["Name"].removeprefix(self._prefix) for row in rows))

    def create(self, name: str, content: Secret) -> bool:
        """Store a document unless there is one: PutParameter with ``Overwrite=False`` is atomic."""
        try:
            self._call("put_parameter", **self._request(name, content), Overwrite=False)
        except Answered as answer:
            if answer.code != EXISTS:
                raise
            return self.get(name) == content  # the first answer may have been lost
        return True

    def _request(self, name: str, content: Secret) -> dict[str, Any]:
        keys = self._settings.keys
        own = {"KeyId": keys.kms_key_id} if keys.kms_key_id else {}
        value = fitting(content, self.largest, f"{self.where} ({keys.ssm_tier.lower()} tier)", BIGGER)
        return {"Name": self._prefix + name, "Value": value, "Type": "SecureString", "Tier": keys.ssm_tier, **own}

    def _pages(self, operation: str, **request: Any) -> Iterator[Any]:
        token: dict[str, str] = {}
        while True:
            page = self._call(operation, **request, **token)
            yield from page["Parameters"]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _call(self, operation: str, **request: Any) -> Any:
        try:
            return self._calls.call("ssm", operation, **request)
        except Answered as answer:
            if answer.code in WRONG_KEY:
                raise wrong_key(answer, self.where, self._settings) from answer
            raise


def wrong_key(answer: Answered, where: str, settings: Settings) -> Refused:
    """Return the refusal for a KMS key that cannot be used."""
    key = settings.keys.kms_key_id or "the service's own"
    return Refused(
        f"{where}: the KMS key ({key}) cannot be used: {answer.message}",
        hint=f"keys.kms_key_id in {settings.path}: a symmetric key of this region that is enabled",
    )
