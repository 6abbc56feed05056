"""Does the printed plan explain every call that was made? The lab's log of calls against the steps of a plan."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

READS = ("Describe", "Get", "List")
DRY_RUN = "DryRunOperation"
"""EC2's answer to a call that was made with ``DryRun`` and would be permitted."""


def changes(calls: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the calls of EC2 that changed something, or were to: neither reads nor asked with ``DryRun``.

    :param calls: lines of the lab's log, see `lab.call_log.Call`.
    """
    for call in calls:
        if call["service"] == "ec2" and not call["action"].startswith(READS) and call["error"] != DRY_RUN:
            yield call


def unexplained(calls: Iterable[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the changes that no step of a plan announces: one that names the action and every resource in the call.

    :param steps: the steps of a plan in its JSON: ``calls``, and wherever they stand the ids of what they are about.
    """
    announced = [(frozenset(step["calls"]), json.dumps(step)) for step in steps if not step["skip"]]
    return tuple(
        f"{call['action']} {' '.join(call['resources'].values())}"
        for call in changes(calls)
        if not any(
            call["action"] in actions and all(_names(text, resource) for resource in call["resources"].values())
            for actions, text in announced
        )
    )


def _names(step: str, resource: str) -> bool:
    return json.dumps(resource) in step
