"""One contract over all key stores: what is put there comes back byte by byte, and of two claims one wins."""

from __future__ import annotations

import threading

import pytest

from transcoder import keystores
from transcoder.errors import Refused
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.world import KeyStore

NAME = "0x0f544432cb27103055d8c1b5fba0e45f5a9ccea8/backup"
TEXT = '{"quotes": "\\"", "spaces":  "two ", "umlaut": "ü", "braces": "{}"}'


def test_what_is_put_comes_back_as_it_was(store: KeyStore) -> None:
    store.put(NAME, Secret(TEXT))
    assert store.get(NAME) == Secret(TEXT)


def test_what_was_never_put_is_absent_and_no_error(store: KeyStore) -> None:
    assert store.get(NAME) is None
    assert store.get(NAME, "1") is None
    assert store.versions(NAME) == ()
    assert store.names() == ()


def test_an_earlier_version_can_be_had_by_its_id(store: KeyStore) -> None:
    first, second = store.put(NAME, Secret("first")), store.put(NAME, Secret("second"))
    assert first != second
    assert store.get(NAME) == Secret("second")
    assert store.get(NAME, first) == Secret("first")
    versions = store.versions(NAME)
    assert {version.id for version in versions} == {first, second}
    assert all(version.when[:2] == "20" and "T" in version.when for version in versions)


def test_the_newest_version_is_the_last(store: KeyStore) -> None:
    for number in range(3):
        newest = store.put(NAME, Secret(f"version {number}"))
    assert store.versions(NAME)[-1].id == newest


def test_a_version_that_does_not_exist_is_absent(store: KeyStore) -> None:
    store.put(NAME, Secret("only"))
    unknown = "77" if store.kind != "secrets-manager" else "00000000-0000-4000-8000-000000000077"
    assert store.get(NAME, unknown) is None


def test_names_are_all_documents_and_nothing_else(store: KeyStore) -> None:
    wanted = sorted(f"0x{number:040x}/{kind}" for number in range(7) for kind in ("backup", "claim"))
    for name in wanted:
        store.put(name, Secret("x"))
    assert list(store.names()) == wanted


def test_a_claim_is_taken_once(store: KeyStore) -> None:
    assert store.create(NAME, Secret("mine"))
    assert not store.create(NAME, Secret("theirs"))
    assert store.get(NAME) == Secret("mine")


def test_a_claim_whose_answer_was_lost_is_still_ours(store: KeyStore) -> None:
    assert store.create(NAME, Secret("mine"))
    assert store.create(NAME, Secret("mine"))


def test_of_many_who_claim_at_the_same_time_one_wins(store: KeyStore, environment: Settings) -> None:
    won: list[int] = []
    begin = threading.Barrier(6)

    def claim(number: int) -> None:
        own = keystores.by_name(store.kind, environment)
        begin.wait(20)
        if own.create(NAME, Secret(f"claim of {number}")):
            won.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(won) == 1
    assert store.get(NAME) == Secret(f"claim of {won[0]}")


def test_the_largest_document_fits_and_one_byte_more_is_refused(store: KeyStore) -> None:
    size = min(store.largest, 1024 * 1024)
    store.put(NAME, Secret("x" * size))
    assert store.get(NAME) == Secret("x" * size)
    with pytest.raises(Refused, match="too large") as caught:
        store.put(NAME, Secret("x" * (store.largest + 1)))
    assert str(store.largest) in caught.value.message
    assert caught.value.hint
    assert "xxxx" not in str(caught.value)


def test_an_unknown_kind_is_refused_with_those_there_are(environment: Settings) -> None:
    with pytest.raises(Refused, match="does not exist") as caught:
        keystores.by_name("floppy", environment)
    assert "secrets-manager" in caught.value.hint
