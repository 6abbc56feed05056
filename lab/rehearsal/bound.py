"""The least time that a migration's downtime could have taken: the longest chain of its unavoidable waits.

Computed from the migration's own plan and result (``fab migrate --json``): every step that waits for a machine or for
EC2 weighs the seconds it took, every other step nothing, and the bound is the heaviest path through the plan's own
order (a step comes after the one before it in its lane, and after those that it names).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transcoder.errors import Failed

WAITS = ("stop", "unmount", "detach", "attach", "see", "mount", "start", "in-sync", "associate", "healthy")
"""Verbs of steps that wait: for a service to end or to serve, for a kernel, for EC2. Holding units, looking at what a
volume holds, and tagging are this project's own doing, so they do not count."""
RULE = (
    f"critical path through the plan's own order (its lanes and what each step comes after), counting the seconds of "
    f"the steps that wait for a machine or for EC2 ({', '.join(WAITS)}) and of no other"
)


@dataclass(frozen=True)
class Bound:
    """The bound in seconds, the keys of the steps that make it up, first to last, and how it was computed."""

    seconds: float
    path: tuple[str, ...]
    rule: str = RULE


@dataclass(frozen=True)
class Node:
    """A step as the computation sees it: its key, the keys before it, its weight in seconds."""

    key: str
    before: tuple[str, ...]
    weight: float


def compute_bound(plan: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]) -> Bound:
    """Return the bound of a migration.

    :param plan: the steps of ``plan`` in its JSON: ``key``, ``lane``, ``after``.
    :param results: the steps of a result in it: ``key``, ``outcome``, ``seconds``.
    :raises Failed: when the result has steps that the plan lacks, so that it is another plan's.
    """
    took = {step["key"]: float(step["seconds"]) for step in results if step["outcome"] == "done"}
    unknown = set(took) - {step["key"] for step in plan}
    if unknown:
        raise Failed(f"the migration ran steps that its plan does not have: {', '.join(sorted(unknown))}")
    return longest(nodes(plan, took))


def nodes(plan: Sequence[Mapping[str, Any]], took: Mapping[str, float]) -> tuple[Node, ...]:
    """Return the plan's steps with their predecessors and what they weigh."""
    last: dict[str, str] = {}
    found = []
    for step in plan:
        key, lane = step["key"], step["lane"]
        before = [*step["after"], *([last[lane]] if lane in last else [])]
        found.append(Node(key, tuple(before), took.get(key, 0.0) if waits(key) else 0.0))
        last[lane] = key
    return tuple(found)


def waits(key: str) -> bool:
    """Tell whether a step waits for a machine or for EC2; its key is ``lane/verb``, for tags ``lane/verb id``."""
    return key.partition("/")[2].split(" ")[0] in WAITS


def longest(steps: Sequence[Node]) -> Bound:
    """Return the heaviest path; steps without weight are left out of it."""
    by_key = {step.key: step for step in steps}
    best: dict[str, tuple[float, tuple[str, ...]]] = {}

    def to(key: str) -> tuple[float, tuple[str, ...]]:
        if key not in best:
            node = by_key[key]
            seconds, path = max((to(before) for before in node.before), default=(0.0, ()))
            best[key] = (seconds + node.weight, (*path, key) if node.weight else path)
        return best[key]

    seconds, path = max((to(step.key) for step in steps), default=(0.0, ()))
    return Bound(seconds, path)
