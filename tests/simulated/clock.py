"""Time that passes only when somebody sleeps."""

from __future__ import annotations

import threading
from collections.abc import Callable

START = 1_800_000_000.0
"""Unix seconds at which every simulated world begins."""


class SimulatedClock:
    """A clock that a sleep moves on at once; whoever listens acts on the new time before the sleeper wakes.

    :param lock: the one lock of the simulated world: nothing happens in it while time passes.
    """

    def __init__(self, lock: threading.RLock | None = None) -> None:
        self._lock = lock or threading.RLock()
        self._elapsed = 0.0
        self._listeners: list[Callable[[], None]] = []
        self.slept: list[float] = []

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
        """Let time pass, in bites small enough that nothing that happens by itself is jumped over."""
        with self._lock:
            self.slept.append(seconds)
            left = seconds
            while left > 0:
                bite = min(0.5, left)
                left -= bite
                self._elapsed += bite
                for listener in self._listeners:
                    listener()
