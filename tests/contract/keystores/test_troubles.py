"""What each store says when it must not, cannot, or does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from tests.contract.keystores.vault_server import VaultServer
from tests.simulated.world import settings
from transcoder import keystores
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.secret import Secret
from transcoder.settings import Settings

NAME = "0x0f544432cb27103055d8c1b5fba0e45f5a9ccea8/backup"
CANARY = "canary-7d1f"


@pytest.fixture
def troubled(vault_server: VaultServer) -> Iterator[VaultServer]:
    yield vault_server
    vault_server.trouble = None


def test_vault_without_permission_names_capability_and_path(troubled: VaultServer, environment: Settings) -> None:
    troubled.trouble = (403, "1 error occurred:\n\t* permission denied\n\n")
    with pytest.raises(Refused, match="does not permit 'create, update' on secret/data/") as caught:
        keystores.by_name("vault", environment).put(NAME, Secret(CANARY))
    assert "vault login" in caught.value.hint
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_vault_that_throttles_or_is_sealed_is_to_be_asked_again(
    status: int, troubled: VaultServer, environment: Settings
) -> None:
    troubled.trouble = (status, "Vault is sealed")
    with pytest.raises(Unreachable):
        keystores.by_name("vault", environment).get(NAME)


def test_vault_that_is_not_there_is_unreachable(environment: Settings, tmp_path: Path) -> None:
    away = settings(keys={**environment.keys.model_dump(), "vault_url": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable, match="no answer"):
        keystores.by_name("vault", away).get(NAME)


def test_vault_without_a_token_says_how_to_get_one(environment: Settings, tmp_path: Path) -> None:
    (tmp_path / "token").unlink()
    with pytest.raises(Refused, match="no token") as caught:
        keystores.by_name("vault", environment)
    assert "vault login" in caught.value.hint


def test_a_wrong_token_is_no_permission_and_is_not_shown(environment: Settings, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(CANARY)
    with pytest.raises(Refused, match="permission denied") as caught:
        keystores.by_name("vault", environment).get(NAME)
    assert CANARY not in str(caught.value)


def age_files(tmp_path: Path) -> list[Path]:
    return sorted(file for file in (tmp_path / "safe").rglob("*") if file.is_file())


def test_age_files_are_the_owners_alone_and_hold_no_plain_text(environment: Settings, tmp_path: Path) -> None:
    keystores.by_name("age", environment).put(NAME, Secret(CANARY * 50))
    (file,) = age_files(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert CANARY.encode() not in file.read_bytes()


@pytest.mark.parametrize("cut", [1, 20, 150])
def test_an_age_file_cut_short_is_damaged_not_half_read(cut: int, environment: Settings, tmp_path: Path) -> None:
    store = keystores.by_name("age", environment)
    store.put(NAME, Secret(CANARY))
    (file,) = age_files(tmp_path)
    file.write_bytes(file.read_bytes()[:-cut])
    with pytest.raises(Failed, match="is damaged"):
        store.get(NAME)


def test_an_age_file_for_somebody_else_is_refused(environment: Settings, tmp_path: Path) -> None:
    store = keystores.by_name("age", environment)
    store.put(NAME, Secret(CANARY))
    (tmp_path / "identity.txt").write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(Refused, match="not encrypted for the identity"):
        store.get(NAME)


def test_an_identity_that_others_can_read_is_refused(environment: Settings, tmp_path: Path) -> None:
    store = keystores.by_name("age", environment)
    store.put(NAME, Secret(CANARY))
    (tmp_path / "identity.txt").chmod(0o644)
    with pytest.raises(Refused, match="can be read by others"):
        store.get(NAME)


def test_a_recipient_that_is_none_is_refused(environment: Settings) -> None:
    wrong = settings(keys={**environment.keys.model_dump(), "age_recipients": ["age1nobody"]})
    with pytest.raises(Refused, match="age_recipients"):
        keystores.by_name("age", wrong)


def test_a_temporary_age_file_left_behind_is_no_version(environment: Settings, tmp_path: Path) -> None:
    store = keystores.by_name("age", environment)
    store.put(NAME, Secret("whole"))
    (age_files(tmp_path)[0].parent / ".0011.new").write_bytes(b"half of")
    assert store.get(NAME) == Secret("whole")
    assert store.put(NAME, Secret("next")) == "2"
