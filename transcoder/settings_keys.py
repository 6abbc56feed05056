"""The table ``[keys]`` of an environment: where the node's keys are kept. `transcoder.settings` reads it."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

KINDS = ("ssm", "secrets-manager", "vault", "age")


class KeySettings(BaseModel):
    """Where keys are kept.

    ``prefix`` begins the name of every document; a key is its owner's in all environments that share it, so it is the
    same in all of them unless there is a reason. ``kms_key_id`` is for SSM and Secrets Manager; empty: the service's
    own key. No token and no key stands here, only the paths of files that hold them.

    ``passphrase_store``: where the machine fetches the passphrase of its key at each start; empty: nowhere.
    ``passphrase_prefix`` is apart from ``prefix``, because the machine may read what is below the one alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: Literal["ssm", "secrets-manager", "vault", "age"] = "ssm"
    prefix: str = Field(default="transcoder/keys", pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")
    kms_key_id: str = ""
    passphrase_store: Literal["", "ssm", "secrets-manager", "vault", "age"] = ""
    passphrase_prefix: str = Field(default="transcoder/passphrases", pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")
    ssm_tier: Literal["Standard", "Advanced"] = "Standard"
    vault_url: str = ""
    vault_mount: str = "secret"
    vault_token_file: str = "~/.vault-token"  # noqa: S105 - a path
    vault_ca_file: str = ""
    age_directory: str = ""
    age_recipients: list[str] = Field(default_factory=list)
    age_identity_file: str = ""

    @model_validator(mode="after")
    def _passphrases_are_apart(self) -> Self:
        one, other = f"{self.prefix}/", f"{self.passphrase_prefix}/"
        if one.startswith(other) or other.startswith(one):
            raise ValueError(
                f"passphrase_prefix {self.passphrase_prefix!r} and prefix {self.prefix!r}: neither may be below the "
                "other, for the machine may read the passphrase and not the backups of keys"
            )
        return self

    @model_validator(mode="after")
    def _is_encrypted_on_its_way(self) -> Self:
        parts = urlsplit(self.vault_url)
        if self.vault_url and parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError(f"vault_url {self.vault_url!r} must be https, unless it is this computer's own")
        return self

    @model_validator(mode="after")
    def _has_what_its_store_needs(self) -> Self:
        if self.store == "vault" and not self.vault_url:
            raise ValueError("store = 'vault' needs vault_url")
        if self.store == "age" and not (self.age_directory and self.age_recipients and self.age_identity_file):
            raise ValueError("store = 'age' needs age_directory, age_recipients and age_identity_file")
        return self
