"""The reward by hand: once in a round, and never at the price of gas that brings nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.simulated.disk import KEY
from tests.simulated.machine import Rounds
from tests.simulated.world import NODE, Console, Simulation, perform, without_geth
from transcoder import operate
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.facts import reward_rpc
from transcoder.layout import GETH, LIVEPEER
from transcoder.recipes import reward
from transcoder.settings import Settings


def pending(settings: Settings | None = None) -> Simulation:
    """A node whose reward of this round is still to be called."""
    sim = Simulation(settings) if settings else Simulation()
    sim.node()
    sim.rounds.last_reward = sim.rounds.current - 1
    return sim


def call(sim: Simulation, ceiling: float = 0.0) -> Console:
    return perform(reward.operation(reward.Request(NODE, ceiling)), sim)[1]


@pytest.mark.parametrize("make", [None, without_geth], ids=["with geth", "without geth"])
def test_it_is_called_once_and_the_record_shows_it(make: Callable[[], Settings] | None) -> None:
    sim = pending(make() if make else None)
    console = call(sim)
    assert sim.rounds.paid == [""]
    assert sim.rounds.last_reward == sim.rounds.current
    assert f"call reward() of round 1340 as {KEY}" in console.shown[0].steps[0].title


def test_a_second_call_is_refused_before_it_costs_gas() -> None:
    sim = pending()
    call(sim)
    with pytest.raises(Refused, match="the reward of round 1340 has been called already") as caught:
        call(sim)
    assert caught.value.exit_code == 3
    assert len(caught.value.reasons) == 1, "one reason is enough"
    assert sim.rounds.paid == [""]


def test_a_dry_run_shows_gas_price_and_balance_and_calls_nothing() -> None:
    sim = pending()
    console = Console()
    operate.preview(reward.operation(reward.Request(NODE)), sim.world, console)
    assert sim.rounds.paid == []
    assert sim.hosts.mutations == []
    assert console.shown[0].notes[0] == (
        "gas: 400000 by a trial run; its price: 0.1 gwei (ceiling 50 gwei); the account has 1 ETH"
    )


def _set(**fields: object) -> Callable[[Simulation], None]:
    def change(sim: Simulation) -> None:
        for name, value in fields.items():
            setattr(sim.rounds, name, value)

    return change


def _stop(unit: str) -> Callable[[Simulation], None]:
    return lambda sim: sim.machine(NODE).stop(unit)


def _impostor(sim: Simulation) -> None:
    sim.machine(NODE).account = "0x" + "9" * 40


def _behind(sim: Simulation) -> None:
    sim.machine(NODE).faults.chain_behind = 600.0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_set(initialized=False), "round 1340 is not initialized: reward() would revert and cost gas"),
        (_set(active=False), "not in the active set"),
        (_set(balance=10**13), "has 1e-05 ETH, the call may take 8e-05 ETH: send it some"),
        (_set(gas_price=60 * 10**9), "gas costs 60 gwei now, the ceiling is 50: wait, or type --max-gas-price 120"),
        (_set(waiting=1), "1 transaction(s) of the account wait to be mined"),
        (_stop(LIVEPEER.service.unit), "livepeer-transcoder.service does not run on tc001"),
        (_stop(GETH.service.unit), "geth does not answer its RPC"),
        (_impostor, "livepeer runs as 0x9999"),
        (_behind, "s old (limit 30 s), so what is known of the round is old"),
    ],
    ids=["round", "active", "balance", "price", "waiting", "livepeer", "geth", "account", "head"],
)
def test_what_would_waste_gas_is_refused_with_what_to_do(spoil: Callable[[Simulation], None], said: str) -> None:
    sim = pending()
    spoil(sim)
    with pytest.raises(Refused) as caught:
        call(sim)
    assert said in str(caught.value)
    assert "no gas is spent" in caught.value.message
    assert sim.rounds.paid == []
    assert sim.hosts.mutations == []


def test_all_reasons_are_told_at_once() -> None:
    sim = pending()
    sim.rounds.initialized, sim.rounds.balance, sim.rounds.gas_price = False, 0, 60 * 10**9
    with pytest.raises(Refused) as caught:
        call(sim)
    assert len(caught.value.reasons) == 4, "the trial run says no as well"


def test_a_trial_run_that_reverts_is_refused_though_the_record_says_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is what livepeer believes; the trial is made on the chain's own state."""
    monkeypatch.setattr(Rounds, "reward", lambda _self: "caller must be an active transcoder")
    with pytest.raises(Refused, match=r"the call would revert, as a trial run says .*only those get rewards"):
        call(pending())


def test_the_ceiling_can_be_raised_and_lowered() -> None:
    sim = pending()
    sim.rounds.gas_price = 60 * 10**9
    call(sim, ceiling=80.0)
    assert sim.rounds.paid == [""]
    with pytest.raises(Refused, match=r"ceiling is 0\.05"):
        call(pending(), ceiling=0.05)
    with pytest.raises(Refused, match="no price"):
        call(pending(), ceiling=-1.0)


def test_on_arbitrum_the_ceiling_is_lower() -> None:
    sim = pending(without_geth())
    sim.rounds.gas_price = 2 * 10**9
    with pytest.raises(Refused, match="the ceiling is 1:"):
        call(sim)


def test_without_an_address_of_the_chain_there_is_no_trial_and_the_plan_says_so() -> None:
    sim = pending(without_geth(livepeer={"eth_url": "", "private_options": True}))
    console = call(sim)
    assert "1000000 assumed, no trial run; its price: not known here" in console.shown[0].notes[0]
    assert sim.rounds.paid == [""]


def test_the_address_of_a_hosted_chain_is_in_no_argument() -> None:
    sim = pending(without_geth(livepeer={"eth_url": "https://rpc.example/v2/canary"}))
    call(sim)
    assert not [command for command in sim.hosts.commands if "canary" in " ".join(command.argv)]
    assert [command for command in sim.hosts.commands if "canary" in command.stdin]


@pytest.mark.parametrize("make", [None, lambda: without_geth(livepeer={"version": "v0.9.1"})], ids=["0.2.4", "v0.9.1"])
@pytest.mark.parametrize(
    ("says", "means"),
    [
        ("nonce too low", "another transaction took the number"),
        ("insufficient funds for gas * price + value", "send ETH"),
        ("gas price exceeds max gas price", "-maxGasPrice"),
        ("context deadline exceeded", "do not call again before"),
        ("something new", "fab logs --unit livepeer"),
    ],
)
def test_a_failure_is_told_in_words_with_what_to_do(make: Callable[[], Settings] | None, says: str, means: str) -> None:
    """Up to v0.5.29 livepeer answers 200 all the same, and the reason stands in its log alone."""
    sim = pending(make() if make else None)
    sim.machine(NODE).faults.reward_fails = says
    with pytest.raises(Failed) as caught:
        call(sim)
    assert means in str(caught.value)
    assert sim.rounds.paid == []


def test_a_livepeer_without_the_route_says_which_flag_is_missing() -> None:
    sim = pending()
    sim.machine(NODE).faults.reward_routes_off = True
    with pytest.raises(Failed, match="-enableCliTxRoutes"):
        call(sim)


def test_a_node_that_is_nowhere_is_refused() -> None:
    with pytest.raises(Refused, match="no instance carries"):
        call(Simulation())


def test_a_call_whose_answer_is_lost_says_that_it_may_have_been_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = pending()

    def lose(*_: object) -> tuple[int, str]:
        raise Unreachable("tc001: no answer over SSH", hint="run it again")

    operation = reward.operation(reward.Request(NODE))
    monkeypatch.setattr("tests.simulated.looks._reward", lose)
    with pytest.raises(Unreachable, match="may have been sent"):
        perform(operation, sim)


def test_a_chain_that_answers_errors_is_not_taken_for_a_revert() -> None:
    trial = reward_rpc.parse_trial(
        '[{"id": 0, "error": {"code": -32000, "message": "no suitable peers available"}},'
        ' {"id": 3, "error": {"code": -32601, "message": "the method does not exist"}}]'
    )
    assert trial == reward_rpc.Trial(None, None, None, "")


def test_geth_of_2018_tells_a_revert_in_its_own_words() -> None:
    said = "gas required exceeds allowance or always failing transaction"
    trial = reward_rpc.parse_trial(json.dumps([{"id": 3, "error": {"code": -32000, "message": said}}]))
    assert trial.reverts == said
