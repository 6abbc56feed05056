"""Runs every probe at its time, each in a thread of its own, and knows which of them hang."""

import threading
import traceback
from typing import Callable, Dict, List, NamedTuple, Optional

from .board import Board
from .model import ALARM, OK, Item, NoAnswer, Node, Probe, Reading

CHECK = "watch"
"""The check of the watch itself: one subject a probe."""


class Timing(NamedTuple):
    """``interval``: seconds from begin to begin. ``deadline``: seconds after which a look counts as hanging."""

    interval: float
    deadline: float


class Runner:
    """One probe. A look that hangs is left alone: no second one is begun beside it."""

    def __init__(self, name: str, probe: Probe, timing: Timing) -> None:
        self.name, self._probe, self._timing = name, probe, timing
        self._begun: Optional[float] = None
        self._ended: Optional[float] = None
        self._thread: Optional[threading.Thread] = None

    def tick(self, node: Node, board: Board, steady: Callable[[], float]) -> None:
        """Begin a look if it is time, and say of one that hangs that it hangs."""
        now = steady()
        running = self._thread is not None and self._thread.is_alive()
        age = 0.0 if self._begun is None else now - self._begun
        if running and age > self._timing.deadline:
            told = "no answer for {:.0f} s".format(age)
            board.take(self.name, [], now, told)
            board.take(CHECK + self.name, [Reading(CHECK, self.name, ALARM, age, told)], now)
        if not running and (self._begun is None or age >= self._timing.interval):
            self._begun = now
            self._thread = threading.Thread(
                target=self._look, args=(node, board, steady, now), name=self.name, daemon=True
            )
            self._thread.start()

    def ended_within(self, seconds: float, now: float) -> bool:
        """Tell whether a look has ended lately."""
        return self._ended is not None and now - self._ended <= seconds

    def _look(self, node: Node, board: Board, steady: Callable[[], float], begun: float) -> None:
        items, failure = observe(self._probe, node)
        now = steady()
        board.take(self.name, items, now, failure)
        board.take(
            CHECK + self.name,
            [Reading(CHECK, self.name, OK, now - begun, "its last look took {:.1f} s".format(now - begun))],
            now,
        )
        self._ended = now


def observe(probe: Probe, node: Node) -> "tuple[List[Item], str]":
    """Return what a probe sees, as far as it came, and why it came no further."""
    items: List[Item] = []
    try:
        for item in probe(node):
            items.append(item)  # one by one: what came before an error counts
    except NoAnswer as error:
        return items, str(error)
    except OSError as error:
        return items, "{}: {}".format(type(error).__name__, error)
    except Exception as error:  # noqa: BLE001  an error in one probe must not end it: the traceback goes to the journal
        traceback.print_exc()
        return items, "error in the watch itself: {!r}".format(error)
    return items, ""


class Loop:
    """All probes of a node."""

    def __init__(self, node: Node, board: Board, probes: Dict[str, Probe], timings: Dict[str, Timing]) -> None:
        self._node, self._board = node, board
        self._runners = [Runner(name, probe, timings[name]) for name, probe in sorted(probes.items())]
        self._longest = max(timing.interval + timing.deadline for timing in timings.values())

    def tick(self, steady: Callable[[], float]) -> bool:
        """Begin what is due; return whether the watch works: at least one probe has ended a look lately."""
        for runner in self._runners:
            runner.tick(self._node, self._board, steady)
        now = steady()
        return any(runner.ended_within(2 * self._longest, now) for runner in self._runners)
