"""`invoke nightly-restart`: every node of an environment, a few at a time, and no further one after a failure."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from transcoder import operate, tags
from transcoder.errors import Interrupted, Refused, TranscoderError, Unreachable
from transcoder.recipes import restart, status
from transcoder.recipes.node import NodeFacts, stranger_reasons
from transcoder.step import Event, Plan
from transcoder.world import World

FRESH = 60.0
"""Seconds for which a look at EC2 is believed against a machine that is not as EC2 said: trouble costs calls by the
time, not by the nodes."""
RESTARTED, LEFT, FAILED, NOT_BEGUN, WOULD = "restarted", "left alone", "failed", "not begun", "to be restarted"


@dataclass(frozen=True)
class Request:
    """``parallel`` nodes at the same time; ``node`` is for each of them, its name apart."""

    parallel: int = 1
    keep_going: bool = False
    dry_run: bool = False
    only: str = ""
    node: restart.Request = field(default_factory=lambda: restart.Request(""))


@dataclass(frozen=True)
class Row:
    """What became of a node. ``seconds`` of the world's clock; ``hint`` is what to type."""

    node: str
    outcome: str
    seconds: float = 0.0
    reason: str = ""
    hint: str = ""
    exit_code: int = 0

    def describe(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return dict(vars(self))


class Places:
    """Where the nodes are: EC2 is asked once for all of them, and again only when one is not where it was.

    An old look is safe: a volume is attached to one machine at a time, a node's lock is held while it is restarted, and
    a machine that has the node no more has nothing mounted and refuses.
    """

    def __init__(self, world: World) -> None:
        self._world, self._lock = world, threading.Lock()
        self._seen: dict[str, NodeFacts] = {}
        self._given: dict[str, NodeFacts] = {}
        self._at = float("-inf")

    def all(self) -> dict[str, NodeFacts]:
        """Return the nodes by name."""
        with self._lock:
            if not self._seen:
                self._look()
            return self._seen

    def find(self, _world: World, name: str) -> NodeFacts:
        """Return one node; see `transcoder.recipes.restart.Look`.

        :raises Refused: when it is gone.
        """
        facts = self.all().get(name)
        if facts is None:
            raise Refused(f"node {name} is gone from this environment", hint="fab status")
        self._given[name] = facts
        if facts.strangers:
            raise Refused("; ".join(stranger_reasons(facts)), hint=f"fab status --node {name}")
        return facts

    def moved(self, name: str) -> bool:
        """Ask EC2 again, unless it was just asked; tell whether the node has another machine than `find` said."""
        with self._lock:
            if self._world.clock.monotonic() - self._at > FRESH:
                self._look()
            now, given = self._seen.get(name), self._given.get(name)
        return now is not None and given is not None and now.carrier != given.carrier

    def _look(self) -> None:
        self._seen = {facts.name: facts for facts in status.observe_nodes(self._world)}
        self._at = self._world.clock.monotonic()


class _Quiet:
    """A console for nodes whose output would be mixed with each other's: steps are told in one line each."""

    def __init__(self, node: str, say: Callable[[str], None]) -> None:
        self._node, self._say = node, say
        self._begun: set[str] = set()

    def show(self, plan: Plan) -> None:
        """Say what is planned, in its title."""

    def confirm(self, question: str) -> None:
        """Go on: the operator has agreed to all of them."""

    def watch(self, event: Event) -> None:
        """Say that a step has ended."""
        if event.outcome is not None:
            reason = f": {event.reason}" if event.reason else ""
            self._say(f"{self._node}: {event.step.title}: {event.outcome.value}, {event.seconds:.1f} s{reason}")


def run(world: World, request: Request, say: Callable[[str], None] = lambda _line: None) -> tuple[Row, ...]:
    """Restart the nodes, and return what became of each, by name.

    :param say: takes a line for each step, of any of the nodes.
    :raises Refused: when there is no node.
    """
    places = Places(world)
    nodes = [name for name, facts in places.all().items() if request.only in ("", name) and not facts.gone_to]
    if request.parallel < 1:
        raise Refused(f"--parallel {request.parallel}: at least 1", hint="invoke nightly-restart --parallel 2")
    if not nodes:
        which = f"no node {request.only}" if request.only else "no node"
        raise Refused(f"{which} in environment {world.settings.name}", hint="fab status; invoke launch")
    doubled = _doubled(places.all().values())
    stop = threading.Event()

    def one(name: str) -> Row:
        if stop.is_set():
            return Row(name, NOT_BEGUN, reason="another node failed before its turn came")
        row = _restart(world, replace(request.node, node=name), places, request.dry_run, say, doubled.get(name, ""))
        if row.outcome == FAILED and not request.keep_going:
            stop.set()
        return row

    pool = ThreadPoolExecutor(max_workers=min(request.parallel, len(nodes)))
    try:
        return tuple(pool.map(one, nodes))
    except BaseException:
        stop.set()
        say("no further node is begun; those under way are ended first")
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _doubled(nodes: Iterable[NodeFacts]) -> dict[str, str]:
    """Return by name why a node has to be left alone: another one has the same key."""
    keys = {node.name: node.livepeer.tags.get(tags.ADDRESS, "").lower() for node in nodes if node.livepeer}
    often = Counter(address for address in keys.values() if address)
    found = {}
    for name, address in keys.items():
        if often[address] > 1:
            others = ", ".join(other for other, same in keys.items() if same == address and other != name)
            found[name] = f"{others} claims the same account {address}: two must never run"
    return found


def _restart(
    world: World, request: restart.Request, places: Places, dry_run: bool, say: Callable[[str], None], doubled: str
) -> Row:
    begun = world.clock.monotonic()
    try:
        if doubled:
            raise Refused(doubled, hint="fab status")
        outcome = _where_it_is(world, request, places, dry_run, say)
    except Interrupted:
        raise
    except TranscoderError as error:
        text = "; ".join([error.message, *getattr(error, "reasons", ())])
        return Row(request.node, FAILED, _since(world, begun), text, error.hint, error.exit_code)
    return Row(request.node, outcome, 0.0 if dry_run else _since(world, begun))


def _since(world: World, begun: float) -> float:
    return round(world.clock.monotonic() - begun, 1)


def _where_it_is(
    world: World, request: restart.Request, places: Places, dry_run: bool, say: Callable[[str], None]
) -> str:
    """Restart a node; when its machine is not as EC2 said and EC2 now names another, there."""
    console = _Quiet(request.node, say)

    def act() -> str:
        operation = restart.operation(request, places.find)  # it remembers what ran when it began, and where
        if dry_run:
            return LEFT if operate.preview(operation, world, console).plan.empty else WOULD
        return LEFT if operate.operate(operation, world, console).nothing_to_do else RESTARTED

    try:
        return act()
    except (Refused, Unreachable):
        if not places.moved(request.node):
            raise
        say(f"{request.node}: it has another machine now")
    return act()


def exit_code(rows: Sequence[Row]) -> int:
    """Return the exit code: 0 when no node failed, else that of the worst: 5 (silent), 4 (failed), 3 (refused)."""
    return max((row.exit_code for row in rows), default=0)
