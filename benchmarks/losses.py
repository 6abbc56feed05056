"""Where the downtime goes that is not in the bound, step by step along the chain that really held the node up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.rehearsal.bound import predecessors
from lab.rehearsal.report import MigrationStep

AFTER = "(after the last step)"
"""The node answers later than the last step ends: the outside learns of it late."""


@dataclass(frozen=True)
class Loss:
    """A step of the chain, in seconds: the ``gap`` before it, its time ``within`` the downtime, its ``weight``."""

    key: str
    gap: float
    within: float
    weight: float

    @property
    def lost(self) -> float:
        """What it cost beyond what nobody can hurry; below nothing where EC2 works on while the step has ended."""
        return self.gap + self.within - self.weight


def follow(
    plan: Sequence[Mapping[str, Any]], steps: Sequence[MigrationStep], down_from: float, down_until: float
) -> tuple[Loss, ...]:
    """Return the chain of steps that the downtime consists of, first to last; gaps and times add up to it.

    From the last unavoidable step back, each time to that of the steps before it that ended last.

    :param down_from: when the node went down, on the axis of the steps; ``down_until`` likewise.
    """
    order = predecessors(plan)
    by_key = {step.key: step for step in steps}
    chain = _chain(order, by_key, max((s for s in steps if s.weight), key=_end), down_from)
    found, reached = [], down_from
    for step in chain:
        began, ended = max(step.began, reached), min(max(_end(step), reached), down_until)
        found.append(Loss(step.key, began - reached, ended - began, step.weight))
        reached = ended
    return (*found, Loss(AFTER, down_until - reached, 0.0, 0.0))


def _chain(
    order: Mapping[str, Sequence[str]], by_key: Mapping[str, MigrationStep], last: MigrationStep, since: float
) -> list[MigrationStep]:
    chain: list[MigrationStep] = []
    step: MigrationStep | None = last
    while step is not None and _end(step) > since:
        chain.append(step)
        before = [by_key[key] for key in order[step.key] if key in by_key]
        step = max(before, key=_end, default=None)
    return chain[::-1]


def _end(step: MigrationStep) -> float:
    return step.began + step.seconds
