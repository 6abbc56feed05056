"""A round without its reward, on a real EVM node: the watch says so, `fab reward` calls it once, its event ends it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.evm.chain import ROUND, Chain, anvil
from tests.contract.evm.node import Node, a_node
from tests.contract.watch.rig import Watch, watching
from tests.unit.lab.standins.programs import free_port, wait_for
from tests.unit.watch.machine import Machine

GENEROUS = 120.0
"""Seconds for what takes one or two where nothing else runs."""


@contextmanager
def watched(home: Path, machine: Machine, chain: Chain, livepeer: str = "http://127.0.0.1:9") -> Iterator[Watch]:
    """Run the watch on a machine's files; what it sees is shown at once, for it is the chain that has patience here."""
    machine.config |= {"rpc": chain.url, "interval_seconds": 1, "rpc_interval_seconds": 1}
    machine.config["livepeer"]["base"] = livepeer
    machine.config["listen"]["port"] = free_port()
    for check in machine.config["checks"].values():
        check |= {"warn": 0, "alarm": 0, "clear": 0}
    home.mkdir()
    with watching(home, machine) as watch:
        yield watch


def metric(watch: Watch, name: str) -> float | None:
    """Return a number of /metrics."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", watch.get("/metrics")[1], re.MULTILINE)
    return float(found[1]) if found else None


def state_at(watch: Watch, chain: Chain, share: float) -> tuple[str | None, float | None]:
    """Mine on to a share of the round; return the state of the reward in /health and in /metrics when that was seen."""
    chain.at(share)
    wait_for(f"the watch sees {share} of the round", lambda: metric(watch, "transcoder_round_progress") == share, 120)
    return watch.states().get("reward"), metric(watch, 'transcoder_check_state{check="reward",subject=""}')


def refused(node: Node, chain: Chain) -> str:
    """Type `fab reward`, which must be refused before a transaction, and return what it said."""
    before = chain.sent_by(node.account), chain.call("eth_getBalance", node.account, "latest"), chain.head
    ran = node.fab("reward", "--yes")
    assert ran.exit_code == 3, ran.said
    assert "no gas is spent" in ran.said
    assert (chain.sent_by(node.account), chain.call("eth_getBalance", node.account, "latest"), chain.head) == before
    return ran.said


def test_a_round_without_reward_warns_then_alarms_and_fab_reward_calls_it_once(tmp_path: Path) -> None:
    with anvil(tmp_path) as chain, a_node(tmp_path, chain) as node:
        chain.begin_round()
        url = f"http://127.0.0.1:{node.livepeer.http}"
        with watched(tmp_path / "watch", node.machine, chain, url) as watch:
            assert state_at(watch, chain, 0.24) == ("ok", 0)
            assert state_at(watch, chain, 0.25) == ("warn", 2)
            assert state_at(watch, chain, 0.49) == ("warn", 2)
            assert state_at(watch, chain, 0.5) == ("alarm", 3)
            assert watch.get("/health")[0] == 503
            assert f"was not called; 50 % of round {chain.head // ROUND} have gone" in watch.message("reward")

            called = node.fab("reward", "--yes")

            assert called.exit_code == 0, called.said
            assert chain.sent_by(node.account) == 1
            (event,) = chain.rewards(node.account)
            watch.wait_for("reward", "ok", GENEROUS)
            proof = f"block {int(event['blockNumber'], 16)}, {event['transactionHash']}"
            assert watch.message("reward").endswith(f"was called: {proof}")
            assert "has been called already" in refused(node, chain)
            assert chain.sent_by(node.account) == 1
            assert len(chain.rewards(node.account)) == 1


@pytest.mark.parametrize("how", ["anvil_reorg", "anvil_rollback"])
def test_a_reward_that_the_chain_takes_back_is_told_as_not_called(tmp_path: Path, how: str) -> None:
    machine = Machine(tmp_path / "root")
    with anvil(tmp_path) as chain, watched(tmp_path / "watch", machine, chain) as watch:
        account = chain.others[1]
        machine.account(account)
        chain.register(account)
        chain.begin_round()
        assert state_at(watch, chain, 0.6)[0] == "alarm"
        chain.transact("BondingManager", "reward()", sender=account)
        watch.wait_for("reward", "ok", GENEROUS)

        chain.take_back(how, 3)

        watch.wait_for("reward", "alarm", GENEROUS)
        assert chain.rewards(account) == []
        chain.transact("BondingManager", "reward()", sender=account)
        watch.wait_for("reward", "ok", GENEROUS)
