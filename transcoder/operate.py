"""Look, plan, show, ask, act, look again: how every operation runs, whatever it does.

Some operations can only be planned in stages: what an unmounted volume holds is known once a machine sees it, and a
machine that is to be launched has no id yet. Each stage is observed and planned anew, printed, and run; the operation
has ended when the plan made from a fresh look is empty.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from transcoder.errors import Failed, Refused
from transcoder.step import Event, Plan, Result, run
from transcoder.world import Lock, World, holding

MAX_STAGES = 6
"""More stages than any operation has: a plan that does not become empty by then never will."""


class Console(Protocol):
    """What an operation shows and asks."""

    def show(self, plan: Plan) -> None:
        """Print a plan."""

    def confirm(self, question: str) -> None:
        """Ask; raise `Refused` when the answer is no or nobody is there to answer."""

    def watch(self, event: Event) -> None:
        """Print that a step began or ended."""


@dataclass(frozen=True)
class Operation:
    """Something to be done to a node. ``plan`` looks at the world and returns what is still to be done."""

    name: str
    node: str
    plan: Callable[[World], Plan]
    give_back: Callable[[World], Plan | None] = lambda _world: None
    """Asked for a plan when a later stage refuses: what this run did that must not stay."""


@dataclass(frozen=True)
class Outcome:
    """What an operation did: the plan that was shown first and the results of the stages that ran."""

    plan: Plan
    results: tuple[Result, ...]

    @property
    def nothing_to_do(self) -> bool:
        """Whether the world was already as wanted."""
        return not self.results


def preview(operation: Operation, world: World, console: Console) -> Outcome:
    """Plan and print; change nothing."""
    plan = operation.plan(world)
    console.show(plan)
    return Outcome(plan, ())


def operate(operation: Operation, world: World, console: Console) -> Outcome:
    """Run an operation to its end.

    :raises Refused: nothing was done (or what was done has been given back).
    :raises Failed: a step failed, or the world is not as wanted after all stages.
    """
    first = operation.plan(world)
    console.show(first)
    if first.empty:
        _free_dead_lock(operation, world)
        return Outcome(first, ())
    console.confirm(f"{first.title}: go on?")
    with holding(world, operation.node, this_process(operation.name), is_gone):
        return Outcome(first, _stages(operation, world, console, first))


def _free_dead_lock(operation: Operation, world: World) -> None:
    """Free the lock of a process of this machine that died when all was done but the lock."""
    holder = world.cloud.lock_holder(operation.node)
    if holder is not None and is_gone(holder):
        world.cloud.free_lock(operation.node, holder)


def _stages(operation: Operation, world: World, console: Console, first: Plan) -> tuple[Result, ...]:
    results: list[Result] = []
    for _ in range(MAX_STAGES):
        # Planned again under the lock: between the question and the answer the world may have moved.
        plan = _next_plan(operation, world, console, bool(results))
        if plan.empty:
            return tuple(results)
        if results or plan != first:
            console.show(plan)
        if not results and plan != first:
            console.confirm("the world has moved since the first plan was printed: go on with this one?")
        results.append(run(plan, world, console.watch))
    raise Failed(f"{operation.name}: still to be done after {MAX_STAGES} stages", hint="fab status")


def _next_plan(operation: Operation, world: World, console: Console, later: bool) -> Plan:
    try:
        return operation.plan(world)
    except Refused:
        undo = operation.give_back(world) if later else None
        if undo is not None:
            console.show(undo)
            run(undo, world, console.watch)
        raise


def this_process(what: str) -> Lock:
    """Return the lock value that names this process."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Lock(getpass.getuser(), socket.gethostname(), os.getpid(), now, what)


def is_gone(holder: Lock) -> bool:
    """Tell whether a lock's holder was a process of this machine that has ended."""
    return holder.where == socket.gethostname() and not Path(f"/proc/{holder.pid}").exists()
