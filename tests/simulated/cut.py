"""The operator's process dies: from one moment on, nothing that it wanted reaches the world any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.simulated.cloud import READS
from tests.simulated.host import Command, SimulatedHost
from tests.simulated.world import Simulation
from transcoder.model import Instance
from transcoder.world import Output, World


class ProcessDied(Exception):
    """The process is no more."""


class Cut:
    """Ends the process at its ``at``-th change of the world (0 is the first), before or after it took effect."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._at, self._after = at, after
        self.changes = 0
        self.dead = False

    def through(self, changes_something: bool, act: Callable[[], Any]) -> Any:
        """Do ``act`` unless the process has died, or dies now."""
        if self.dead:
            raise ProcessDied
        if not changes_something:
            return act()
        number, self.changes = self.changes, self.changes + 1
        if number != self._at:
            return act()
        if self._after:
            act()
        self.dead = True
        raise ProcessDied

    def world(self, sim: Simulation) -> World:
        """Return the world as this process reaches it."""
        return replace(sim.world, cloud=_CutCloud(sim, self), hosts=_CutHosts(sim, self))


class _CutCloud:
    """The cloud behind a cut."""

    def __init__(self, sim: Simulation, cut: Cut) -> None:
        self._sim, self._cut = sim, cut

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._sim.cloud, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._sim.lock:
                return self._cut.through(name not in READS, lambda: method(*args, **kwargs))

        return call


class _CutHosts:
    """The machines behind a cut."""

    def __init__(self, sim: Simulation, cut: Cut) -> None:
        self._sim, self._cut = sim, cut

    def __call__(self, instance: Instance) -> _CutHost:
        return _CutHost(self._sim, self._cut, instance)

    def forget(self, instance: Instance) -> None:
        """Nothing is open to a simulated machine."""


class _CutHost:
    """A machine behind a cut."""

    def __init__(self, sim: Simulation, cut: Cut, instance: Instance) -> None:
        self._sim, self._cut = sim, cut
        self._host: SimulatedHost = sim.hosts(instance)
        self.name = self._host.name

    def run(
        self, *argv: str, stdin: str = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        with self._sim.lock:
            changes = Command(self.name, argv, stdin).changes_something
            output: Output = self._cut.through(
                changes, lambda: self._host.run(*argv, stdin=stdin, sudo=sudo, ok=ok, timeout=timeout)
            )
            return output
