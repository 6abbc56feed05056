"""One cell of the matrix: migrate, break it at the step, go on as the words say, and judge what the watcher saw."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from lab.matrix.advice import SOURCE_LOST, Advice, hints, read_advice
from lab.matrix.evidence import blind, synced, two_writers
from lab.matrix.inject import Injector
from lab.matrix.operator import JournalReader, Operator, Ran, await_step
from lab.matrix.plan import Roles
from lab.matrix.results import Result, Typed
from lab.matrix.rules import Cell, Then
from lab.matrix.samples import Seen
from lab.matrix.stage import Stage, Status
from lab.matrix.watch import Watch

RUN_BUDGET = 420.0
"""Seconds for a migration to end, well or not: the longest budgets of its steps, and some."""
MORE_RUNS = 3
"""As many more runs as are tried: one that needs more than one has failed, but it should be seen what it needs."""
SHOWN = 1500
AWAKE_SECONDS = 3.0
"""For how long a machine that has power again is watched: it must not start the node."""
LAGGING = "lagging_reads"
SOURCE_DIES = "power_off_source"


@dataclass
class Story:
    """What has happened in a cell so far."""

    roles: Roles
    began: float
    hit: bool = False
    reruns: int = 0
    typed: list[Typed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, ran: Ran) -> None:
        """Note a command that has ended."""
        said = ran.said[-SHOWN:].strip() if ran.exit_code else " ".join(ran.stdout.split())[-200:]
        self.typed.append(Typed(" ".join(ran.command), ran.exit_code, round(ran.seconds, 1), said))
        if ran.overdue:
            self.notes.append(f"`{' '.join(ran.command)}` had not ended after {RUN_BUDGET:.0f} s")


class Trial:
    """A cell while it is performed. The node is healthy at the source when it begins."""

    def __init__(self, stage: Stage, watch: Watch, injector: Injector, cell: Cell, roles: Roles) -> None:
        self._stage, self._watch, self._injector, self.cell = stage, watch, injector, cell
        self._story = Story(roles, time.monotonic())

    def perform(self) -> Result:
        """Run it to its end and judge it."""
        began, story = time.monotonic(), self._story
        first = self._broken_run()
        story.note(first)
        if self.cell.trouble.then is Then.HEAL:
            self._heal()
        last = self._go_on(first)
        status = self._stage.await_healthy()
        self._heal()
        self._wake()
        return self._judge(status, last, time.monotonic() - began)

    def _broken_run(self) -> Ran:
        """Type the migration, and let the fault come when its step begins."""
        cell, story = self.cell, self._story
        journal = JournalReader(self._stage.journal)
        if cell.trouble.from_start:
            self._injector.on(cell, story.roles)
        operator = self._stage.begin(*self._stage.migrate(story.roles, "--yes"))
        if cell.trouble.from_start:
            story.hit = True
        else:
            self._strike(operator, journal)
        return operator.wait(RUN_BUDGET)

    def _strike(self, operator: Operator, journal: JournalReader) -> None:
        cell, story = self.cell, self._story
        story.hit = await_step(operator, journal, story.roles.keyed(cell.step), RUN_BUDGET)
        if not story.hit:
            return
        if not cell.trouble.fault:
            operator.kill()
            return
        operator.freeze()
        self._injector.on(cell, story.roles)
        operator.thaw()

    def _go_on(self, ran: Ran) -> Ran:
        """Type what the command that failed says, or the same again, until one ends well."""
        options: tuple[str, ...] = ()
        while ran.exit_code != 0 and self._story.reruns < MORE_RUNS:
            advice = read_advice(ran.said)
            self._follow(advice)
            options = self._dead_or_alive(advice.applied(options), ran)
            self._story.reruns += 1
            line = self._stage.migrate(self._story.roles, *options, "--yes")
            ran = self._stage.run(*line, again=True, budget=RUN_BUDGET)
            self._story.note(ran)
        return ran

    def _dead_or_alive(self, options: tuple[str, ...], ran: Ran) -> tuple[str, ...]:
        """Give a source up only when it is dead; one that was out of reach for a while has been healed."""
        without = tuple(option for option in options if option != SOURCE_LOST)
        dead = self.cell.trouble.name == SOURCE_DIES and self._story.roles.source in self._stage.volumes().values()
        if not dead:
            return without
        if SOURCE_LOST not in ran.said:
            self._story.notes.append(f"the command that failed did not name {SOURCE_LOST}")
        return (*without, SOURCE_LOST)

    def _follow(self, advice: Advice) -> None:
        """Do by hand what the words say is to be done by hand."""
        if advice.unlock:
            self._story.note(self._stage.run("fab", "unlock", "--node", self._stage.node))
        for command in advice.commands:
            done = self._stage.on(self._story.roles.target, *command, budget=120)
            said = (done.stdout + done.stderr)[-SHOWN:]
            self._story.typed.append(Typed(f"sudo {' '.join(command)}", done.returncode, 0.0, said))

    def _heal(self) -> None:
        if self.cell.trouble.fault:
            self._injector.off(self.cell)

    def _wake(self) -> None:
        """Have both machines on, and watch for a while: a machine that was dead must not start the node."""
        roles = self._story.roles
        self._stage.await_power((roles.source, roles.target))
        if self.cell.trouble.fault == "power_off":
            self._watch.settle(60)
            time.sleep(AWAKE_SECONDS)

    def _judge(self, status: Status, last: Ran, seconds: float) -> Result:
        story, seen = self._story, self._watch.seen(self._story.began)
        lost, found = self._missing(status, seen)
        problem = "; ".join(status.problems) if not status.healthy else ""
        if last.exit_code != 0:
            problem = f"{problem}; the last command ended with {last.exit_code}: {' | '.join(hints(last.said))}"
        return Result(
            cell=self.cell.name,
            step=self.cell.step,
            trouble=self.cell.trouble.name,
            hit=story.hit,
            healthy=status.healthy and last.exit_code == 0,
            reruns=story.reruns,
            seconds=round(seconds, 1),
            problem=problem.strip("; "),
            lost=lost,
            synced=synced(seen),
            found=found,
            writers=two_writers(seen, trust_cloud=self.cell.trouble.name != LAGGING),
            blind=blind(seen),
            typed=tuple(story.typed),
            notes=tuple(story.notes),
        )

    def _missing(self, status: Status, seen: Seen) -> tuple[tuple[str, ...], int]:
        """Return what is wrong with the records at the machine that has the node now, and the last one's number."""
        scan = self._stage.records(status.instance) if status.instance else None
        if scan is None:
            self._story.notes.append("the records could not be read: whether any is lost is not known")
            return (), 0
        lost = list(scan.problems())
        if scan.last < synced(seen):
            lost.append(f"{synced(seen)} was synced, {scan.last} is the last that is there")
        return tuple(lost), scan.last
