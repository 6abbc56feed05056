"""The trial run of a call before it is made: what a real EVM says of one that would revert, in the contract's words."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.evm.chain import ADDRESSES, Chain, anvil
from transcoder.catalog.reward_failures import explain
from transcoder.facts import reward_rpc
from transcoder.facts.reward_rpc import Trial


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """A chain whose round has begun and is not initialised; the last of its accounts is a transcoder."""
    with anvil(tmp_path) as running:
        running.register(running.others[-1])
        running.begin_round(initialize=False)
        yield running


def trial(chain: Chain) -> Trial:
    asked = reward_rpc.stdin(chain.url, chain.others[-1], ADDRESSES["BondingManager"])
    told = subprocess.run(reward_rpc.COMMAND, input=asked, capture_output=True, text=True, check=True, timeout=60)
    return reward_rpc.parse_trial(told.stdout)


def initialized(chain: Chain) -> None:
    chain.transact("RoundsManager", "initializeRound()")


def rewarded(chain: Chain) -> None:
    initialized(chain)
    chain.transact("BondingManager", "reward()", sender=chain.others[-1])


def deactivated(chain: Chain) -> None:
    initialized(chain)
    chain.transact("BondingManager", "deactivate(address)", chain.others[-1])


@pytest.mark.parametrize(
    ("prepare", "says", "means"),
    [
        (lambda _chain: None, "current round is not initialized", "the round is not initialized"),
        (rewarded, "caller has already called reward for the current round", "was called before"),
        (deactivated, "caller must be an active transcoder", "not in the active set"),
    ],
    ids=["not initialized", "called", "not active"],
)
def test_a_call_that_would_revert_is_known_with_its_reason_and_costs_nothing(
    chain: Chain, prepare: Callable[[Chain], None], says: str, means: str
) -> None:
    prepare(chain)
    before = chain.sent_by(chain.others[-1]), chain.head
    told = trial(chain)
    assert told.gas is None
    assert says in told.reverts
    known = explain(told.reverts)
    assert known is not None
    assert means in known.what
    assert (chain.sent_by(chain.others[-1]), chain.head) == before


def test_a_call_that_would_succeed_is_known_with_its_gas(chain: Chain) -> None:
    initialized(chain)
    told = trial(chain)
    assert (told.reverts, told.waiting) == ("", 0)
    assert told.gas is not None
    assert told.price is not None
    assert 21_000 < told.gas < 500_000


def test_a_transaction_that_waits_to_be_mined_is_seen(chain: Chain) -> None:
    initialized(chain)
    chain.call("evm_setAutomine", False)
    sender = chain.others[-1]
    chain.call("eth_sendTransaction", {"from": sender, "to": ADDRESSES["BondingManager"], "data": "0x228cb733"})
    assert trial(chain).waiting == 1
