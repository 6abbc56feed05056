"""What the fault checks have found, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.fault_checks.table import UNFELT, UNTRIED
from lab.fault_checks.trial import Row

HEAD = ("fault", "check", "level", "threshold", "waited", "after", "back", "")


@dataclass(frozen=True)
class Calm:
    """A healthy node that was looked at. ``gap``: the longest time without a look; ``red``: what was red."""

    seconds: float
    looks: int
    checks: int
    gap: float
    red: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was red."""
        return self.looks > 0 and not self.red

    @property
    def line(self) -> str:
        """It in words."""
        told = f"healthy node: {self.seconds / 60:.1f} min, {self.looks} looks at {self.checks} checks"
        return f"{told} (at most {self.gap:.1f} s apart): " + ("; ".join(self.red) or "nothing red")


def render(rows: Sequence[Row], calm: Calm | None) -> str:
    """Return the table; seconds."""
    lines = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )
    bad = [f"! {row.fault}, {row.check}: {row.problem}\n" for row in rows if not row.passed]
    last = f"{sum(row.passed for row in rows)} of {len(rows)} checks right; {len(UNFELT)} faults are not felt\n"
    return (f"{calm.line}\n" if calm else "") + text + "".join(bad) + last


def _cells(row: Row) -> tuple[str, ...]:
    seconds = [_seconds(each) for each in (row.threshold, row.patience, row.after, row.back)]
    return (row.fault, row.check, row.level, *seconds, "ok" if row.passed else "WRONG")


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def write(directory: Path, rows: Sequence[Row], calm: Calm | None) -> Path:
    """Write report.json; return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "report.json"
    document = {
        "passed": passed(rows, calm),
        "healthy": None if calm is None else {**asdict(calm), "passed": calm.passed},
        "rows": [row.describe() for row in rows],
        "not_felt": UNFELT,
        "not_tried": UNTRIED,
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def passed(rows: Sequence[Row], calm: Calm | None) -> bool:
    """Tell whether all is as it must be."""
    return bool(rows or calm) and all(row.passed for row in rows) and (calm is None or calm.passed)
