"""What the watch takes for a proof, asked from a real EVM node whose contracts really log it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from watch import rounds
from watch.model import NoAnswer

from tests.contract.evm.chain import CONTROLLER, ROUND, Chain, anvil
from tests.unit.watch.machine import ALARM, OK, WARN, Answers, Machine, serving
from transcoder.settings import load


@dataclass(frozen=True)
class Rig:
    """A machine and its chain, a transcoder on it, and another one."""

    machine: Machine
    chain: Chain

    @property
    def own(self) -> str:
        return self.chain.others[1]

    @property
    def other(self) -> str:
        return self.chain.others[2]

    def look(self) -> dict[str, int]:
        """Return the levels that the watch gives."""
        return {name: reading.level for name, reading in self.machine.look(rounds.look).items()}

    def message(self, check: str = "reward") -> str:
        return self.machine.look(rounds.look)[check].message

    def reward(self, *, sender: str = "") -> str:
        return self.chain.transact("BondingManager", "reward()", sender=sender or self.own)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A node of 2018, whose round has just begun."""
    with anvil(tmp_path) as chain:
        found = Rig(Machine(tmp_path / "root"), chain)
        found.machine.config["rpc"] = chain.url
        found.machine.account(found.own)
        for account in (found.own, found.other):
            chain.register(account)
        chain.begin_round()
        yield found


@pytest.mark.parametrize(("share", "level"), [(0.24, OK), (0.25, WARN), (0.49, WARN), (0.5, ALARM), (0.99, ALARM)])
def test_the_share_of_the_round_is_the_chains_own(rig: Rig, share: float, level: int) -> None:
    rig.chain.at(share)
    assert rig.look() == {"round": OK, "reward": level, "slashed": OK, "deactivated": OK}
    assert f"{ROUND - round(share * ROUND)} blocks left" in rig.message()


def by_reward(rig: Rig) -> str:
    return rig.reward()


def by_hint(rig: Rig) -> str:
    return rig.chain.transact("BondingManager", "rewardWithHint(address,address)", 0, 0, sender=rig.own)


def by_a_reward_caller(rig: Rig) -> str:
    caller = rig.chain.others[0]
    rig.chain.transact("BondingManager", "setRewardCaller(address)", caller, sender=rig.own)
    return rig.chain.transact("BondingManager", "rewardForTranscoder(address)", rig.own, sender=caller)


@pytest.mark.parametrize("call", [by_reward, by_hint, by_a_reward_caller])
def test_whatever_function_and_whoever_calls_the_event_is_the_proof(rig: Rig, call: Callable[[Rig], str]) -> None:
    rig.chain.at(0.6)
    assert rig.look()["reward"] == ALARM
    digest = call(rig)
    assert rig.look()["reward"] == OK
    assert rig.message().endswith(f"was called: block {rig.chain.head}, {digest}")


def test_the_event_of_another_transcoder_and_that_of_the_round_before_prove_nothing(rig: Rig) -> None:
    rig.reward()
    rig.chain.begin_round()
    rig.reward(sender=rig.other)
    rig.chain.at(0.6)
    assert rig.look()["reward"] == ALARM


@pytest.mark.parametrize(("function", "check"), [("slash(address)", "slashed"), ("deactivate(address)", "deactivated")])
def test_what_befalls_the_account_is_an_alarm_until_the_chain_takes_it_back(
    rig: Rig, function: str, check: str
) -> None:
    rig.chain.transact("BondingManager", function, rig.other)
    assert rig.look()[check] == OK
    digest = rig.chain.transact("BondingManager", function, rig.own)
    assert rig.look()[check] == ALARM
    assert digest in rig.message(check)
    rig.chain.take_back("anvil_reorg", 1)
    assert rig.look()[check] == OK


@pytest.mark.parametrize("depth", [2, 30])
def test_a_reward_is_taken_back_however_many_blocks_were_replaced(rig: Rig, depth: int) -> None:
    rig.chain.at(0.6)
    rig.reward()
    rig.chain.mine_to(rig.chain.head + depth - 2)
    assert rig.look()["reward"] == OK
    rig.chain.call("anvil_rollback", depth)
    assert rig.look()["reward"] == ALARM


def limited(chain: Chain, most: int) -> Answers:
    """Return an endpoint that hands on everything but questions for the events of more blocks than this."""

    def logs(wanted: dict[str, Any]) -> Any:
        blocks = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
        if blocks > most:
            raise NoAnswer(f"eth_getLogs is limited to a {most} range")
        return chain.call("eth_getLogs", wanted)

    def hand_on(method: str) -> Callable[..., Any]:
        return lambda *params: chain.call(method, *params)

    answers = Answers()
    answers.results = {"eth_getLogs": logs, **{name: hand_on(name) for name in ("eth_call", "eth_blockNumber")}}
    return answers


@pytest.mark.parametrize("most", [10, 64])
def test_an_endpoint_that_denies_many_blocks_is_asked_for_fewer_until_all_are_read(rig: Rig, most: int) -> None:
    digest = rig.reward()
    rig.chain.at(0.9)
    with serving(limited(rig.chain, most)) as endpoint:
        rig.machine.config["rpc"] = endpoint.url
        for _ in range(4):  # ten questions a look
            found = rig.look()
        assert found == {"round": OK, "reward": OK, "slashed": OK, "deactivated": OK}
        assert digest in rig.message()
        rig.chain.begin_round()
        rig.chain.at(0.6)
        rig.look()
        assert rig.look()["reward"] == ALARM, "and so it is known that there is none"


def test_on_arbitrum_the_round_goes_by_ethereums_blocks_and_begins_with_its_event(tmp_path: Path, rig: Rig) -> None:
    today = Rig(Machine(tmp_path / "today", load("arbitrum")), rig.chain)
    today.machine.config["rpc"] = rig.chain.url
    today.machine.config["protocol"] |= {"controller": CONTROLLER, "round_blocks": ROUND}
    today.machine.account(rig.own)

    def ethereum(block: int) -> dict[str, int]:
        rig.chain.transact("RoundsManager", "setEthereumBlock(uint256)", block)
        rig.chain.mine_to(rig.chain.head + 48)
        return today.look()

    ethereum(20_000_000)
    rig.chain.transact("RoundsManager", "initializeRound()")
    rig.reward()
    assert today.look()["reward"] == OK
    ethereum(20_000_100)
    rig.chain.transact("RoundsManager", "initializeRound()")
    assert [ethereum(20_000_100 + blocks)["reward"] for blocks in (24, 25, 50)] == [OK, WARN, ALARM]
    digest = by_hint(rig)
    assert today.look()["reward"] == OK
    assert digest in today.message()
