"""`fab reward`: call ``reward()`` by hand, after every check that keeps gas from being wasted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from transcoder import guest, layout, shape
from transcoder.actions.reward import CallReward, eth_balance, trial
from transcoder.actions.services import api_on, chain_state, livepeer_address, livepeer_round
from transcoder.catalog.livepeer import NETWORKS
from transcoder.catalog.reward_failures import explain
from transcoder.errors import Refused
from transcoder.facts.geth_rpc import ChainState
from transcoder.facts.livepeer_api import RoundState
from transcoder.facts.reward_rpc import Trial
from transcoder.model import Instance
from transcoder.operate import Operation
from transcoder.recipes.node import observe_node
from transcoder.settings import Settings
from transcoder.step import Plan
from transcoder.world import World

GWEI = 10**9
CEILINGS = {1: 50.0, 2: 1.0}
"""Gwei that gas may cost by default: on Ethereum, and on Arbitrum, whose floor is 0.01 gwei."""
ASSUMED_GAS = 1_000_000
"""Where no trial run tells what the call takes."""
SILENT = "the call may have been sent all the same: fab reward --dry-run looks, and says when it is done"
MARGIN = 2
"""The price may double until the transaction is mined."""


@dataclass(frozen=True)
class Request:
    """Which node. ``ceiling`` in gwei: what gas may cost, 0 for the network's default."""

    node: str
    ceiling: float = 0.0


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``balance`` in wei; None: livepeer, geth or the chain does not tell."""

    settings: Settings
    request: Request
    instance: Instance
    runs: bool
    expected: str
    account: str
    now: float
    chain: ChainState | None = None
    round: RoundState | None = None
    balance: int | None = None
    trial: Trial | None = None

    @property
    def ceiling(self) -> int:
        """What gas may cost, in wei."""
        default = CEILINGS.get(NETWORKS[self.settings.livepeer.network].layer, 0.0)
        return int((self.request.ceiling or default) * GWEI)

    @property
    def needed(self) -> int:
        """The ETH that the call may take, in wei."""
        gas = (self.trial.gas if self.trial else None) or ASSUMED_GAS
        price = self.trial.price if self.trial else None
        return gas * (self.ceiling if price is None else min(price * MARGIN, self.ceiling))


def operation(request: Request) -> Operation:
    """Return the operation for `transcoder.operate`."""
    return Operation("fab reward", request.node, _planner(request), on_silence=lambda _world: SILENT)


def _planner(request: Request) -> Callable[[World], Plan]:
    """Return what plans: at first a reward that was called is a refusal, after our own call it is the aim."""
    planned: list[int] = []

    def planner(world: World) -> Plan:
        observed = observe(world, request)
        if planned and observed.round is not None and observed.round.last_reward >= planned[0]:
            return Plan(_title(observed), ())
        made = plan(observed)
        planned.append(observed.round.current if observed.round else 0)
        return made

    return planner


def observe(world: World, request: Request) -> Observed:
    """Look at the node: livepeer, its round and its account, and the chain.

    :raises Refused: when no instance carries the node, or a ceiling is not meant.
    """
    if request.ceiling < 0:
        raise Refused(f"--max-gas-price {request.ceiling:g} is no price in gwei", hint="fab reward --max-gas-price 1")
    facts = observe_node(world, request.node)
    instance = facts.carrier
    if instance is None:
        raise Refused(f"no instance carries node {request.node}", hint=f"fab status --node {request.node}")
    host, settings = world.hosts(instance), world.settings
    seen = guest.observe(host)
    marker = guest.read_marker(host, layout.LIVEPEER) if seen.mounted(layout.LIVEPEER.mount) else None
    runs, expected = seen.service(layout.LIVEPEER.service.unit).running, marker.address if marker else ""
    if not runs:
        return Observed(settings, request, instance, runs, expected, "", world.clock.now())
    account, api = livepeer_address(host, settings), api_on(host, settings)
    return Observed(
        settings,
        request,
        instance,
        runs,
        expected,
        account,
        world.clock.now(),
        chain=chain_state(host) if shape.has_geth(settings) else None,
        round=livepeer_round(host, settings),
        balance=eth_balance(host, api),
        trial=trial(host, settings, api, account),
    )


def plan(observed: Observed) -> Plan:
    """Return the one call, or refuse it with every reason for which it would cost gas and bring nothing.

    :raises Refused: nothing was sent.
    """
    reasons = [reason for check in CHECKS for reason in check(observed)]
    if reasons or observed.round is None:
        node = observed.request.node
        raise Refused(
            f"reward() of node {node} is not called, no gas is spent",
            reasons=reasons,
            hint=f"fab status --node {node}; fab logs --node {node} --unit livepeer",
        )
    step = CallReward(instance=observed.instance, account=observed.account, round=observed.round.current)
    return Plan(_title(observed), (step,), _notes(observed))


def _title(observed: Observed) -> str:
    return f"call reward() of node {observed.request.node} on {observed.instance.name}"


def _notes(observed: Observed) -> tuple[str, ...]:
    tried = observed.trial
    price = f"{_gwei(tried.price)} gwei" if tried and tried.price is not None else "not known here"
    gas = f"{tried.gas} by a trial run" if tried and tried.gas else f"{ASSUMED_GAS} assumed, no trial run"
    balance = _eth(observed.balance) if observed.balance is not None else "?"
    return (
        f"gas: {gas}; its price: {price} (ceiling {_gwei(observed.ceiling)} gwei); the account has {balance} ETH",
        "livepeer signs and sends it; that takes until it is mined, 10 minutes at most",
    )


def _livepeer(observed: Observed) -> Iterator[str]:
    if not observed.runs:
        yield f"{layout.LIVEPEER.service.unit} does not run on {observed.instance.name}: it is livepeer that calls"
    elif not observed.account:
        yield "livepeer does not say as which account it runs"
    elif observed.expected and observed.account.lower() != observed.expected.lower():
        yield f"livepeer runs as {observed.account}, the volume's marker says {observed.expected}"


def _round(observed: Observed) -> Iterator[str]:
    found = observed.round
    if found is None:
        if observed.runs:
            yield "livepeer does not tell the round: it does not reach its chain"
        return
    if found.last_reward >= found.current:
        yield f"the reward of round {found.current} has been called already; a second call reverts and costs gas"
        return
    if not found.initialized:
        yield (
            f"round {found.current} is not initialized: reward() would revert and cost gas; wait until somebody calls "
            "initializeRound(), or let livepeer do it (livepeer.initialize_round)"
        )
    if not found.active:
        yield "the node is not in the active set of this round, and only those get rewards: look at its stake"


def _chain(observed: Observed) -> Iterator[str]:
    if not shape.has_geth(observed.settings) or not observed.runs:
        return
    if observed.chain is None:
        yield "geth does not answer its RPC"
        return
    age, limit = observed.now - observed.chain.head_timestamp, observed.settings.geth.head_age_seconds
    if age > limit:
        late = f"geth's head is {age:.0f} s old (limit {limit} s)"
        yield f"{late}, so what is known of the round is old: fab logs --unit geth"


def _money(observed: Observed) -> Iterator[str]:
    if observed.balance is None:
        if observed.runs:
            yield "livepeer does not tell how much ETH its account has"
    elif observed.balance < observed.needed:
        yield (
            f"the account {observed.account} has {_eth(observed.balance)} ETH, the call may take "
            f"{_eth(observed.needed)} ETH: send it some"
        )


def _gas(observed: Observed) -> Iterator[str]:
    tried, ceiling = observed.trial, observed.ceiling
    if ceiling == 0:
        yield f"there are no rewards on the network {observed.settings.livepeer.network}"
    if tried is None:
        return
    if tried.price is not None and tried.price > ceiling > 0:
        yield (
            f"gas costs {_gwei(tried.price)} gwei now, the ceiling is {_gwei(ceiling)}: wait, or type "
            f"--max-gas-price {_gwei(tried.price * MARGIN)}"
        )
    if tried.waiting:
        yield f"{tried.waiting} transaction(s) of the account wait to be mined; one of them may be the reward: wait"
    called = observed.round is not None and observed.round.last_reward >= observed.round.current
    if tried.reverts and not called:
        known = explain(tried.reverts)
        means = f": {known.what}; {known.to_do}" if known else ""
        yield f"the call would revert, as a trial run says ({tried.reverts}){means}"


CHECKS = (_livepeer, _round, _chain, _money, _gas)


def _gwei(wei: int) -> str:
    return f"{wei / GWEI:.4g}"


def _eth(wei: int) -> str:
    return f"{wei / 10**18:.6g}"
