"""`invoke nightly-restart`: every node of an environment, a few at a time, and no further one after a failure."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from transcoder import operate, tags
from transcoder.errors import Interrupted, Refused, TranscoderError
from transcoder.recipes import restart, status
from transcoder.recipes.node import NodeFacts, stranger_reasons
from transcoder.step import Event, Plan
from transcoder.world import World

FRESH = 300.0
"""Seconds for which a look at EC2 counts for all nodes: the calls grow with the time, not with the nodes."""
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
    """Where the nodes are: EC2 is asked once for all of them, and again when that is old."""

    def __init__(self, world: World) -> None:
        self._world, self._lock = world, threading.Lock()
        self._seen: dict[str, NodeFacts] = {}
        self._at = float("-inf")

    def all(self) -> dict[str, NodeFacts]:
        """Return the nodes by name."""
        with self._lock:
            now = self._world.clock.monotonic()
            if now - self._at > FRESH:
                self._seen = {facts.name: facts for facts in status.observe_nodes(self._world)}
                self._at = now
            return self._seen

    def find(self, _world: World, name: str) -> NodeFacts:
        """Return one node; see `transcoder.recipes.restart.Look`.

        :raises Refused: when it is gone.
        """
        facts = self.all().get(name)
        if facts is None:
            raise Refused(f"node {name} is gone from this environment", hint="fab status")
        if facts.strangers:
            raise Refused("; ".join(stranger_reasons(facts)), hint=f"fab status --node {name}")
        return facts


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
    operation, console = restart.operation(request, places.find), _Quiet(request.node, say)
    try:
        if doubled:
            raise Refused(doubled, hint="fab status")
        if dry_run:
            empty = operate.preview(operation, world, console).plan.empty
            return Row(request.node, LEFT if empty else WOULD)
        done = operate.operate(operation, world, console)
    except Interrupted:
        raise
    except TranscoderError as error:
        text = "; ".join([error.message, *getattr(error, "reasons", ())])
        seconds = world.clock.monotonic() - begun
        return Row(request.node, FAILED, round(seconds, 1), text, error.hint, error.exit_code)
    seconds = world.clock.monotonic() - begun
    return Row(request.node, LEFT if done.nothing_to_do else RESTARTED, round(seconds, 1))


def exit_code(rows: Sequence[Row]) -> int:
    """Return the exit code: 0 when no node failed, else that of the worst: 5 (silent), 4 (failed), 3 (refused)."""
    return max((row.exit_code for row in rows), default=0)
