"""What the catalog has of Livepeer's contracts is what their names hash to."""

from __future__ import annotations

import pytest
from watch import chain

from lab.standins.common.keccak import keccak_256
from lab.standins.geth_node import protocol as standin
from transcoder.catalog.protocol import CONTRACT_KEYS, EVENTS, KINDS, PROTOCOLS


@pytest.mark.parametrize(("text", "digest"), [*CONTRACT_KEYS.items(), *EVENTS.items()])
def test_a_hash_is_that_of_its_name(text: str, digest: str) -> None:
    assert keccak_256(text.encode()).hex() == digest


@pytest.mark.parametrize(
    ("signature", "selector"),
    [
        ("currentRound()", chain.CURRENT_ROUND),
        ("currentRoundInitialized()", chain.INITIALIZED),
        ("currentRoundStartBlock()", chain.START_BLOCK),
        ("roundLength()", chain.ROUND_LENGTH),
        ("blockNum()", chain.BLOCK_NUMBER),
        ("getTranscoder(address)", chain.GET_TRANSCODER),
        ("isActiveTranscoder(address)", chain.IS_ACTIVE),
        ("isActiveTranscoder(address,uint256)", chain.IS_ACTIVE_IN_ROUND),
        ("getContract(bytes32)", chain.GET_CONTRACT),
    ],
)
def test_a_selector_is_that_of_its_function(signature: str, selector: str) -> None:
    assert "0x" + keccak_256(signature.encode())[:4].hex() == selector


def test_every_event_with_a_meaning_has_a_hash() -> None:
    assert set(KINDS) <= set(EVENTS)


def test_the_controller_of_2018_is_the_one_that_the_stand_in_has() -> None:
    assert PROTOCOLS["mainnet"].controller == "0x" + standin.CONTRACTS["Controller"].hex()
