"""`fab restart`: geth first, with all the time it needs to stop; livepeer only when geth is in sync again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from transcoder import guest, shape, tags
from transcoder.actions.guest import read_clock
from transcoder.actions.restarts import GethFollows, WaitIdle
from transcoder.actions.services import (
    StartUnit,
    StopUnit,
    WaitLivepeerHealthy,
    chain_state,
    livepeer_round,
    stop_budget,
)
from transcoder.errors import Failed, Refused
from transcoder.facts.geth_rpc import ChainState
from transcoder.facts.livepeer_api import RoundState
from transcoder.guest import Guest
from transcoder.layout import GETH, LIVEPEER, DataVolume
from transcoder.model import Instance, ServiceState
from transcoder.operate import Operation
from transcoder.recipes.leaving import skip_if
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.recipes.preflight import round_reasons
from transcoder.settings import Settings
from transcoder.step import Plan, Step
from transcoder.world import World

T = TypeVar("T")

WHAT: Mapping[str, tuple[DataVolume, ...]] = {"all": (GETH, LIVEPEER), "geth": (GETH,), "livepeer": (LIVEPEER,)}
STAMP = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Request:
    """What of which node is to be restarted.

    Both in seconds: ``wait_sessions`` is what the sessions may take to end, None for what the environment says; a
    service that was started within ``max_age`` is left alone, with 0 none is.
    """

    node: str
    what: str = "all"
    ignore_round: bool = False
    wait_sessions: float | None = None
    max_age: float = 0.0


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from."""

    settings: Settings
    request: Request
    instance: Instance
    seen: Guest
    address: str
    ahead: float
    """Seconds by which the machine's clock is ahead of ours."""
    now: float
    """The machine's time, in Unix seconds."""
    chain: ChainState | None
    round: RoundState | None
    unclear: tuple[str, ...] = ()
    """Answers of geth and livepeer that say nothing: a restart is what helps."""


Look = Callable[[World, str], NodeFacts]


def operation(request: Request, find: Look | None = None) -> Operation:
    """Return the operation for `transcoder.operate`.

    :param find: where the node is; for many nodes somebody who asks EC2 once for all of them.
    """
    own = observe_node if request.what == GETH.role else find_alone
    return Operation("fab restart", request.node, _planner(request, find or own))


def find_alone(world: World, name: str) -> NodeFacts:
    """Look where the node is, and whether it is the only one with its account: a restart starts what does not run.

    :raises Refused: as `observe_node`, and when a volume of another node, of any environment here, names the account.
    """
    facts = observe_node(world, name)
    address = facts.livepeer.tags.get(tags.ADDRESS, "") if facts.livepeer else ""
    claimed = world.cloud.volumes(tags={tags.ADDRESS: address}) if address else ()
    own = (world.settings.name, name)
    others = [
        volume
        for volume in claimed
        if (volume.tags.get(tags.ENVIRONMENT), volume.tags.get(tags.NODE)) != own
        and not {tags.GONE_TO, tags.REPLACED_BY} & set(volume.tags)
    ]
    if others:
        who = [f"node {v.tags.get(tags.NODE)} of {v.tags.get(tags.ENVIRONMENT)} has it, too: {v.id}" for v in others]
        problem = f"node {name} is not restarted: its account {address} is claimed twice, and two must never run"
        raise Refused(problem, reasons=who, hint="invoke keys says who has it")
    return facts


def _planner(request: Request, find: Look) -> Callable[[World], Plan]:
    """Return what plans: at first all that is to be restarted, then what has not been since the first look."""
    before: dict[str, tuple[int, str]] = {}

    def planner(world: World) -> Plan:
        observed = observe(world, request, find)
        now = {unit: _life(observed.seen.service(unit)) for unit in _units(observed)}
        for unit, life in now.items():
            before.setdefault(unit, life)
        done = frozenset(unit for unit, life in now.items() if life != before[unit] and life[0])
        return plan(observed, done)

    return planner


def _life(state: ServiceState) -> tuple[int, str]:
    return (state.main_pid, state.since) if state.running else (0, "")


def observe(world: World, request: Request, find: Look) -> Observed:
    """Look at the node.

    :raises Refused: when nothing carries it, or the request names what there is not.
    """
    if request.what not in WHAT:
        raise Refused(f"{request.what!r} is not one of {', '.join(WHAT)}", hint="fab restart --help")
    if request.what == "geth" and not shape.has_geth(world.settings):
        raise Refused(f"a node of {world.settings.name} has no geth of its own", hint="fab restart livepeer")
    instance = find(world, request.node).carrier
    if instance is None:
        raise Refused(f"no instance carries node {request.node}", hint=f"fab status --node {request.node}")
    host, settings = world.hosts(instance), world.settings
    seen, (ahead, _) = guest.observe(host), read_clock(world, instance)
    marker = guest.read_marker(host, LIVEPEER) if seen.mounted(LIVEPEER.mount) else None
    geth_runs = shape.has_geth(settings) and seen.service(GETH.service.unit).running
    livepeer_runs = seen.service(LIVEPEER.service.unit).running
    unclear: list[str] = []
    return Observed(
        settings,
        request,
        instance,
        seen,
        marker.address if marker else "",
        ahead,
        world.clock.now() + ahead,
        _answer(lambda: chain_state(host), unclear) if geth_runs else None,
        _answer(lambda: livepeer_round(host, settings), unclear) if livepeer_runs else None,
        tuple(unclear),
    )


def _answer(ask: Callable[[], T | None], unclear: list[str]) -> T | None:
    """Return an answer; None for one that says nothing, such as an error of a light geth that has lost its peers."""
    try:
        return ask()
    except Failed as error:
        unclear.append(error.message)
        return None


def plan(observed: Observed, done: frozenset[str] = frozenset()) -> Plan:
    """Return the restart, or refuse it with every reason.

    :param done: the units that were restarted since this operation began.
    :raises Refused: nothing was stopped.
    """
    request = observed.request
    left = [data for data in _parts(observed) if data.service.unit not in done and not _young(observed, data)]
    title = f"restart {request.what} of node {request.node} on {observed.instance.name}"
    if not left:
        return Plan(title, ())
    reasons = [] if done else list(_reasons(observed, left))
    if reasons:
        raise Refused(
            f"node {request.node} is not restarted, nothing was stopped",
            reasons=reasons,
            hint=f"fab status --node {request.node}",
        )
    steps = [step for data in left for step in _steps(observed, data, follows=GETH in left)]
    return Plan(title, tuple(steps), tuple(_notes(observed, left)))


def _parts(observed: Observed) -> tuple[DataVolume, ...]:
    there = shape.data_volumes(observed.settings)
    return tuple(data for data in WHAT[observed.request.what] if data in there)


def _units(observed: Observed) -> tuple[str, ...]:
    return tuple(data.service.unit for data in _parts(observed))


def _young(observed: Observed, data: DataVolume) -> bool:
    """Tell whether a service was started so recently that it is to be left alone: not when geth has stalled."""
    state = observed.seen.service(data.service.unit)
    if not observed.request.max_age or not state.running or _chain_is_away(observed):
        return False
    return observed.now - started(state) < observed.request.max_age


def started(state: ServiceState) -> float:
    """Return when a unit became active, in Unix seconds.

    :raises Refused: when the machine's clock does not go by UTC, which an image of this project does.
    """
    words = state.since.split()  # Mon 2026-11-23 00:10:00 UTC
    if len(words) != 4 or words[3] != "UTC":
        raise Refused(
            f"{state.unit} says that it is active since {state.since!r}, expected a time in UTC",
            hint="timedatectl set-timezone UTC on the machine, or leave --max-age out",
        )
    return datetime.strptime(" ".join(words[1:3]), STAMP).replace(tzinfo=UTC).timestamp()


def _steps(observed: Observed, data: DataVolume, *, follows: bool) -> Iterator[Step]:
    unit, settings = data.service.unit, observed.settings
    state, instance, lane = observed.seen.service(unit), observed.instance, data.role
    # Each names it, since a step that is skipped waits for nobody.
    first = (f"{GETH.role}/{GethFollows.verb}",) if data is LIVEPEER and follows else ()
    stopped = skip_if(state.active in ("inactive", "failed") and state.main_pid == 0)
    if data is LIVEPEER:
        asked, skip = observed.request.wait_sessions, skip_if(not state.running)
        wait = float(settings.restart.wait_sessions_seconds) if asked is None else asked
        until = None if _goes_on_unrewarded(observed) else float(settings.restart.wait_reward_seconds)
        yield WaitIdle(lane=lane, instance=instance, budget=wait, reward_budget=until, after=first, skip=skip)
    budget = stop_budget(settings, data)
    yield StopUnit(lane=lane, instance=instance, unit=unit, budget=budget, skip=stopped, after=first)
    yield StartUnit(lane=lane, instance=instance, unit=unit, after=first)
    if data is GETH:
        patience = settings.geth.in_sync_budget_seconds
        yield GethFollows(lane=lane, instance=instance, budget=patience, ahead=observed.ahead)
    else:
        patience = settings.livepeer.healthy_budget_seconds
        yield WaitLivepeerHealthy(lane=lane, instance=instance, address=observed.address, budget=patience)


def _reasons(observed: Observed, left: list[DataVolume]) -> Iterator[str]:
    where = observed.instance.name
    for data in left:
        unit = data.service.unit
        if not observed.seen.mounted(data.mount):
            yield f"{data.mount} is not mounted on {where}, so {unit} cannot start there: fab attach"
        if unit in observed.seen.held:
            yield f"{unit} is held on {where}: an operation that moves the node has begun there"
    if LIVEPEER in left and observed.seen.mounted(LIVEPEER.mount) and not observed.address:
        yield f"the volume on {where} has no key yet: fab create-key, or fab restore-keys"
    if not _chain_is_away(observed):
        yield from round_reasons(observed.round, ignore=observed.request.ignore_round)


def _goes_on_unrewarded(observed: Observed) -> bool:
    """Tell whether livepeer is restarted though a reward is pending: it could not call it, or the operator wants it."""
    return observed.request.ignore_round or _chain_is_away(observed)


def _chain_is_away(observed: Observed) -> bool:
    """Tell whether geth has lost the chain: then no reward can be called before it is restarted."""
    if not shape.has_geth(observed.settings):
        return False
    seen = observed.chain
    age = observed.now - seen.head_timestamp if seen else 0.0
    return seen is None or not seen.peers or age > observed.settings.geth.head_age_seconds


def _notes(observed: Observed, left: list[DataVolume]) -> Iterator[str]:
    yield from observed.unclear
    pending = observed.round is not None and observed.round.reward_pending
    if pending and _chain_is_away(observed):
        yield "the reward of this round is still to be called, and cannot be before geth follows the chain again"
    for data in _parts(observed):
        if data not in left and _young(observed, data):
            yield f"{data.service.unit} runs since {observed.seen.service(data.service.unit).since}: left alone"
