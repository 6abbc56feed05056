"""The operator's process dies: from one moment on, nothing that it wanted reaches the world any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.simulated.process import Act, reached_through
from tests.simulated.world import Simulation
from transcoder.world import World


class ProcessDied(Exception):
    """The process is no more."""


class Cut:
    """Ends the process at its ``at``-th change of the world (0 is the first), before or after it took effect."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._at, self._after = at, after
        self._counting = threading.Lock()
        self.changes = 0
        self.dead = False

    def through(self, act: Act, do: Callable[[], Any]) -> Any:
        """Do it unless the process has died, or dies now."""
        if self.dead:
            raise ProcessDied
        if not act.changes_something:
            return do()
        with self._counting:
            number, self.changes = self.changes, self.changes + 1
        if number != self._at:
            return do()
        if self._after:
            do()
        self.dead = True
        raise ProcessDied

    def world(self, sim: Simulation) -> World:
        """Return the world as this process reaches it."""
        return reached_through(sim.world, self.through)
