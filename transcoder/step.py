"""Steps, plans and the one loop that runs them. Knows no AWS and no SSH; the only clever file.

A `Step` is a frozen value: what a dry run prints is the very object that `run` consumes. A `Plan` is a literal list of
steps in lanes. Steps of one lane run in their order; a step also waits for the steps it names in ``after``; lanes run
side by side. Every step is look -> do -> look again, so that a plan that was broken off is simply made and run anew.
"""

from __future__ import annotations

import dataclasses
import enum
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from transcoder.errors import Failed, Interrupted, Refused, TranscoderError

if TYPE_CHECKING:
    from transcoder.world import ApiCall, World


class Skip(enum.Enum):
    """Why a step is not run."""

    DONE = "already so"
    NOT_NEEDED = "not needed here"


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """One action on the world: check, do, verify.

    ``lane`` orders it, ``after`` holds the keys of steps in other lanes that come first, ``skip`` tells that the
    plan already knows it has nothing to do. ``calls`` names the EC2 actions it may make (reads apart).
    """

    lane: str = "main"
    after: tuple[str, ...] = ()
    skip: Skip | None = None
    verb: ClassVar[str]
    calls: ClassVar[tuple[str, ...]] = ()
    looks_first: ClassVar[bool] = True
    """False where `do` itself looks and changes nothing when it is so already, as systemd does with its units."""

    @property
    def key(self) -> str:
        """Identify the step within its plan."""
        return f"{self.lane}/{self.verb}"

    @property
    @abstractmethod
    def title(self) -> str:
        """Say what it does, in one line, for a person."""

    def is_done(self, world: World) -> bool:
        """Look: is the world already as this step wants it?"""
        return False

    @abstractmethod
    def do(self, world: World) -> str | None:
        """Change the world. May be called again after it was broken off half-way.

        :returns: what is worth telling of how it went, such as what a file system check found; mostly nothing.
        """

    def verify(self, world: World) -> None:
        """Look again, with patience; raise `Failed` when the world is not as wanted.

        Where a step has a budget it polls in here, so that `do` stays one action.
        """
        if not self.is_done(world):
            raise Failed(f"{self.title}: done, but the world does not show it")

    def requests(self, world: World) -> tuple[ApiCall, ...]:
        """Return the calls of EC2 that it would make, as exactly as they are known now, to ask whether they may be."""
        return ()

    def describe(self) -> dict[str, Any]:
        """Return the step as JSON-ready data."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["skip"] = self.skip.value if self.skip else None
        return {"key": self.key, "title": self.title, "calls": list(self.calls), **fields}


@dataclass(frozen=True)
class Plan:
    """What will be done, in which order. ``notes`` are said to the operator with it."""

    title: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        keys = [step.key for step in self.steps]
        doubled = {key for key in keys if keys.count(key) > 1}
        unknown = {name for step in self.steps for name in step.after if name not in keys}
        if doubled or unknown:
            raise ValueError(f"plan {self.title!r}: keys used twice {doubled}, unknown in after {unknown}")
        self._check_order()

    @property
    def pending(self) -> tuple[Step, ...]:
        """The steps that have something to do."""
        return tuple(step for step in self.steps if step.skip is None)

    @property
    def empty(self) -> bool:
        """Whether nothing is to be done."""
        return not self.pending

    def lanes(self) -> dict[str, tuple[Step, ...]]:
        """Return the steps by lane, lanes in the order of their first step."""
        names = dict.fromkeys(step.lane for step in self.steps)
        return {name: tuple(step for step in self.steps if step.lane == name) for name in names}

    def before(self, step: Step) -> frozenset[str]:
        """Return the keys of the steps that must have ended before ``step``: its lane's previous one, and ``after``."""
        lane = [other.key for other in self.lanes()[step.lane]]
        previous = lane[: lane.index(step.key)][-1:]
        return frozenset((*previous, *step.after))

    def describe(self) -> dict[str, Any]:
        """Return the plan as JSON-ready data."""
        return {"title": self.title, "notes": list(self.notes), "steps": [step.describe() for step in self.steps]}

    def _check_order(self) -> None:
        """Refuse a plan whose steps wait for each other in a circle."""
        waiting, ended = list(self.steps), set[str]()
        while waiting:
            ready = [step for step in waiting if self.before(step) <= ended]
            if not ready:
                raise ValueError(f"plan {self.title!r}: these wait for each other: {[s.key for s in waiting]}")
            ended |= {step.key for step in ready}
            waiting = [step for step in waiting if step.key not in ended]


class Outcome(enum.Enum):
    """How a step ended."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Event:
    """Something a watcher of a run may want to show. ``at`` and ``seconds`` in seconds of the world's clock."""

    step: Step
    at: float
    outcome: Outcome | None = None
    """None: the step has just begun."""
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """What a run did: one event a step that ended, in the order of their ends. Times in seconds of the clock."""

    plan: Plan
    events: tuple[Event, ...]
    started: float
    ended: float

    def describe(self) -> dict[str, Any]:
        """Return the result as JSON-ready data, times relative to the start."""
        return {
            "title": self.plan.title,
            "seconds": round(self.ended - self.started, 3),
            "steps": [
                {
                    "key": event.step.key,
                    "title": event.step.title,
                    "lane": event.step.lane,
                    "outcome": event.outcome.value if event.outcome else "",
                    "began": round(event.at - event.seconds - self.started, 3),
                    "seconds": round(event.seconds, 3),
                    "reason": event.reason,
                }
                for event in self.events
            ],
        }


@dataclass
class _Run:
    """The state that the lanes of one run share; every access holds ``changed``."""

    plan: Plan
    watch: Callable[[Event], None]
    changed: threading.Condition = field(default_factory=threading.Condition)
    ended: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    error: BaseException | None = None

    def wait_for(self, step: Step) -> bool:
        """Wait until everything before ``step`` has ended; False when the run is being given up."""
        needed = self.plan.before(step)
        with self.changed:
            self.changed.wait_for(lambda: self.error is not None or needed <= self.ended)
            return self.error is None

    def end(self, event: Event) -> None:
        with self.changed:
            self.ended.add(event.step.key)
            self.events.append(event)
            self.changed.notify_all()
            self.watch(event)

    def give_up(self, error: BaseException, event: Event | None = None) -> None:
        with self.changed:
            self.error = self.error or error
            self.changed.notify_all()
            if event:
                self.events.append(event)
                self.watch(event)


def run(plan: Plan, world: World, watch: Callable[[Event], None]) -> Result:
    """Run ``plan``; return what was done.

    When a step fails the lanes end the step they are in and begin no other: a machine with a key is not undone blindly.

    :param watch: called with an `Event` at the begin and the end of each step, never by two threads at once.
    :raises TranscoderError: the first step's error, with ``done`` naming what had been done before it.
    """
    state, started = _Run(plan, watch), world.clock.monotonic()
    lanes = [
        threading.Thread(target=_run_lane, args=(steps, world, state), name=f"lane-{name}", daemon=True)
        for name, steps in plan.lanes().items()
    ]
    _run_lanes(lanes, state)
    if state.error is not None:
        raise _explained(state)
    return Result(plan, tuple(state.events), started, world.clock.monotonic())


def _run_lanes(lanes: list[threading.Thread], state: _Run) -> None:
    """Start the lanes and wait for them. Ctrl-C lets them end the step they are in; a second one leaves at once."""
    try:
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    except KeyboardInterrupt as stop:
        state.give_up(stop)
        for lane in lanes:
            if lane.ident is not None:  # Ctrl-C may come before all have been started
                lane.join()


def _run_lane(steps: tuple[Step, ...], world: World, state: _Run) -> None:
    for step in steps:
        if not state.wait_for(step):
            return
        began = world.clock.monotonic()
        try:
            outcome, reason = _run_step(step, world, state, began)
        except BaseException as error:  # noqa: BLE001 - kept, and raised again by `run`
            now = world.clock.monotonic()
            _note(state, Event(step, now, Outcome.FAILED, now - began, str(error)), error)
            return
        now = world.clock.monotonic()
        if not _note(state, Event(step, now, outcome, now - began, reason)):
            return


def _note(state: _Run, event: Event, error: BaseException | None = None) -> bool:
    """Note how a step ended; a watcher that fails (a closed terminal) ends the run instead of leaving it to hang."""
    try:
        if error is None:
            state.end(event)
        else:
            state.give_up(error, event)
    except BaseException as broken:  # noqa: BLE001 - kept, and raised again by `run`
        state.give_up(broken)
        return False
    return error is None


def _run_step(step: Step, world: World, state: _Run, began: float) -> tuple[Outcome, str]:
    if step.skip is not None:
        return Outcome.SKIPPED, step.skip.value
    with state.changed:
        state.watch(Event(step, began))
    if step.looks_first and step.is_done(world):
        return Outcome.SKIPPED, Skip.DONE.value
    remark = step.do(world)
    step.verify(world)
    return Outcome.DONE, remark or ""


def _explained(state: _Run) -> BaseException:
    """Return the error to raise: an expected one says what stands; a bug keeps its own type and traceback."""
    done = [event.step.title for event in state.events if event.outcome is Outcome.DONE]
    error = state.error
    if isinstance(error, KeyboardInterrupt):
        hint = "look with `fab status`; the same command goes on where this one stopped"
        return Interrupted("interrupted: every lane ended the step it was in", done=done, hint=hint)
    if isinstance(error, Refused):
        # Within a step it is no refusal any more: `Refused` would say that nothing was done.
        error = _caused(Failed("\n".join(error.lines()[: 1 + len(error.reasons)]), hint=error.hint), error)
    if isinstance(error, Failed):
        error.done = (*error.done, *done)
    elif isinstance(error, TranscoderError) and done:
        error.message += f"\ndone before it: {', '.join(done)}"
    if isinstance(error, TranscoderError) and not error.hint:
        error.hint = "run the same command again: it goes on where it stopped (`fab status` shows what stands)"
    return error if error is not None else AssertionError("no error to explain")


def _caused(error: Failed, cause: BaseException) -> Failed:
    error.__cause__ = cause
    return error


def walk(plan: Plan) -> Iterator[Step]:
    """Yield the steps in an order in which they could run one by one."""
    waiting, ended = list(plan.steps), set[str]()
    while waiting:
        step = next(step for step in waiting if plan.before(step) <= ended)
        waiting.remove(step)
        ended.add(step.key)
        yield step
