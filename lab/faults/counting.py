"""Which calls of an API a fault hits: pure, and safe to ask from several threads."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from lab.faults.seams import FAIR, Asked, Verdict

ASK_FOR_PERMISSION = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure"})
"""Codes that a dry run would be answered with as well: it is the question that they answer."""
LOST = "ConnectionReset"
"""In place of a code: the call takes effect, and the connection is closed without an answer."""


@dataclass(frozen=True)
class Target:
    """The calls that count.

    :param action: EC2's or SSM's name of it; empty for every action of EC2.
    :param dry_runs: dry runs count too.
    """

    action: str = ""
    dry_runs: bool = True

    def includes(self, asked: Asked) -> bool:
        """Tell whether a request counts."""
        if asked.dry_run and not self.dry_runs:
            return False
        return asked.action == self.action if self.action else asked.service == "ec2"


class Nth:
    """Hits the nth call and those that follow it.

    :param count: how many are hit; 0 for all from the nth on.
    """

    def __init__(self, target: Target, nth: int, count: int, code: str) -> None:
        self._target, self._nth, self._count = target, nth, count
        self._verdict = Verdict(lost=True) if code == LOST else Verdict(code)
        self._seen = 0
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Verdict:
        """Count a request, and say what becomes of it."""
        if not self._target.includes(asked):
            return FAIR
        with self._lock:
            self._seen += 1
            past = self._seen - self._nth
        return self._verdict if past >= 0 and (not self._count or past < self._count) else FAIR

    @property
    def over(self) -> bool:
        """Tell whether no call can be hit any more."""
        with self._lock:
            return bool(self._count) and self._seen >= self._nth + self._count - 1


class Share:
    """Hits a share of the calls, by chance that is the same with every run of the same seed.

    :param share: 0 to 1.
    :param count: how many at most; 0 for no limit.
    """

    def __init__(self, target: Target, share: float, count: int, seed: int, code: str) -> None:
        self._target, self._share, self._left = target, share, count or None
        self._chance = random.Random(seed)  # noqa: S311 - which calls fail is no secret
        self._verdict = Verdict(code)
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Verdict:
        """Say what becomes of a request."""
        if not self._target.includes(asked):
            return FAIR
        with self._lock:
            if self._left == 0 or self._chance.random() >= self._share:
                return FAIR
            if self._left is not None:
                self._left -= 1
        return self._verdict

    @property
    def over(self) -> bool:
        """Tell whether no call can be hit any more."""
        with self._lock:
            return self._left == 0
