"""What a rehearsal found, as frozen data, and its JSON. Times in seconds unless a name says otherwise."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab.rehearsal.bound import Bound
from lab.rehearsal.records import Kept
from lab.rehearsal.watch import Downtime

SCHEMA = 2
"""Raised when a key of the JSON goes away or changes its meaning; new keys may come without that."""


class Ended(enum.Enum):
    """How an act of the rehearsal ended."""

    DONE = "done"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Row:
    """An act: the command line (empty where the rehearsal itself looked), how it ended, how long it took.

    ``note`` has the error of a failed one; ``log`` is the file with all that the command said.
    """

    key: str
    title: str
    command: str = ""
    ended: Ended = Ended.NOT_RUN
    seconds: float | None = None
    note: str = ""
    log: str = ""


@dataclass(frozen=True)
class Proof:
    """A claim, whether it holds, and the text that shows it. ``act`` is the key of the act that looked."""

    act: str
    claim: str
    holds: bool
    evidence: str


@dataclass(frozen=True)
class Program:
    """A program of the node as it names itself. ``stand_in``: it says that it is not the real one."""

    name: str
    stand_in: bool
    says: str


@dataclass(frozen=True)
class Bake:
    """What was baked. ``lines`` are the builder's own words.

    ``fresh``: this rehearsal baked it; else an earlier bake of the very same inputs did, and ``packer`` is that bake's.
    ``created`` is the AMI's creation date as EC2 says it, ``seconds`` are those of this call.
    """

    ami: str
    name: str
    packer: str
    builder: str
    fresh: bool
    seconds: float
    lines: tuple[str, ...] = ()
    created: str = ""


@dataclass(frozen=True)
class MigrationStep:
    """A step of the migration. ``weight``: how many of its ``seconds`` nobody can hurry; those of a step on the
    bound's path (``critical``) make up the bound."""

    key: str
    lane: str
    title: str
    outcome: str
    began: float
    seconds: float
    weight: float
    critical: bool


@dataclass(frozen=True)
class Migration:
    """The migration itself. ``seconds`` from its first step to its last, ``began`` of the steps from the same zero.

    ``outside`` is what was seen at the node's port. The node was down from ``down_from`` (the last good answer before)
    until ``down_until`` (the first good one after, and livepeer healthy), on the axis of the steps; None where that is
    not known. livepeer opens its port before it has unlocked its account, so the port alone would flatter.
    """

    title: str
    seconds: float
    steps: tuple[MigrationStep, ...]
    bound: Bound
    outside: Downtime | None = None
    down_from: float | None = None
    down_until: float | None = None

    @property
    def downtime(self) -> float | None:
        """How long the node was down."""
        known = self.down_from is not None and self.down_until is not None
        return (self.down_until or 0.0) - (self.down_from or 0.0) if known else None

    @property
    def ratio(self) -> float | None:
        """Downtime / bound."""
        return self.downtime / self.bound.seconds if self.downtime is not None and self.bound.seconds else None


@dataclass(frozen=True)
class Report:
    """A rehearsal. ``started`` is ISO 8601; ``facts`` are names and values for people, in order."""

    environment: str
    description: str
    started: str
    seconds: float
    rows: tuple[Row, ...]
    proofs: tuple[Proof, ...]
    facts: Mapping[str, str]
    programs: tuple[Program, ...] = ()
    bake: Bake | None = None
    migration: Migration | None = None
    records: Kept | None = None
    hints: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every act was done and every proof holds; a rehearsal that proved nothing has not passed."""
        done = all(row.ended is Ended.DONE for row in self.rows)
        return done and bool(self.proofs) and all(proof.holds for proof in self.proofs)

    def describe(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        migration = self.migration
        return {
            "schema": SCHEMA,
            "passed": self.passed,
            "environment": self.environment,
            "description": self.description,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "facts": dict(self.facts),
            "programs": [asdict(program) for program in self.programs],
            "bake": asdict(self.bake) if self.bake else None,
            "steps": [{**asdict(row), "ended": row.ended.value, "seconds": _rounded(row.seconds)} for row in self.rows],
            "migration": _migration(migration) if migration else None,
            "records": asdict(self.records) if self.records else None,
            "proofs": [asdict(proof) for proof in self.proofs],
            "hints": list(self.hints),
        }


def _migration(migration: Migration) -> dict[str, Any]:
    data = asdict(migration)
    data["bound"] = {**asdict(migration.bound), "seconds": _rounded(migration.bound.seconds)}
    data["outside"] = migration.outside.describe() if migration.outside else None
    data["downtime"] = _rounded(migration.downtime)
    data["down_from"], data["down_until"] = _rounded(migration.down_from), _rounded(migration.down_until)
    data["ratio"] = _rounded(migration.ratio)
    return data


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
