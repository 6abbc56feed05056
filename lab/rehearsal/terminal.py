"""The rehearsal on a terminal: a line an act on stderr while it runs, the report's tables on stdout."""

from __future__ import annotations

import sys
import time
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.rehearsal.report import Ended, Migration, Report, Row
from lab.rehearsal.watch import Downtime

MARKS = {Ended.DONE: "✓", Ended.FAILED: "✗", Ended.NOT_RUN: "·"}
STYLES = {Ended.DONE: "green", Ended.FAILED: "bold red", Ended.NOT_RUN: "dim"}
WIDTH = 100
"""Columns of the tables where the output is no terminal."""


class Progress:
    """Tells what goes on: one line an act, with its time; on a terminal also what the act is doing right now."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._began = time.monotonic()
        self._title = ""
        self._alive = self._stream.isatty()

    def begin(self, title: str) -> None:
        """Show the act that begins, where it can be overwritten later."""
        self._title = title
        self.say("")

    def say(self, line: str) -> None:
        """Show the last line of the act's command, where it can be overwritten later."""
        if self._alive:
            self._stream.write(f"\r\x1b[K… {self._elapsed()}  {self._title}  {line.strip()[:60]}")
            self._stream.flush()

    def end(self, row: Row) -> None:
        """Write the line of an act that has ended."""
        start = "\r\x1b[K" if self._alive else ""
        took = f"{row.seconds:7.1f} s" if row.seconds is not None else " " * 9
        self._stream.write(f"{start}{MARKS[row.ended]} {self._elapsed()}  {took}  {row.title}\n")
        if row.note:
            self._stream.write("".join(f"    {line}\n" for line in row.note.splitlines()))
        self._stream.flush()

    def _elapsed(self) -> str:
        seconds = int(time.monotonic() - self._began)
        return f"{seconds // 60:2}:{seconds % 60:02}"


def print_report(report: Report, stream: IO[str] | None = None) -> None:
    """Print the report's tables on stdout."""
    stream = stream or sys.stdout
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else WIDTH)
    console.print(_facts(report))
    console.print(_rows(report))
    if report.migration:
        console.print(_migration(report.migration))
        console.print(Text(summary(report.migration)))
        for text in definitions(report):
            console.print(Text(text, style="dim"))
    if report.proofs:
        console.print(_proofs(report))
    for hint in report.hints:
        console.print(Text(hint))
    console.print(Text(verdict(report), style="bold green" if report.passed else "bold red"))


def verdict(report: Report) -> str:
    """Say in one line how the rehearsal ended."""
    held = sum(proof.holds for proof in report.proofs)
    done = sum(row.ended is Ended.DONE for row in report.rows)
    word = "passed" if report.passed else "FAILED"
    return (
        f"rehearsal {word}: {done} of {len(report.rows)} steps done, {held} of {len(report.proofs)} proofs hold, "
        f"{report.seconds:.1f} s"
    )


def summary(migration: Migration) -> str:
    """Say downtime, bound and their ratio."""
    bound = f"bound {migration.bound.seconds:.2f} s"
    if migration.downtime is None or migration.ratio is None:
        return f"{bound}; the downtime was not measured"
    return f"downtime {migration.downtime:.2f} s, {bound}, downtime / bound {migration.ratio:.2f}"


def definitions(report: Report) -> tuple[str, ...]:
    """Say how the figures of the migration came about, and the other views of the same time."""
    migration = report.migration
    if migration is None:
        return ()
    found = [
        "downtime: from the last good answer before (a TCP connection from outside to livepeer's port at the Elastic "
        "IP, and libp2p's banner) to the first good answer after at which livepeer is healthy (answers as its account)",
        f"bound: {migration.bound.rule}",
    ]
    if migration.bound.by_step:
        steps = ", ".join(migration.bound.by_step)
        found.append(f"no journal told how long these took by themselves, so all of the step counts: {steps}")
    if migration.outside:
        found.append(f"the port alone was silent for {_outages(migration.outside)}: it opens before livepeer works")
    if report.records:
        found.append(f"the longest pause between two records was {report.records.pause_seconds:.2f} s")
    return tuple(found)


def _outages(outside: Downtime) -> str:
    times = " + ".join(f"{outage.seconds:.2f} s" for outage in outside.outages) or "no time"
    return f"{times} (asked every {outside.interval * 1000:.0f} ms, {outside.timeout:g} s for an answer)"


def names(report: Report) -> dict[str, str]:
    """Return the facts of a report with the programs that ran, for a table of two columns."""
    ran = {p.name: ("stand-in: " if p.stand_in else "the real one: ") + p.says for p in report.programs}
    start = {"environment": f"{report.environment}: {report.description}", "started": report.started}
    kept = report.records
    records = {"records": f"{kept.written} written, {kept.found} found at the move, {kept.total} now"} if kept else {}
    return {**start, **_baked(report), **report.facts, **ran, **records}


def _baked(report: Report) -> dict[str, str]:
    bake = report.bake
    if bake is None:
        return {}
    how = f"its builder {bake.builder} {'ran' if bake.lines else 'did not run'}"
    if not bake.fresh:
        how = f"{bake.builder} baked the AMI earlier, at {bake.created}, from the very same inputs; not baked again"
    return {"Packer": f"{bake.packer}; {how}", "AMI": f"{bake.ami} {bake.name}"}


def _facts(report: Report) -> Table:
    table = Table(title="rehearsal", title_justify="left", show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("which")
    for name, value in names(report).items():
        table.add_row(Text(name), Text(value))
    return table


def _rows(report: Report) -> Table:
    table = Table(title="steps", title_justify="left")
    for name, justify in (("", "left"), ("step", "left"), ("seconds", "right"), ("command", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    for row in report.rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        style = STYLES[row.ended]
        table.add_row(Text(MARKS[row.ended], style=style), row.title, seconds, Text(row.command, style="dim"))
    return table


def _migration(migration: Migration) -> Table:
    table = Table(title=migration.title, title_justify="left", caption="* on the bound's path", caption_justify="left")
    for name in ("lane", "step"):
        table.add_column(name)
    for name in ("began", "seconds", "unavoidable"):
        table.add_column(name, justify="right")
    table.add_column("")
    for step in sorted(migration.steps, key=lambda step: step.began):
        mark = "*" if step.critical else "" if step.outcome == "done" else step.outcome
        weight = f"{step.weight:.2f}" if step.weight else ""
        table.add_row(step.lane, Text(step.title), f"{step.began:.2f}", f"{step.seconds:.2f}", weight, mark)
    return table


def _proofs(report: Report) -> Table:
    table = Table(title="proofs", title_justify="left", show_lines=True)
    for name in ("", "claim", "evidence"):
        table.add_column(name)
    for proof in report.proofs:
        mark = Text("✓", style="green") if proof.holds else Text("✗", style="bold red")
        table.add_row(mark, Text(proof.claim), Text(proof.evidence, style="dim"))
    return table
