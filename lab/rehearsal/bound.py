"""The least time that a migration's downtime could have taken: the longest chain of what nobody can hurry.

Computed from the migration's own plan and result (``fab migrate --json``): a step weighs what EC2 makes everybody wait
for, or what a service takes by itself, and the bound is the heaviest path through the plan's own order (a step comes
after the one before it in its lane, and after those that it names). What this project adds of its own weighs nothing:
exchanges over SSH, looks at EC2, checks, mounts, and what a poll notices late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.configuration import Latencies
from transcoder.errors import Failed

SERVICE_VERBS = ("stop", "start", "in-sync", "healthy")
"""Verbs of steps that wait for a service. They weigh what the service's journal says, see `service_times`."""
RULE = (
    "critical path through the plan's own order (its lanes and what each step comes after), where detach, attach and "
    "associate weigh what the latency profile injects into EC2 (attach: until the machine can see the device), "
    "services weigh what the machines' journals say (from Stopping to Stopped; from Starting to the line that says "
    "that it serves), and everything else weighs nothing: SSH, looks at EC2, checks, mounts, what a poll notices late"
)


@dataclass(frozen=True)
class Unavoidable:
    """What nobody can hurry, in seconds: by verb what EC2 takes, by key of a step what a service took by itself."""

    injected: Mapping[str, float] = field(default_factory=dict)
    services: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Bound:
    """The bound in seconds, the keys of the steps that make it up, first to last, and how it was computed.

    ``weights`` in seconds by key, of every step that has one. ``by_step`` are the keys of steps that no journal told
    of, which weigh all the time that the step took: more than they should.
    """

    seconds: float
    path: tuple[str, ...]
    rule: str = RULE
    weights: Mapping[str, float] = field(default_factory=dict)
    by_step: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """A step as the computation sees it: its key, the keys before it, its weight in seconds."""

    key: str
    before: tuple[str, ...]
    weight: float


def injected_by(latencies: Latencies) -> Mapping[str, float]:
    """Return by verb how many seconds a latency profile makes the steps of a move wait."""
    return {
        "detach": latencies.detach,
        "attach": latencies.attach + latencies.guest_device,
        "associate": latencies.associate_address,
        "stop-instance": latencies.stop,
        "snapshot": latencies.snapshot,
        "copy": latencies.volume_create,
    }


def compute_bound(
    plan: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]], unavoidable: Unavoidable
) -> Bound:
    """Return the bound of a migration.

    :param plan: the steps of ``plan`` in its JSON: ``key``, ``lane``, ``after``.
    :param results: the steps of a result in it: ``key``, ``outcome``, ``seconds``.
    :raises Failed: when the result has steps that the plan lacks, so that it is another plan's.
    """
    took = {step["key"]: float(step["seconds"]) for step in results if step["outcome"] == "done"}
    unknown = set(took) - {step["key"] for step in plan}
    if unknown:
        raise Failed(f"the migration ran steps that its plan does not have: {', '.join(sorted(unknown))}")
    weights = {key: weigh(key, seconds, unavoidable) for key, seconds in took.items()}
    weights = {key: weight for key, weight in weights.items() if weight}
    seconds, path = longest(nodes(plan, weights))
    guessed = tuple(key for key in weights if verb_of(key) in SERVICE_VERBS and key not in unavoidable.services)
    return Bound(seconds, path, weights=weights, by_step=guessed)


def weigh(key: str, took: float, unavoidable: Unavoidable) -> float:
    """Return what a step that was done weighs, in seconds.

    :param took: how long it took: the weight of a step that waits for a service of which no journal tells.
    """
    verb = verb_of(key)
    if verb in SERVICE_VERBS:
        return unavoidable.services.get(key, took)
    return unavoidable.injected.get(verb, 0.0)


def verb_of(key: str) -> str:
    """Return the verb of a step; its key is ``lane/verb``, for tags ``lane/verb id``."""
    return key.partition("/")[2].split(" ")[0]


def nodes(plan: Sequence[Mapping[str, Any]], weights: Mapping[str, float]) -> tuple[Node, ...]:
    """Return the plan's steps with their predecessors and what they weigh."""
    order = predecessors(plan)
    return tuple(Node(step["key"], order[step["key"]], weights.get(step["key"], 0.0)) for step in plan)


def predecessors(plan: Sequence[Mapping[str, Any]]) -> Mapping[str, tuple[str, ...]]:
    """Return by key which steps come before: those it names, and the one before it in its lane."""
    last: dict[str, str] = {}
    found: dict[str, tuple[str, ...]] = {}
    for step in plan:
        key, lane = step["key"], step["lane"]
        found[key] = (*step["after"], *([last[lane]] if lane in last else []))
        last[lane] = key
    return found


def longest(steps: Sequence[Node]) -> tuple[float, tuple[str, ...]]:
    """Return the weight and the keys of the heaviest path; steps without weight are left out of it."""
    by_key = {step.key: step for step in steps}
    best: dict[str, tuple[float, tuple[str, ...]]] = {}

    def to(key: str) -> tuple[float, tuple[str, ...]]:
        if key not in best:
            node = by_key[key]
            seconds, path = max((to(before) for before in node.before), default=(0.0, ()))
            best[key] = (seconds + node.weight, (*path, key) if node.weight else path)
        return best[key]

    return max((to(step.key) for step in steps), default=(0.0, ()))
