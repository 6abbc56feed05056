"""The stores of the contract: AWS's at a lab, Vault's at its HTTP contract, age's on this disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyrage
import pytest

from tests.contract.conftest import LabNone
from tests.contract.keystores.vault_server import TOKEN, VaultServer, vault
from tests.simulated.world import settings
from transcoder import keystores
from transcoder.settings import Settings
from transcoder.settings_keys import KINDS
from transcoder.world import KeyStore


@pytest.fixture(scope="session")
def vault_server() -> Iterator[VaultServer]:
    with vault() as server:
        yield server


@pytest.fixture
def environment(lab_none: LabNone, vault_server: VaultServer, tmp_path: Path) -> Settings:
    """Return an environment with all four stores, fresh ones: under a prefix of its own."""
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity.txt").write_text(f"# of the tests\n{identity}\n")
    (tmp_path / "identity.txt").chmod(0o600)
    (tmp_path / "token").write_text(TOKEN + "\n")
    keys: dict[str, Any] = {
        "prefix": f"transcoder/{tmp_path.name[:40]}-{abs(hash(str(tmp_path)))}",
        "vault_url": vault_server.url,
        "vault_token_file": str(tmp_path / "token"),
        "age_directory": str(tmp_path / "safe"),
        "age_recipients": [str(identity.to_public())],
        "age_identity_file": str(tmp_path / "identity.txt"),
    }
    aws = {"endpoint_url": lab_none.endpoint_url, "access_key_id": "lab", "secret_access_key": "lab"}
    return settings(aws=aws, keys=keys)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, environment: Settings) -> KeyStore:
    return keystores.by_name(request.param, environment)
