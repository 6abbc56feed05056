"""`fab reward` against running programs: one call costs gas once, and a second is refused before it costs any."""

from __future__ import annotations

import dataclasses
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from tests.contract.standins.test_livepeer_node import chain, livepeer
from tests.simulated.world import NODE, settings
from tests.unit.lab.standins.programs import Geth
from transcoder import shape
from transcoder.actions import reward as act
from transcoder.actions import services
from transcoder.errors import Refused
from transcoder.model import Instance
from transcoder.recipes import reward
from transcoder.world import Host, Output, World

__all__ = ["chain"]
HERE = Instance("i-1", "running", "us-east-1a", "ami-1", "c4.large", tags={"Name": NODE})


class ThisMachine:
    """Runs the very commands here."""

    name = "here"

    def run(
        self, *argv: str, stdin: str | bytes = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        """Run a command; a journal is not there."""
        text = stdin if isinstance(stdin, str) else stdin.decode()
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout, check=False)
        return Output(argv, done.returncode, done.stdout, done.stderr)

    def run_all(self, *commands: Any, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        """Run commands one after the other."""
        return tuple(self.run(*command.argv, timeout=timeout) for command in commands)


def look(world: World, host: Host, account: str) -> reward.Observed:
    api = services.api_on(host, world.settings)
    return reward.Observed(
        world.settings,
        reward.Request(NODE),
        HERE,
        True,
        account,
        account,
        time.time(),
        chain=services.chain_state(host),
        round=services.livepeer_round(host, world.settings),
        balance=act.eth_balance(host, api),
        trial=act.trial(host, world.settings, api, account),
    )


def test_a_call_costs_gas_once_and_a_second_is_refused(
    tmp_path: Path, chain: Geth, monkeypatch: pytest.MonkeyPatch
) -> None:
    with livepeer(tmp_path, chain) as node:
        url = f"http://127.0.0.1:{chain.http}"
        api = dataclasses.replace(shape.api_of((0, 2, 4)), base=f"http://127.0.0.1:{node.http}")
        for module in (act, services):
            monkeypatch.setattr(module, "api_on", lambda _host, _settings: api)
            monkeypatch.setattr(module, "GETH_RPC", url)
        host = cast(Host, ThisMachine())
        world = World(settings(), cast(Any, None), cast(Any, lambda _instance: host))
        account = node.get("/ethAddr").lower()
        before = look(world, host, account)
        assert before.trial is not None
        assert (before.trial.waiting, before.trial.price) == (0, 10**9)
        (step,) = reward.plan(before).steps
        assert not step.is_done(world)
        step.do(world)
        step.verify(world)
        after = look(world, host, account)
        assert before.balance is not None
        assert after.balance is not None
        assert after.balance < before.balance
        with pytest.raises(Refused, match="has been called already"):
            reward.plan(after)
        assert act.eth_balance(host, api) == after.balance, "the second one cost nothing"
        assert node.program.log.count("Submitted reward()") == 1
