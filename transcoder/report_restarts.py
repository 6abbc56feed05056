"""`invoke nightly-restart` for people, for cron (nothing but trouble) and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from transcoder import report
from transcoder.errors import Refused, TranscoderError
from transcoder.recipes.cron import NOT_RUN, Shown
from transcoder.recipes.nightly import FAILED, NOT_BEGUN, Row, exit_code

MOST_LOG = 1024 * 1024
"""Bytes that a log may have when a run begins; of a longer one the newer half stays."""


class Log:
    """The file of a nightly restart: every line with its time in UTC. Without a path there is none.

    :raises Refused: when it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path).expanduser() if path else None
        self._shorten()

    def write(self, line: str) -> None:
        """Append a line."""
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {' '.join(line.splitlines())}\n")
        except OSError as error:
            raise Refused(f"--log {self._path} cannot be written: {error.strerror}", hint="name another file") from None

    def _shorten(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size > MOST_LOG:
            kept = self._path.read_bytes()[-MOST_LOG // 2 :]
            self._path.write_bytes(kept[kept.find(b"\n") + 1 :])


@contextmanager
def kept(log: Log, environment: str) -> Iterator[None]:
    """Write into the log also that a run has not come to its first node, and why: cron's mail may reach nobody."""
    try:
        yield
    except TranscoderError as error:
        reasons = "; ".join([error.message, *getattr(error, "reasons", ())])
        log.write(f"{environment}{NOT_RUN}{reasons}" + (f" (hint: {error.hint})" if error.hint else ""))
        raise
    except Exception as error:
        log.write(f"{environment}{NOT_RUN}{error!r}")
        raise


def teller(log: Log, *, quiet: bool) -> Callable[[str], None]:
    """Return what takes the lines of progress: they go to the log and, unless nobody wants them, to stderr."""

    def tell(line: str) -> None:
        log.write(line)
        if not quiet:
            sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")

    return tell


def keep(rows: Sequence[Row], environment: str, log: Log) -> None:
    """Write the end of a run into the log: one line that sums it up, and one for each node that failed."""
    for line in (*_trouble_lines(rows), f"{environment}: {summary(rows)}"):
        log.write(line)


def summary(rows: Sequence[Row]) -> str:
    """Return how many nodes ended in which way, in one line."""
    outcomes = list(dict.fromkeys(row.outcome for row in rows))
    counted = ", ".join(f"{sum(row.outcome == each for row in rows)} {each}" for each in outcomes)
    return f"{len(rows)} node(s): {counted}"


def print_rows(rows: Sequence[Row], environment: str, *, quiet: bool, as_json: bool) -> None:
    """Print what became of each node; with ``quiet`` only when one was not restarted that should have been."""
    if as_json:
        described = {"environment": environment, "exit_code": exit_code(rows), "nodes": [r.describe() for r in rows]}
        sys.stdout.write(json.dumps(described, indent=2) + "\n")
        return
    trouble = _trouble_lines(rows)
    if quiet and not trouble:
        return
    console = report.console(stderr=False)
    if not quiet:
        console.print(_table(rows))
    console.print(f"{environment}: {summary(rows)}")
    for line in trouble:
        console.print(line, markup=False)


def _trouble_lines(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        if row.outcome in (FAILED, NOT_BEGUN):
            lines += [f"  ! {row.node}: {row.reason}", *([f"    hint: {row.hint}"] if row.hint else [])]
    return lines


def print_cron(shown: Shown, *, as_json: bool) -> None:
    """Print the entry of an environment in the crontab."""
    now = datetime.now(UTC)
    if as_json:
        sys.stdout.write(json.dumps(shown.describe(now), indent=2) + "\n")
        return
    for line in shown.lines(now):
        report.console(stderr=False).print(line, markup=False, soft_wrap=True)


def _table(rows: Sequence[Row]) -> Table:
    table = Table("node", "outcome", "seconds")
    for row in rows:
        table.add_row(row.node, row.outcome, f"{row.seconds:.0f}" if row.seconds else "")
    return table
