"""Reads the JSON of ``fab migrate --json``: the steps by lane, the bound, and where the downtime lies among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.rehearsal.bound import Bound, Unavoidable, compute_bound
from lab.rehearsal.report import Migration, MigrationStep
from lab.rehearsal.runner import Line
from lab.rehearsal.watch import Downtime
from transcoder.errors import Failed

Json = Mapping[str, Any]

HEALTHY = "node/healthy"
"""The step that ends when livepeer answers as its account."""


def read_migration(
    document: Json, unavoidable: Unavoidable, lines: Sequence[Line] = (), outside: Downtime | None = None
) -> Migration:
    """Return the migration that a document describes.

    :param unavoidable: what the bound is made of.
    :param lines: what the command wrote while it ran; they place ``outside`` on the axis of the steps.
    :param outside: what was seen at the node's port meanwhile.
    :raises Failed: when it describes none.
    """
    plan, result = document["plan"], _result(document)
    bound = compute_bound(plan["steps"], result["steps"], unavoidable)
    steps = tuple(_step(step, bound) for step in result["steps"])
    down_from, down_until = _down(steps, began_at(result["steps"], lines), outside)
    return Migration(plan["title"], float(result["seconds"]), steps, bound, outside, down_from, down_until)


def _down(
    steps: Sequence[MigrationStep], zero: float | None, outside: Downtime | None
) -> tuple[float | None, float | None]:
    """Return from when until when the node was down; (None, None) when that cannot be told.

    The longest outage is the move's own. A shorter one is a late answer; the report lists it.
    """
    if zero is None or outside is None or not outside.outages:
        return None, None
    own = max(outside.outages, key=lambda outage: outage.seconds)
    healthy = [step.began + step.seconds for step in steps if step.key == HEALTHY and step.outcome == "done"]
    return own.began - zero, max([own.ended - zero, *healthy])


def _result(document: Json) -> Json:
    """Return the result of the plan; a migration that launches its target has others before it."""
    found = [result for result in document["results"] if result["title"] == document["plan"]["title"]]
    if not found:
        raise Failed("the migration's JSON has no result of its plan: it moved nothing")
    return dict(found[-1])


def _step(step: Json, bound: Bound) -> MigrationStep:
    return MigrationStep(
        key=step["key"],
        lane=step["lane"],
        title=step["title"],
        outcome=step["outcome"],
        began=float(step["began"]),
        seconds=float(step["seconds"]),
        weight=bound.weights.get(step["key"], 0.0),
        critical=step["key"] in bound.path,
    )


def began_at(steps: Sequence[Json], lines: Sequence[Line]) -> float | None:
    """Return when the first step began, as ``time.monotonic`` of this process; None when no line tells.

    The command prints a line when a step ends. The line that came soonest after its step's end is taken.
    """
    ends = {step["title"]: step["began"] + step["seconds"] for step in steps if step["outcome"] == "done"}
    seen = [
        line.at - end
        for line in lines
        if line.stream == "stderr"
        for title, end in ends.items()
        if line.text.rstrip().endswith(title)
    ]
    return min(seen, default=None)
