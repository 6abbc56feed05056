"""The API calls of a command, from the lab's own log of all calls."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.rehearsal.explained import DRY_RUN, READS


@dataclass(frozen=True)
class Calls:
    """How often EC2 was called: reads, those of them that asked what had been asked before, dry runs, changes.

    ``others`` are calls of other services (the lock's), ``by_action`` has EC2's alone.
    """

    ec2: int = 0
    reads: int = 0
    re_reads: int = 0
    dry_runs: int = 0
    others: int = 0
    by_action: Mapping[str, int] | None = None

    @property
    def changes(self) -> int:
        """Calls that changed something, or were to."""
        return self.ec2 - self.reads - self.dry_runs


class CallLog:
    """The log of a lab; `mark`, let a command run, `since`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        """Return where the log ends now."""
        return self._path.stat().st_size

    def since(self, mark: int, end: int | None = None) -> Calls:
        """Count the calls that were written since a mark, up to another one."""
        with self._path.open("rb") as file:
            file.seek(mark)
            text = file.read(-1 if end is None else end - mark).decode("utf-8")
        return count(json.loads(line) for line in text.splitlines())


def count(calls: Iterable[Mapping[str, Any]]) -> Calls:
    """Count calls. A read is one again when action and resources are those of an earlier one."""
    asked: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    dry_runs = others = 0
    for call in calls:
        if call["service"] != "ec2":
            others += 1
            continue
        actions[call["action"]] += 1
        dry_runs += call["error"] == DRY_RUN
        if call["action"].startswith(READS):
            asked[f"{call['action']} {json.dumps(call['resources'], sort_keys=True)}"] += 1
    re_reads = asked.total() - len(asked)
    return Calls(actions.total(), asked.total(), re_reads, dry_runs, others, dict(actions.most_common()))
