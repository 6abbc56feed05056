"""Look, plan, show, ask, act, look again: how every operation runs, whatever it does.

Some operations can only be planned in stages: what an unmounted volume holds is known once a machine sees it, and a
machine that is to be launched has no id yet. Each stage is observed and planned anew, printed, and run; the operation
has ended when the plan made from a fresh look is empty.
"""

from __future__ import annotations

import enum
import getpass
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from transcoder.errors import Failed, Interrupted, Refused, TranscoderError, Unreachable
from transcoder.journal import Journal
from transcoder.step import Event, Plan, Result, run
from transcoder.world import Lock, World, holding, locked

MAX_STAGES = 10
"""More stages than any operation has: a plan that does not become empty by then never will."""


class Console(Protocol):
    """What an operation shows and asks."""

    def show(self, plan: Plan) -> None:
        """Print a plan."""

    def confirm(self, question: str) -> None:
        """Ask; raise `Refused` when the answer is no or nobody is there to answer."""

    def watch(self, event: Event) -> None:
        """Print that a step began or ended."""


@dataclass(frozen=True, kw_only=True)
class Elsewhere(Plan):
    """A plan that runs in another world than the one that its operation was started in: another region."""

    world: World

    def describe(self) -> dict[str, Any]:
        """Return the plan as JSON-ready data."""
        return {**super().describe(), "environment": self.world.settings.name}


@dataclass(frozen=True)
class Operation:
    """Something to be done to a node. ``plan`` looks at the world and returns what is still to be done."""

    name: str
    node: str
    plan: Callable[[World], Plan]
    give_back: Callable[[World], Plan | None] = lambda _world: None
    """Asked for a plan when a later stage refuses: what this run did that must not stay."""
    on_silence: Callable[[World], str] = lambda _world: ""
    """Asked, when something did not answer, for what to do beside trying again; empty for nothing."""
    undo: Callable[[World], Operation | None] | None = None
    """Asked, when a step has failed and the operator wants that, for the operation that brings everything back; it
    returns None when there is nothing to bring back. None: this kind of operation is not undone."""
    also: tuple[World, ...] = ()
    """The other worlds that it works in: the node is locked there, too."""
    most_stages: int = MAX_STAGES


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


class OnError(enum.Enum):
    """What to do when a step has failed."""

    STOP = "stop"
    """Leave everything as it is: the same command goes on, and the operator can look."""
    UNDO = "undo"
    """Bring back what this run has moved, with the same fences as on the way there."""


def operate(operation: Operation, world: World, console: Console, on_error: OnError = OnError.STOP) -> Outcome:
    """Run an operation to its end.

    :raises Refused: nothing was done (or what was done has been given back).
    :raises Failed: a step failed, or the world is not as wanted after all stages.
    """
    first = _first_plan(operation, world)
    console.show(first)
    if first.empty:
        _free_dead_locks(operation, world)
        return Outcome(first, ())
    console.confirm(f"{first.title}: go on?")
    with ExitStack() as locks:
        for each in (world, *operation.also):
            locks.enter_context(holding(each, operation.node, this_process(operation.name), is_gone))
        try:
            return Outcome(first, _stages(operation, world, console, first))
        except Interrupted:
            raise
        except (Failed, Unreachable) as error:
            if on_error is OnError.UNDO and operation.undo is not None:
                raise _undone(operation.undo, world, console, error) from error
            if isinstance(error, Unreachable) and (way := operation.on_silence(world)):
                error.hint = f"{error.hint}; {way}"
            raise


def _first_plan(operation: Operation, world: World) -> Plan:
    """Plan, and count a lock that somebody holds among the reasons against it, before anybody is asked anything."""
    held = [refusal for each in (world, *operation.also) if (refusal := _held(operation, each, home=each is world))]
    try:
        plan = operation.plan(world)
    except Refused as refused:
        if held:
            refused.reasons = (*(each.message for each in held), *refused.reasons)
            refused.hint = held[0].hint
        raise
    if held and not plan.empty:
        raise held[0]
    return plan


def _held(operation: Operation, world: World, *, home: bool) -> Refused | None:
    """Return the refusal to work on a node that somebody else has locked in this world."""
    holder = world.cloud.lock_holder(operation.node)
    if holder is None or is_gone(holder):
        return None
    refusal, name = locked(operation.node, holder), world.settings.name
    if home:
        return refusal
    return Refused(f"in environment {name}, {refusal.message}", hint=f"{refusal.hint} --env {name}")


def _undone(
    undo: Callable[[World], Operation | None], world: World, console: Console, error: TranscoderError
) -> Failed:
    """Bring everything back; return the error to raise then: the operation has failed all the same."""
    try:
        back = undo(world)
        if back is None:
            return Failed(
                f"{error.message}\nnot undone: there is nothing to bring back, or no way back", hint=error.hint
            )
        first = back.plan(world)
        console.show(first)
        _stages(back, world, console, first)
    except TranscoderError as second:
        return Failed(
            f"{error.message}\nand it could not be undone: {second}",
            hint="fab status says what stands and what to type",
        )
    return Failed(f"{error.message}\nundone: {first.title}", hint="fab status; when the cause is gone, run it again")


def _free_dead_locks(operation: Operation, world: World) -> None:
    """Free the locks of a process of this machine that died when all was done but the locks."""
    for each in (world, *operation.also):
        holder = each.cloud.lock_holder(operation.node)
        if holder is not None and is_gone(holder):
            each.cloud.free_lock(operation.node, holder)


def _stages(operation: Operation, world: World, console: Console, first: Plan) -> tuple[Result, ...]:
    results: list[Result] = []
    journal = Journal(world.settings.operator.journal, operation.name)

    def watch(event: Event) -> None:
        journal.write(event, world.clock.now())
        console.watch(event)

    for _ in range(operation.most_stages):
        # Planned again under the lock: between the question and the answer the world may have moved.
        plan = _next_plan(operation, world, console, bool(results))
        if plan.empty:
            return tuple(results)
        if results or plan != first:
            console.show(plan)
        if not results and plan != first:
            console.confirm("the world has moved since the first plan was printed: go on with this one?")
        results.append(run(plan, plan.world if isinstance(plan, Elsewhere) else world, watch))
    raise Failed(f"{operation.name}: still to be done after {operation.most_stages} stages", hint="fab status")


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
