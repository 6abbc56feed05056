"""What came of a cell, as frozen data; kept as one line of JSON each, so that a matrix can be resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

MAX_RERUNS = 1
"""As many more runs as may be needed after the one that was broken."""


@dataclass(frozen=True)
class Typed:
    """A command that an operator typed in a cell: how it ended, and its last words."""

    command: str
    exit_code: int
    seconds: float
    said: str


@dataclass(frozen=True)
class Result:
    """A cell that was performed. Seconds; record numbers as livepeer's stand-in counts them.

    :param hit: the fault came where it should: the step began. A cell that missed proves nothing.
    :param reruns: how many more migrations were typed after the first.
    :param problem: why the node was not healthy in the end, or nothing.
    :param lost: what is wrong with the records, or nothing; ``synced`` is the highest known to have been on disk.
    :param writers: every moment with two writers.
    :param blind: times in which a machine was not sampled; there its open disks alone are the proof.
    """

    cell: str
    step: str
    trouble: str
    hit: bool
    healthy: bool
    reruns: int
    seconds: float
    problem: str = ""
    lost: tuple[str, ...] = ()
    synced: int = 0
    found: int = 0
    writers: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    typed: tuple[Typed, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all that must hold holds."""
        return self.hit and self.healthy and self.reruns <= MAX_RERUNS and not self.lost and not self.writers

    @property
    def verdict(self) -> str:
        """The outcome in a few words."""
        faults = {
            "two writers": bool(self.writers),
            "records lost": bool(self.lost),
            "not healthy": not self.healthy,
            f"{self.reruns} more runs": self.reruns > MAX_RERUNS,
            "missed": not self.hit,
        }
        wrong = [name for name, so in faults.items() if so]
        return ", ".join(wrong) or ("ok" if self.reruns == 0 else "ok, run again")


def read(path: Path) -> tuple[Result, ...]:
    """Read a file of results; the last one of each cell counts."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [parse(json.loads(line)) for line in lines if line.strip()]
    return tuple({result.cell: result for result in found}.values())


def append(path: Path, result: Result) -> None:
    """Add a result to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")


def parse(data: Mapping[str, Any]) -> Result:
    """Return the result that JSON-ready data describes; keys of later versions are left out."""
    known = {field.name for field in fields(Result)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known
    }
    values["typed"] = tuple(Typed(**typed) for typed in data.get("typed", ()))
    return Result(**values)


def totals(results: Sequence[Result]) -> dict[str, Any]:
    """Return the sums that a report ends with."""
    seconds = sorted(result.seconds for result in results)
    return {
        "cells": len(results),
        "passed": sum(result.passed for result in results),
        "healthy_without_another_run": sum(result.healthy and result.reruns == 0 for result in results),
        "healthy_after_one_more_run": sum(result.healthy and result.reruns == 1 for result in results),
        "not_healthy_after_one_more_run": sum(not result.healthy or result.reruns > MAX_RERUNS for result in results),
        "cells_with_lost_records": sum(bool(result.lost) for result in results),
        "moments_with_two_writers": sum(len(result.writers) for result in results),
        "missed": sum(not result.hit for result in results),
        "seconds": round(sum(seconds), 1),
        "median_seconds": round(seconds[len(seconds) // 2], 1) if seconds else 0.0,
        "longest_seconds": round(seconds[-1], 1) if seconds else 0.0,
    }
