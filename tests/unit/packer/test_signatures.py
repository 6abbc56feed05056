"""A signature counts when gpgv finds it good and the key has the pinned fingerprint."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from packer.downloads import Store, fetch
from packer.signatures import check_signature, only_key
from tests.unit.packer.keys import Signer, signers
from tests.unit.packer.samples import settings_in, tar_with
from transcoder.catalog import geth
from transcoder.errors import BadSettings, Refused
from transcoder.settings import ROOT, load
from transcoder.settings_programs import Download

pytestmark = pytest.mark.skipif(shutil.which("gpgv") is None, reason="gpgv is not installed (script/bootstrap)")
CONTENT = tar_with({"geth": b"signed"})


@pytest.fixture(scope="module")
def two() -> Iterator[list[Signer]]:
    with signers("builder", "stranger") as made:
        yield made


def signed_in(directory: Path, by: Signer, pinned: Signer, content: bytes = CONTENT) -> Download:
    """Write an archive with a signature and a keyring that holds whoever signed it."""
    (directory / "x.tar.gz").write_bytes(content)
    (directory / "x.tar.gz.asc").write_bytes(by.sign(CONTENT))
    (directory / "keys.asc").write_bytes(pinned.public())
    key = pinned.fingerprint
    return Download(version="1.0.0", source="x.tar.gz", signature="x.tar.gz.asc", signing_key=key, keyring="keys.asc")


def test_an_archive_signed_by_the_pinned_key_needs_no_sum(tmp_path: Path, two: list[Signer]) -> None:
    wanted = signed_in(tmp_path, two[0], two[0])

    assert fetch(wanted, Store(tmp_path)).proofs == (f"signature of {two[0].fingerprint}",)


def test_an_archive_with_one_byte_changed_is_refused_before_it_is_opened(
    tmp_path: Path, two: list[Signer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tarfile.open", lambda *_, **__: pytest.fail("it was opened"))
    wanted = signed_in(tmp_path, two[0], two[0], CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))

    with pytest.raises(Refused, match=f"not signed by the key {two[0].fingerprint}; not unpacked") as refusal:
        fetch(wanted, Store(tmp_path))
    assert "BAD signature" in " ".join(refusal.value.reasons)


def test_a_good_signature_by_another_key_of_the_same_keyring_is_refused(tmp_path: Path, two: list[Signer]) -> None:
    builder, stranger = two
    wanted = signed_in(tmp_path, stranger, builder)
    (tmp_path / "keys.asc").write_bytes(builder.public(armor=False) + stranger.public(armor=False))

    with pytest.raises(Refused, match="not signed by"):
        fetch(wanted, Store(tmp_path))


def test_of_a_keyring_with_more_keys_the_pinned_one_counts(tmp_path: Path, two: list[Signer]) -> None:
    builder, stranger = two
    both = builder.public(armor=False) + stranger.public(armor=False)
    (tmp_path / "x").write_bytes(CONTENT)

    check_signature(tmp_path / "x", stranger.sign(CONTENT), both, stranger.fingerprint)
    with pytest.raises(Refused, match=f"not signed by the key {builder.fingerprint}"):
        check_signature(tmp_path / "x", stranger.sign(CONTENT), both, builder.fingerprint)


def test_a_keyring_without_the_pinned_key_is_refused_with_what_it_holds(tmp_path: Path, two: list[Signer]) -> None:
    builder, stranger = two
    wanted = signed_in(tmp_path, stranger, stranger).model_copy(update={"signing_key": builder.fingerprint})

    with pytest.raises(Refused, match=f"has not the key {builder.fingerprint}, but {stranger.fingerprint}"):
        fetch(wanted, Store(tmp_path))


def test_a_right_sum_does_not_make_up_for_a_missing_signature(tmp_path: Path, two: list[Signer]) -> None:
    wanted = signed_in(tmp_path, two[0], two[0]).model_copy(update={"sha256": hashlib.sha256(CONTENT).hexdigest()})
    assert len(fetch(wanted, Store(tmp_path)).proofs) == 2

    (tmp_path / "x.tar.gz.asc").write_bytes(b"no signature")
    with pytest.raises(Refused, match="not signed by"):
        fetch(wanted, Store(tmp_path))


def test_a_keyring_for_apt_holds_the_pinned_key_alone(two: list[Signer]) -> None:
    builder, stranger = two
    both = builder.public(armor=False) + stranger.public(armor=False)

    alone = only_key(both, builder.fingerprint, "keys")

    with pytest.raises(Refused, match=f"but {builder.fingerprint}:"):
        only_key(alone, stranger.fingerprint, "keys")
    assert only_key(alone, builder.fingerprint, "keys") == alone


def test_the_key_that_ships_is_that_of_geths_builder() -> None:
    key = (ROOT / "environments" / "keys" / "geth-linux-builder.asc").read_bytes()

    assert only_key(key, geth.SIGNED_BY, "it")
    assert load("bionic-2018").geth.signing_key == geth.SIGNED_BY


def test_a_signature_without_a_fingerprint_is_no_setting(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as refusal:
        settings_in(tmp_path, geth='signature = "x.asc"')
    assert "signing_key" in refusal.value.reasons[0]


def test_a_fingerprint_may_be_written_in_groups(tmp_path: Path) -> None:
    own = settings_in(tmp_path, geth='signing_key = "fde5 a1a0 44fa 13d2 f7ad a019 a61a 1356 9ba2 8146"').geth

    assert own.signing_key == geth.SIGNED_BY
