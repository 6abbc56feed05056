"""Cell after cell: the node is healthy before each, the lab is made anew where a cell has left it broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from lab.matrix.inject import Injector
from lab.matrix.plan import Roles
from lab.matrix.results import Result
from lab.matrix.rules import Cell, cells
from lab.matrix.stage import Stage
from lab.matrix.trial import Trial
from lab.matrix.watch import Watch
from transcoder.errors import Failed, TranscoderError

SETTLE_BUDGET = 90.0
"""Seconds for both machines to be seen by the watcher."""


class Campaign:
    """Cells on one stage.

    :param say: gets a line of progress.
    :param may_rebuild: a lab that a cell has left broken is taken down and made anew; else that is an error.
    """

    def __init__(self, stage: Stage, say: Callable[[str], None], *, may_rebuild: bool = True) -> None:
        self._stage, self._say, self._may_rebuild = stage, say, may_rebuild
        self._injector = Injector(stage.settings)
        self._watch: Watch | None = None

    def prepare(self) -> None:
        """Bring up what is needed."""
        self._stage.prepare(self._say)

    def cells(self) -> tuple[Cell, ...]:
        """Return the cells of the plan as it is today."""
        return cells(self._stage.steps(self._ready()))

    def perform(self, wanted: Sequence[Cell]) -> Iterator[Result]:
        """Perform cells and yield what came of them."""
        for number, cell in enumerate(wanted, 1):
            result = self._one(cell)
            note = f" [{'; '.join((*result.writers, *result.lost, result.problem)).strip('; ')}]"
            self._say(
                f"{number:3}/{len(wanted)} {cell.name:45} {result.verdict}, {result.seconds:.0f} s"
                f"{'' if result.passed else note}"
            )
            yield result

    def close(self) -> None:
        """End the watcher."""
        if self._watch is not None:
            self._watch.__exit__(None, None, None)
            self._watch = None

    def _one(self, cell: Cell) -> Result:
        began = time.monotonic()
        try:
            roles = self._ready()
            watch = self._watching()
            return Trial(self._stage, watch, self._injector, cell, roles).perform()
        except TranscoderError as error:
            seconds = round(time.monotonic() - began, 1)
            result = Result(cell.name, cell.step, cell.trouble.name, True, False, 0, seconds, problem=str(error))
            self._rebuild(str(error))
            return result

    def _ready(self) -> Roles:
        """Return who is who, once the node is healthy and both machines are on; a broken lab is made anew."""
        try:
            self._injector.clear()
            self._stage.await_power(tuple(self._stage.machines()))
            status = self._stage.await_healthy()
            if status.healthy:
                return self._stage.roles(status.instance)
            why = "; ".join(status.problems)
        except TranscoderError as error:
            why = str(error)
        self._rebuild(why)
        return self._stage.roles(self._stage.await_healthy().instance)

    def _rebuild(self, why: str) -> None:
        if not self._may_rebuild:
            raise Failed(f"the node is not ready for another cell: {why}")
        self._say(f"the lab is made anew: {why}")
        self.close()
        self._stage.rebuild(self._say)

    def _watching(self) -> Watch:
        if self._watch is None:
            self._watch = self._stage.watch().__enter__()
        self._watch.settle(SETTLE_BUDGET)
        return self._watch
