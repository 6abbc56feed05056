"""One fault on a healthy node: on, until its checks are red; off, until all is green."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from lab.fault_checks.looks import Look, Turned, is_green, strangers, turned
from lab.fault_checks.table import Felt, Red
from transcoder.checks import patience
from transcoder.settings import Settings
from transcoder.world import Clock

LATE_SECONDS = 90.0
"""What a look, a hanging answer and a busy machine may add to a threshold."""
GREEN_BUDGET = 300.0
POLL_SECONDS = 0.5
BLOCK_SECONDS = 2.0


@dataclass(frozen=True)
class Row:
    """What came of one check of one fault; seconds.

    ``threshold``: what the check waits for; ``patience``: what it has waited, at most; ``after``: from switching the
    fault on; ``back``: from switching it off until all was green.
    """

    fault: str
    check: str
    level: str
    threshold: float
    patience: float | None = None
    after: float | None = None
    back: float | None = None
    problem: str = ""
    said: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was red after its threshold, and green again."""
        return not self.problem

    def describe(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {**asdict(self), "passed": self.passed}


class Eye(Protocol):
    """Who looks at the node's watch."""

    def since(self, begun: float) -> tuple[Look, ...]:
        """Return the looks from a time of the clock on, and the last one before it."""


class Trial:
    """A fault and the node.

    :param switch: switches the fault on or off.
    :param restart: restarts a unit of the node.
    """

    def __init__(
        self,
        settings: Settings,
        eye: Eye,
        switch: Callable[[Felt, bool], None],
        restart: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._settings, self._eye, self._switch, self._restart, self._clock = settings, eye, switch, restart, clock

    def perform(self, felt: Felt) -> tuple[Row, ...]:
        """Try a fault; it is off in the end, whatever came of it."""
        begun = self._clock.monotonic()
        if not self._await_green(felt, begun):
            return tuple(self._row(felt, red, None, None, "the node was not green before") for red in felt.red)
        on = self._clock.monotonic()
        try:
            self._switch(felt, True)
            self._await(lambda looks: all(self._turned(looks, red) for red in felt.red), on, self._budget(felt))
        finally:
            off = self._clock.monotonic()
            self._switch(felt, False)
            for unit in felt.restart:
                self._restart(unit)
        back = self._clock.monotonic() - off if self._await_green(felt, off) else None
        looks = self._eye.since(on)
        wrong = strangers(looks, felt.expects)
        return tuple(self._judged(felt, red, looks, (on, back), wrong) for red in felt.red)

    def _judged(
        self, felt: Felt, red: Red, looks: Sequence[Look], times: tuple[float, float | None], wrong: Sequence[str]
    ) -> Row:
        on, back = times
        how, threshold = self._turned(looks, red), threshold_of(self._settings, red)
        problems = [f"not expected: {each}" for each in wrong]
        if how is None:
            problems.append(f"it did not turn {red.level}")
        elif how.patience < threshold:
            problems.append(f"red after {how.patience:.1f} s of bad looks, before its {threshold:.0f} s")
        elif how.at - on < self._least(red):
            problems.append(f"red {how.at - on:.1f} s after the fault, before {self._least(red):.0f} s")
        if back is None:
            problems.append("it was not green again")
        return self._row(felt, red, (how, on), back, "; ".join(problems))

    def _row(self, felt: Felt, red: Red, how: tuple[Turned | None, float] | None, back: float | None, why: str) -> Row:
        threshold = threshold_of(self._settings, red)
        found, on = how if how is not None else (None, 0.0)
        if found is None:
            return Row(felt.name, red.check, red.level, threshold, back=back, problem=why)
        seen, after = round(found.patience, 1), round(found.at - on, 1)
        green = None if back is None else round(back, 1)
        return Row(felt.name, red.check, red.level, threshold, seen, after, green, why, found.message)

    def _turned(self, looks: Sequence[Look], red: Red) -> Turned | None:
        return turned(looks, red.check, red.level)

    def _least(self, red: Red) -> float:
        """Return the seconds from the fault that it takes at least: its head's age, and the check's patience.

        The newest block may have been seen one look and one block before the fault.
        """
        ages = red.head_ages * self._settings.geth.head_age_seconds
        seen_before = self._settings.watch.interval_seconds + 2 * BLOCK_SECONDS if ages else 0
        return ages - seen_before + threshold_of(self._settings, red)

    def _budget(self, felt: Felt) -> float:
        return LATE_SECONDS + max(latest(self._settings, red) for red in felt.red)

    def _await_green(self, felt: Felt, begun: float) -> bool:
        wanted = [red.check for red in felt.red]
        return self._await(lambda looks: looks[-1].at >= begun and is_green(looks[-1], wanted), begun, GREEN_BUDGET)

    def _await(self, so: Callable[[Sequence[Look]], bool], begun: float, budget: float) -> bool:
        while not ((looks := self._eye.since(begun)) and so(looks)):
            if self._clock.monotonic() - begun > budget:
                return False
            self._clock.sleep(POLL_SECONDS)
        return True


def threshold_of(settings: Settings, red: Red) -> float:
    """Return for how long a check must be bad until it is shown, in seconds."""
    watch = settings.watch
    check = patience(watch.after_seconds, watch.clear_seconds)[red.check.partition("/")[0]]
    return float(str(check[red.level]))


def latest(settings: Settings, red: Red) -> float:
    """Return the seconds in which a check must be red: what must have happened before it is bad, and its threshold."""
    head = red.head_ages * settings.geth.head_age_seconds
    if not red.share:
        return head + threshold_of(settings, red)
    length = float(settings.geth.environment.get("GETH_STANDIN_ROUND_LENGTH", "5760")) * BLOCK_SECONDS
    # It may have begun with a round whose reward was called.
    return (1 + settings.watch.thresholds[red.share]) * length + threshold_of(settings, red)
