"""Secrets Manager: nothing to make, only a question that moto cannot answer."""

from __future__ import annotations

from typing import Any

from moto.secretsmanager.exceptions import SecretNotFoundException
from moto.secretsmanager.models import SecretsManagerBackend

from lab.hooks import Hooks


class Secrets:
    """Wraps ListSecretVersionIds."""

    def install(self, hooks: Hooks) -> None:
        """Wrap moto's model."""
        hooks.wrap(SecretsManagerBackend, "list_secret_version_ids", list_secret_version_ids)


def list_secret_version_ids(original: Any, backend: Any, secret_id: str, *more: Any, **keywords: Any) -> Any:
    """Say of a secret that does not exist what Secrets Manager says; moto breaks on it."""
    if secret_id not in backend.secrets:
        error: Exception = SecretNotFoundException()
        raise error
    return original(backend, secret_id, *more, **keywords)
