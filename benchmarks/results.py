"""What the benchmark found, as frozen data: its JSON, and its tables for people. Times in seconds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.calls import Calls
from benchmarks.downtime import DEFINITION
from benchmarks.losses import Loss
from lab.rehearsal.bound import RULE, Bound
from lab.rehearsal.report import MigrationStep, Program
from lab.rehearsal.watch import Downtime

SCHEMA = 1
"""Raised when a key of the JSON goes away or changes its meaning; new keys may come without that."""
OURS, THEIRS = "ours", "theirs"


@dataclass(frozen=True)
class Turn:
    """A move. ``seconds`` is how long the command took, ``downtime`` None when it could not be measured.

    A command that is compared has the ``bound`` of our own move in the same round: the same volumes, the same services.
    """

    number: int
    who: str
    source: str
    target: str
    seconds: float
    downtime: float | None
    calls: Calls
    outside: Downtime | None = None
    bound: Bound | None = None
    steps: tuple[MigrationStep, ...] = ()
    losses: tuple[Loss, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Downtime / bound."""
        return self.downtime / self.bound.seconds if self.downtime and self.bound and self.bound.seconds else None

    def describe(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            **asdict(self),
            "ratio": self.ratio,
            "calls": {**asdict(self.calls), "changes": self.calls.changes},
            "outside": self.outside.describe() if self.outside else None,
            "losses": [{**asdict(loss), "lost": loss.lost} for loss in self.losses],
        }


@dataclass(frozen=True)
class Medians:
    """Medians over the turns of one command; None where not a single one was measured."""

    turns: int
    downtime: float | None
    bound: float | None
    ratio: float | None
    seconds: float | None
    ec2: float | None
    re_reads: float | None


@dataclass(frozen=True)
class Results:
    """All turns, and on what they were measured. ``latencies`` by name, in seconds; ``load`` of one minute."""

    environment: str
    started: str
    profile: str
    latencies: Mapping[str, float]
    processors: int
    load: float
    programs: tuple[Program, ...]
    compared: str
    turns: tuple[Turn, ...]

    def of(self, who: str) -> tuple[Turn, ...]:
        """Return the turns of one command."""
        return tuple(turn for turn in self.turns if turn.who == who)

    def medians(self, who: str) -> Medians:
        """Return the medians of one command, over the turns that left a healthy node."""
        turns = [turn for turn in self.of(who) if not turn.problems]
        return Medians(
            len(turns),
            downtime=_median(turn.downtime for turn in turns),
            bound=_median(turn.bound.seconds if turn.bound else None for turn in turns),
            ratio=_median(turn.ratio for turn in turns),
            seconds=_median(turn.seconds for turn in turns),
            ec2=_median(turn.calls.ec2 for turn in turns),
            re_reads=_median(turn.calls.re_reads for turn in turns),
        )

    @property
    def who(self) -> tuple[str, ...]:
        """The commands that were timed."""
        return tuple(dict.fromkeys(turn.who for turn in self.turns))

    def describe(self) -> dict[str, Any]:
        """Return the results as JSON-ready data."""
        return {
            "schema": SCHEMA,
            **{key: value for key, value in asdict(replace(self, turns=())).items() if key != "turns"},
            "rule": RULE,
            "downtime": DEFINITION,
            "turns": [turn.describe() for turn in self.turns],
            "medians": {who: asdict(self.medians(who)) for who in self.who},
        }


def with_bounds(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return the turns, each without a bound given that of our own move in the same round."""
    own = {turn.number: turn.bound for turn in turns if turn.who == OURS}
    return tuple(turn if turn.bound else replace(turn, bound=own.get(turn.number)) for turn in turns)


def render(results: Results) -> str:
    """Return the results as text for people."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    waits = ", ".join(f"{name} {seconds:g}" for name, seconds in results.latencies.items() if seconds)
    yield f"environment {results.environment}, latency profile {results.profile} (seconds: {waits})"
    yield f"{results.processors} processors, load {results.load:.1f} at the start"
    for program in results.programs:
        yield f"{program.name}: {'stand-in' if program.stand_in else 'the real one'}: {program.says}"
    if results.compared:
        yield f"theirs: {results.compared}"
    head = ("downtime", "bound", "ratio", "command", "EC2 calls", "re-reads")
    yield f"\n{'':<16}" + "".join(f"{name:>10}" for name in head)
    for turn in results.turns:
        bound, calls = turn.bound.seconds if turn.bound else None, turn.calls
        yield _row(
            f"{turn.number:>3} {turn.who}", turn.downtime, bound, turn.ratio, turn.seconds, calls.ec2, calls.re_reads
        )
        yield from (f"      ! {problem}" for problem in turn.problems)
    for who in results.who:
        m, turns = results.medians(who), len(results.of(who))
        yield _row(f"median {who}", m.downtime, m.bound, m.ratio, m.seconds, m.ec2, m.re_reads)
        if m.turns < turns:
            yield f"      ! median of {m.turns} of {turns}: the others did not leave a healthy node"
    yield from _where(results)
    yield f"\ndowntime: {DEFINITION}"
    yield f"bound: {RULE}"
    guessed = sorted({key for turn in results.turns if turn.bound for key in turn.bound.by_step})
    if guessed:
        yield f"no journal told how long these took by themselves, so all of the step counts: {', '.join(guessed)}"
    yield "re-reads: EC2 was asked the same of the same resources again"


def _where(results: Results) -> Iterator[str]:
    """Yield a table of where the downtime went, step by step in the order of the first of our turns that tells."""
    turns = [turn for turn in results.of(OURS) if turn.losses]
    if not turns:
        return
    yield f"\nwhere it went, median of {len(turns)} (seconds)"
    yield f"{'':<24}{'gap before':>12}{'took':>8}{'in bound':>10}{'lost':>8}"
    for key in dict.fromkeys(loss.key for turn in turns for loss in turn.losses):
        found = [loss for turn in turns for loss in turn.losses if loss.key == key]
        figures = (
            statistics.median(loss.gap for loss in found),
            statistics.median(loss.within for loss in found),
            statistics.median(loss.weight for loss in found),
            statistics.median(loss.lost for loss in found),
        )
        share = "" if len(found) == len(turns) else f"   in {len(found)} of {len(turns)}"
        yield f"{key:<24}{figures[0]:>12.2f}{figures[1]:>8.2f}{figures[2]:>10.2f}{figures[3]:>8.2f}{share}"


def _row(name: str, *figures: float | None) -> str:
    return f"{name:<16}" + "".join(_figure(figure) for figure in figures)


def _figure(figure: float | None) -> str:
    if figure is None:
        return f"{'-':>10}"
    return f"{figure:>10}" if isinstance(figure, int) else f"{figure:>10.2f}"


def _median(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return statistics.median(known) if known else None
