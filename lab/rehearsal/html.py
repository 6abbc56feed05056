"""The report as one HTML page that needs nothing else: style and drawing are in it, no script, no link, no font."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import jinja2

from lab.rehearsal import terminal
from lab.rehearsal.report import Migration, MigrationStep, Report

LABEL_WIDTH, CHART_WIDTH, ROW_HEIGHT, TOP = 330, 640, 22, 26


@dataclass(frozen=True)
class Bar:
    """A step in the drawing, in pixels. ``y`` is its upper edge."""

    step: MigrationStep
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Tick:
    """A line of the time axis: where, and its text."""

    x: float
    text: str


@dataclass(frozen=True)
class Gantt:
    """The migration's steps over time, drawn. ``down`` is (left edge, width) of the downtime, None when unknown."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    width: float
    height: float
    down: tuple[float, float] | None


def render_html(report: Report) -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    migration = report.migration
    return environment.get_template("report.html.j2").render(
        report=report,
        names=terminal.names(report),
        verdict=terminal.verdict(report),
        definitions=terminal.definitions(report),
        gantt=draw_gantt(migration) if migration else None,
        slowest=max((row.seconds or 0.0 for row in report.rows), default=0.0) or 1.0,
    )


def draw_gantt(migration: Migration) -> Gantt:
    """Place the steps that were done, lane by lane in the order of their first step."""
    lanes = list(dict.fromkeys(step.lane for step in sorted(migration.steps, key=lambda step: step.began)))
    done = [step for step in migration.steps if step.outcome != "skipped"]
    done.sort(key=lambda step: (lanes.index(step.lane), step.began))
    ends = [migration.seconds, migration.down_until or 0.0, 0.1]
    scale = CHART_WIDTH / max(ends)
    bars = tuple(
        Bar(step, LABEL_WIDTH + step.began * scale, TOP + i * ROW_HEIGHT, max(1.0, step.seconds * scale))
        for i, step in enumerate(done)
    )
    down = None
    if migration.down_from is not None and migration.down_until is not None:
        left = max(0.0, migration.down_from)
        down = (LABEL_WIDTH + left * scale, (migration.down_until - left) * scale)
    ticks = tuple(Tick(LABEL_WIDTH + at * scale, f"{at:g} s") for at in tick_times(max(ends)))
    return Gantt(bars, ticks, LABEL_WIDTH + CHART_WIDTH + 20, TOP + len(done) * ROW_HEIGHT + 8, down)


def tick_times(seconds: float) -> tuple[float, ...]:
    """Return the times of at most eleven ticks, at round distances."""
    power = 10.0 ** math.floor(math.log10(seconds / 10))
    distance = next(power * factor for factor in (1, 2, 5, 10) if seconds / (power * factor) <= 10)
    return tuple(round(distance * i, 6) for i in range(math.floor(seconds / distance) + 1))
