"""Time that passes only when somebody sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable

START = 1_800_000_000.0
"""Unix seconds at which every simulated world begins."""
BITE = 0.5
"""Seconds of the longest step of time: nothing that happens by itself is jumped over."""


class SimulatedClock:
    """A clock that a sleep moves on at once; whoever listens acts on the new time before the sleeper wakes.

    :param lock: the one lock of the simulated world: nothing happens in it while time passes.
    """

    def __init__(self, lock: threading.RLock | None = None) -> None:
        self._lock = lock or threading.RLock()
        self._elapsed = 0.0
        self._listeners: list[Callable[[], None]] = []
        self.slept: list[float] = []
        self.sleeper: Callable[[float], None] | None = None
        """Asked to sleep instead, where others go on meanwhile."""

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever time has passed."""
        self._listeners.append(listener)

    def now(self) -> float:
        """Unix seconds."""
        return START + self._elapsed

    def monotonic(self) -> float:
        """Seconds since the world began."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Let time pass, or wait until it has."""
        self.slept.append(seconds)
        if self.sleeper is not None:
            self.sleeper(seconds)
        else:
            self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, in small bites."""
        with self._lock:
            left = seconds
            while left > 1e-9:
                bite = min(BITE, left)
                left -= bite
                self._elapsed += bite
                for listener in self._listeners:
                    listener()
