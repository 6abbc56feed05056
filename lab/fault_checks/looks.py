"""What a node's watch said, look by look, and when a check turned red by it. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

LEVELS = {"ok": 0, "unknown": 1, "warn": 2, "alarm": 3}
RED = ("warn", "alarm")


@dataclass(frozen=True)
class State:
    """A check: what is ``shown``, what the newest look of the watch says (``now``), and its words."""

    shown: str
    now: str
    message: str = ""


@dataclass(frozen=True)
class Look:
    """What /health said. ``at``: the host's monotonic clock when it came; ``node``: the machine's when it was asked."""

    at: float
    node: float
    checks: Mapping[str, State]

    @property
    def red(self) -> frozenset[str]:
        """The checks that are shown as warn or alarm."""
        return frozenset(name for name, state in self.checks.items() if state.shown in RED)


@dataclass(frozen=True)
class Turned:
    """How a check turned red.

    ``patience``: the seconds from the last look before which it was better until it was shown, by the node's clock; so
    it is at least as long as the watch has really waited. ``at``: when it was shown, by the host's clock.
    """

    at: float
    patience: float
    message: str


def parse(line: str, at: float) -> Look:
    """Read a line of the sampler.

    :raises ValueError: it is none.
    """
    found = json.loads(line)
    states = {name: State(*values) for name, values in found["checks"].items()}
    return Look(at, float(found["at"]), states)


def turned(looks: Sequence[Look], check: str, level: str) -> Turned | None:
    """Return how a check came to a level, or None when it has not."""
    better: Look | None = None
    for look in looks:
        state = look.checks.get(check)
        if state is None:
            continue
        if LEVELS[state.shown] >= LEVELS[level]:
            since = looks[0] if better is None else better
            return Turned(look.at, look.node - since.node, state.message)
        if is_better(state.now, level):
            better = look
    return None


def is_better(now: str, level: str) -> bool:
    """Tell whether a reading ends the count to a level: a missing one (``unknown``) does not."""
    return now != "unknown" and LEVELS[now] < LEVELS[level]


def strangers(looks: Iterable[Look], expected: Callable[[str], bool]) -> tuple[str, ...]:
    """Return what was red and is not expected to be, with its words."""
    found = {name: look.checks[name].message for look in looks for name in sorted(look.red) if not expected(name)}
    return tuple(f"{name}: {message}" for name, message in found.items())


def is_green(look: Look, wanted: Iterable[str]) -> bool:
    """Tell whether nothing is red, and the checks that were wanted red are ok."""
    return (
        bool(look.checks)
        and not look.red
        and all(look.checks[name].shown == "ok" for name in wanted if name in look.checks)
    )
