"""Many machines at once, each with a time of its own: who does not answer costs the others nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from transcoder.errors import Unreachable
from transcoder.world import Clock, Command, Host, Output

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 32
"""Machines that are asked at the same time. Each is a thread here, which waits, and a connection, whose key exchange
takes some 10 ms of a processor."""


def all_of(act: Callable[[T], R], items: Iterable[T]) -> tuple[R, ...]:
    """Return what ``act`` gives for each item, in their order; at most `AT_ONCE` at the same time.

    Ctrl-C, or the first error, begins no further one and does not wait for those that are under way.
    """
    pending = list(items)
    pool = ThreadPoolExecutor(max_workers=max(1, min(AT_ONCE, len(pending))))
    try:
        return tuple(pool.map(act, pending))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Within:
    """A machine whose commands must all have ended within some seconds, whatever each of them may take by itself.

    Implements `transcoder.world.Host`.
    """

    def __init__(self, host: Host, clock: Clock, seconds: float) -> None:
        self.name = host.name
        self._host, self._clock, self._seconds = host, clock, seconds
        self._ends = clock.monotonic() + seconds

    def run(
        self, *argv: str, stdin: str | bytes = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        """Run a command; see `transcoder.world.Host`.

        :raises Unreachable: also when the time is up.
        """
        return self._host.run(*argv, stdin=stdin, sudo=sudo, ok=ok, timeout=self._left(timeout))

    def run_all(self, *commands: Command, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        """Run several commands in one exchange; see `run`."""
        return self._host.run_all(*commands, sudo=sudo, timeout=self._left(timeout))

    def _left(self, timeout: float) -> float:
        left = self._ends - self._clock.monotonic()
        if left <= 0:
            raise Unreachable(f"{self.name}: has not answered everything within {self._seconds:.0f} s")
        return min(timeout, left)
