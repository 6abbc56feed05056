"""The lanes of a plan in an order that a test chooses: one runs at a time, and time passes when all of them wait.

`transcoder.step` runs lanes as threads. In here they stay threads, but each call of the world is a crossing: the lane
that comes to one waits for its turn, and who goes on is decided by an `Order`. The same order gives the same run, call
by call. Waits that lie side by side overlap, as they do in the real world.

The orders are those of probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): lanes have priorities, and
at a few crossings the lane that is running falls to the last place. What needs few inversions is found in few runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Any, cast
from unittest import mock

from tests.simulated.clock import SimulatedClock
from tests.simulated.process import Act, reached_through
from tests.simulated.world import Simulation
from transcoder import step
from transcoder.world import World


@dataclass(frozen=True)
class Order:
    """Who goes on at a crossing where several lanes could.

    ``priorities``: of the lanes in the order in which they are started (over and over), the higher the sooner.
    ``drops``: the crossings, counted from the beginning, at which the lane that is running falls behind all others.
    """

    priorities: tuple[int, ...] = (0,)
    drops: frozenset[int] = frozenset()


def at_once() -> bool:
    """The condition of a lane that waits for nothing but its turn."""
    return True


@dataclass(eq=False)
class _Lane:
    name: str
    priority: float
    ready: Callable[[], bool] = at_once
    wakes: float | None = None
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    done: bool = False


class Lanes:
    """Lets one thread run at a time. The thread that makes it is the first lane: it plans, and waits for the others."""

    def __init__(self, clock: SimulatedClock, order: Order) -> None:
        self._clock, self._order = clock, order
        self._lanes: list[_Lane] = []
        self._by_thread: dict[int, _Lane] = {}
        self._crossings = 0
        self._behind = 0.0
        self.error: BaseException | None = None
        self.trace: list[str] = []
        """Whose turn it was, crossing by crossing."""
        self._by_thread[threading.get_ident()] = self._add("main", first=True)

    def _add(self, name: str, *, first: bool = False) -> _Lane:
        priorities = self._order.priorities
        priority = float("inf") if first else priorities[(len(self._lanes) - 1) % len(priorities)]
        lane = _Lane(name, priority)
        self._lanes.append(lane)
        return lane

    # crossings

    def cross(self, ready: Callable[[], bool] = at_once, wakes: float | None = None) -> None:
        """Let somebody else go on, or go on; not before ``ready``, nor before the time ``wakes``."""
        me = self._by_thread[threading.get_ident()]
        me.ready, me.wakes = ready, wakes
        following = self._choose(me)
        if following is not me:
            following.go.release()
            me.go.acquire()
        me.ready, me.wakes = at_once, None

    def sleep(self, seconds: float) -> None:
        """Go on when this much time has passed; others go on meanwhile."""
        self.cross(wakes=self._clock.monotonic() + seconds)

    def _choose(self, me: _Lane | None) -> _Lane:
        """Return who goes on; let time pass while nobody can."""
        while not (able := [lane for lane in self._lanes if self._is_able(lane)]):
            wakes = [lane.wakes for lane in self._lanes if not lane.done and lane.wakes is not None]
            if not wakes:
                raise AssertionError(f"everybody waits: {[lane.name for lane in self._lanes if not lane.done]}")
            self._clock.advance(max(0.0, min(wakes) - self._clock.monotonic()))
        if len(able) > 1:
            self._crossings += 1
            if self._crossings in self._order.drops and me is not None:
                self._behind -= 1
                me.priority = self._behind
        chosen = max(able, key=lambda lane: lane.priority)
        self.trace.append(chosen.name)
        return chosen

    def _is_able(self, lane: _Lane) -> bool:
        if lane.done or (lane.wakes is not None and lane.wakes > self._clock.monotonic() + 1e-9):
            return False
        return lane.ready()

    # what `transcoder.step` takes for threads

    def _run(self, lane: _Lane, target: Callable[..., None], args: tuple[Any, ...]) -> None:
        self._by_thread[threading.get_ident()] = lane
        lane.go.acquire()
        try:
            target(*args)
        finally:
            lane.done = True
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the turn to somebody at the end of a lane; what must not be is told to the first lane."""
        try:
            following = self._choose(None)
        except BaseException as error:  # noqa: BLE001 - kept, and raised by the first lane
            self.error = self.error or error
            following = self._lanes[0]
        following.go.release()

    def thread(self, target: Callable[..., None], args: tuple[Any, ...] = (), name: str = "", **_: Any) -> LaneThread:
        """Return what `threading.Thread` would."""
        lane = self._add(name)
        return LaneThread(self, lane, threading.Thread(target=self._run, args=(lane, target, args), daemon=True))

    def condition(self) -> threading.Condition:
        """Return what `threading.Condition` would."""
        return cast(threading.Condition, LaneCondition(self))

    def raise_error(self) -> None:
        """Raise what went wrong between two lanes."""
        if self.error is not None:
            raise self.error

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have `transcoder.step` run its lanes in here, and sleep by this clock."""
        own_run, threads = step._Run, SimpleNamespace(Thread=self.thread)
        with (
            mock.patch.object(self._clock, "sleeper", self.sleep),
            mock.patch.object(step, "threading", threads),
            mock.patch.object(step, "_Run", lambda plan, watch: own_run(plan, watch, changed=self.condition())),
        ):
            yield

    def world(self, world: World) -> World:
        """Return a world in which every call is a crossing."""
        return reached_through(world, self._through)

    def _through(self, act: Act, do: Callable[[], Any]) -> Any:
        self.cross()
        return do()


class LaneThread:
    """A thread that runs when its lane is chosen."""

    def __init__(self, lanes: Lanes, lane: _Lane, thread: threading.Thread) -> None:
        self._lanes, self._lane, self._thread = lanes, lane, thread

    @property
    def ident(self) -> int | None:
        """The thread's number; None before it was started."""
        return self._thread.ident

    def start(self) -> None:
        """Start it; it waits for its turn."""
        self._thread.start()

    def join(self) -> None:
        """Wait for its end."""
        self._lanes.cross(ready=lambda: self._lane.done or self._lanes.error is not None)
        self._lanes.raise_error()
        self._thread.join()


class LaneCondition:
    """A condition among lanes. Only one lane runs at a time and nobody crosses inside, so there is nothing to lock."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def __enter__(self) -> LaneCondition:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing was locked."""

    def wait_for(self, predicate: Callable[[], bool]) -> bool:
        """Wait until it is so."""
        self._lanes.cross(ready=predicate)
        return predicate()

    def notify_all(self) -> None:
        """Nothing to do: conditions are looked at whenever somebody is chosen."""


@contextmanager
def ordered(sim: Simulation, order: Order) -> Iterator[Lanes]:
    """Run what is inside with the lanes in this order; use `Lanes.world` of what is yielded."""
    lanes = Lanes(sim.clock, order)
    with lanes.installed():
        yield lanes
