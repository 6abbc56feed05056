"""The stage: runs the acts of a rehearsal one after the other and keeps what they find."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from lab.configuration import LabConfiguration
from lab.rehearsal import runner
from lab.rehearsal.records import Kept
from lab.rehearsal.report import Bake, Ended, Migration, Program, Proof, Report, Row
from lab.rehearsal.runner import Finished
from transcoder.errors import Failed, TranscoderError
from transcoder.model import Instance
from transcoder.world import Host, World

T = TypeVar("T")


@dataclass(frozen=True)
class Plot:
    """Who plays: the node, the name of its first machine and of the one it moves to."""

    node: str
    first: str
    second: str


@dataclass(frozen=True)
class Act:
    """A step of the rehearsal: a command line of the operator (without ``--env``), or a look at what stands."""

    key: str
    title: str
    command: tuple[str, ...]
    perform: Callable[[Stage], None]
    budget: float = 600.0
    """Seconds for the command."""


@dataclass
class Seen:
    """What the acts have found out so far."""

    bake: Bake | None = None
    source: Instance | None = None
    target: Instance | None = None
    elastic_ip: str = ""
    address: str = ""
    identity: dict[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    programs: tuple[Program, ...] = ()
    known_record: int = 0
    migration: Migration | None = None
    records: Kept | None = None
    facts: dict[str, str] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)


class Watching(Protocol):
    """Who is told what goes on."""

    def begin(self, title: str) -> None:
        """An act begins."""

    def say(self, line: str) -> None:
        """Its command has said something."""

    def end(self, row: Row) -> None:
        """An act has ended."""


class Stage:
    """A rehearsal while it runs.

    :param environment: what ``--env`` of the commands gets.
    :param output: directory of the report; the commands' logs go to ``logs`` in it.
    """

    def __init__(
        self, world: World, configuration: LabConfiguration, environment: str, plot: Plot, output: Path, watch: Watching
    ) -> None:
        self.world, self.configuration, self.environment = world, configuration, environment
        self.plot, self.output, self.watch = plot, output, watch
        self.seen = Seen()
        self.rows: list[Row] = []
        self.proofs: list[Proof] = []
        self._act: Act | None = None
        self._command_seconds: float | None = None
        self._log = Path()
        self._started, self._began = datetime.now(UTC), time.monotonic()

    def perform(self, story: Sequence[Act], *, keep_going: bool = False) -> None:
        """Run the acts; after one that failed the others are not run, unless ``keep_going``."""
        self.rows = [Row(act.key, act.title, shlex.join(self.line(act.command))) for act in story]
        for number, act in enumerate(story):
            self.watch.begin(act.title)
            self.rows[number] = row = self._performed(act, self.rows[number])
            self.watch.end(row)
            if row.ended is Ended.FAILED and not keep_going:
                return

    def line(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return a command line with its environment; nothing for an act that runs none."""
        return (*command, "--env", self.environment) if command else ()

    def succeed(self) -> Finished:
        """Run the command line of the act that is on.

        :raises Failed: when it does not end with 0.
        """
        act = known(self._act, "the act that is on")
        self._log = self.output / "logs" / f"{len(self._numbered()) + 1:02}-{act.key}.log"
        finished = runner.run(self.line(act.command), self._log, act.budget, self.watch.say)
        self._command_seconds = finished.seconds
        return finished.require_success()

    def prove(self, claim: str, holds: bool, evidence: str) -> None:
        """Add a proof of the act that runs."""
        self.proofs.append(Proof(self._act.key if self._act else "", claim, holds, evidence))

    def host(self, instance: Instance) -> Host:
        """Return a machine to look at."""
        return self.world.hosts(instance)

    @property
    def source(self) -> Instance:
        """The machine that the node moves away from."""
        return known(self.seen.source, "the machine that the node was launched on")

    @property
    def target(self) -> Instance:
        """The machine that the node moves to."""
        return known(self.seen.target, "the machine that the node moves to")

    def report(self) -> Report:
        """Return what has been found so far."""
        settings, seen = self.world.settings, self.seen
        return Report(
            environment=settings.name,
            description=settings.description,
            started=self._started.isoformat(timespec="seconds"),
            seconds=time.monotonic() - self._began,
            rows=tuple(self.rows),
            proofs=tuple(self.proofs),
            facts=dict(seen.facts),
            programs=seen.programs,
            bake=seen.bake,
            migration=seen.migration,
            records=seen.records,
            hints=tuple(seen.hints),
        )

    def _performed(self, act: Act, row: Row) -> Row:
        self._act, self._command_seconds, self._log = act, None, Path()
        began, ended, note = time.monotonic(), Ended.DONE, ""
        try:
            act.perform(self)
        except TranscoderError as error:
            ended, note = Ended.FAILED, str(error)
        except BaseException:
            self.rows[self._number(act)] = replace(row, ended=Ended.FAILED, note="broken off")
            raise
        seconds = self._command_seconds
        took = time.monotonic() - began if seconds is None else seconds
        log = str(self._log) if self._log.name else ""
        return replace(row, ended=ended, seconds=took, note=note, log=log)

    def _number(self, act: Act) -> int:
        return [row.key for row in self.rows].index(act.key)

    def _numbered(self) -> list[Row]:
        return [row for row in self.rows if row.ended is not Ended.NOT_RUN]


def known(value: T | None, what: str) -> T:
    """Return what an earlier act has found.

    :raises Failed: when it has not.
    """
    if value is None:
        raise Failed(f"it is not known: {what}; an earlier step has failed")
    return value
