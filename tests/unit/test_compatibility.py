"""Can an image go on with the data of another one?"""

from __future__ import annotations

import pytest

from transcoder.compatibility import incompatible, layout_of
from transcoder.facts.release import Release, Version

OLD = Release((1, 8, 27), (0, 2, 4), "mainnet")
HOSTED = Release(None, (0, 6, 0), "arbitrum-one-mainnet")


def test_the_same_image_is_compatible_and_a_newer_geth_is() -> None:
    assert incompatible(OLD, OLD) == ()
    assert incompatible(OLD, Release((1, 9, 0), (0, 2, 4), "mainnet")) == ()
    assert incompatible(OLD, Release((1, 8, 27), (0, 3, 1), "mainnet")) == ()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Release((1, 8, 27), (0, 4, 0)), "<network>/keystore"),
        (Release((1, 8, 27), (0, 5, 3)), "lpdb.sqlite3"),
        (Release((1, 8, 20), (0, 2, 4)), "geth would go back from 1.8.27 to 1.8.20"),
        (Release((1, 8, 27), (0, 2, 3)), "livepeer would go back"),
        (Release((1, 8, 27), (0, 2, 4), "rinkeby"), "network rinkeby"),
    ],
)
def test_what_would_lose_the_keys_the_database_or_the_chain_is_told(image: Release, words: str) -> None:
    reasons = incompatible(OLD, image)
    assert len(reasons) == 1
    assert words in reasons[0]


def test_a_geth_is_neither_gained_nor_lost() -> None:
    assert incompatible(HOSTED, HOSTED) == ()
    assert incompatible(HOSTED, Release(None, (0, 9, 1), "arbitrum-one-mainnet")) == ()
    (lost,) = incompatible(OLD, Release(None, (0, 2, 4), "mainnet"))
    (gained,) = incompatible(HOSTED, Release((1, 8, 27), (0, 6, 0), "arbitrum-one-mainnet"))
    assert "the image has no geth, and the node has one" in lost
    assert "the image has a geth, and the node has none" in gained


def test_all_reasons_are_told() -> None:
    assert len(incompatible(Release((1, 9, 0), (0, 4, 0), "mainnet"), Release((1, 8, 0), (0, 9, 1), "rinkeby"))) == 4


@pytest.mark.parametrize(
    ("version", "keys", "database"),
    [
        ((0, 2, 4), "<datadir>/keystore", "lp.sqlite3"),
        ((0, 3, 1), "<datadir>/keystore", "lp.sqlite3"),
        ((0, 3, 2), "<datadir>/<network>/keystore", "lp.sqlite3"),
        ((0, 5, 2), "<datadir>/keystore", "lp.sqlite3"),
        ((0, 5, 3), "<datadir>/keystore", "lpdb.sqlite3"),
        ((0, 9, 1), "<datadir>/keystore", "lpdb.sqlite3"),
    ],
)
def test_the_layout_of_each_release(version: Version, keys: str, database: str) -> None:
    assert layout_of(version) == (keys, database)
