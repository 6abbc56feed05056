"""One fault on a healthy node: on, until its checks are red; off, until all is green."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
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

    ``threshold``: what the check waits for; ``patience``: what it has waited, at most; ``after``: from when the fault
    was on; ``back``: from when it was to be switched off until all was green.
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
        rounded = {key: round(value, 1) if isinstance(value, float) else value for key, value in asdict(self).items()}
        return {**rounded, "passed": self.passed}


@dataclass(frozen=True)
class Times:
    """When switching a fault on began (``on``) and had ended (``done``), and how long it took to be green again."""

    on: float
    done: float
    back: float | None = None


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
        if not self._await_green(felt, self._clock.monotonic()):
            return tuple(self._row(felt, red, None, Times(0, 0), "the node was not green before") for red in felt.red)
        on = done = self._clock.monotonic()
        try:
            self._switch(felt, True)
            done = self._clock.monotonic()
            self._await(lambda: self._are_red(felt, on), self._budget(felt))
        finally:
            off = self._clock.monotonic()
            self._switch(felt, False)
            for unit in felt.restart:
                self._restart(unit)
        back = self._clock.monotonic() - off if self._await_green(felt, off) else None
        looks = self._eye.since(on)
        wrong = strangers(looks, felt.expects)
        return tuple(self._judged(felt, red, looks, Times(on, done, back), wrong) for red in felt.red)

    def _judged(self, felt: Felt, red: Red, looks: Sequence[Look], times: Times, wrong: Sequence[str]) -> Row:
        how, threshold = turned(looks, red.check, red.level), threshold_of(self._settings, red)
        problems = [f"not expected: {each}" for each in wrong]
        if how is None:
            problems.append(f"it did not turn {red.level}")
        elif how.patience < threshold:
            problems.append(f"red after {how.patience:.1f} s of bad looks, before its {threshold:.0f} s")
        elif how.at - times.on < self._least(red):
            problems.append(f"red {how.at - times.on:.1f} s after the fault, before {self._least(red):.0f} s")
        if times.back is None:
            problems.append("it was not green again")
        return self._row(felt, red, how, times, "; ".join(problems))

    def _row(self, felt: Felt, red: Red, how: Turned | None, times: Times, problem: str) -> Row:
        row = Row(felt.name, red.check, red.level, threshold_of(self._settings, red), back=times.back, problem=problem)
        if how is None:
            return row
        return replace(row, patience=how.patience, after=max(how.at - times.done, 0.0), said=how.message)

    def _are_red(self, felt: Felt, since: float) -> bool:
        looks = self._eye.since(since)
        return all(turned(looks, red.check, red.level) for red in felt.red)

    def _least(self, red: Red) -> float:
        """Return the seconds from the fault that it takes at least: until the head is old, and the check's patience.

        The node was green, so its head was younger than one of its ages when the fault began.
        """
        ages = max(red.head_ages - 1, 0)
        return ages * self._settings.geth.head_age_seconds + threshold_of(self._settings, red)

    def _budget(self, felt: Felt) -> float:
        return LATE_SECONDS + max(latest(self._settings, red) for red in felt.red)

    def _await_green(self, felt: Felt, since: float) -> bool:
        wanted = [red.check for red in felt.red]
        return self._await(
            lambda: any(is_green(look, wanted) for look in self._eye.since(since)[-1:] if look.at >= since),
            GREEN_BUDGET,
        )

    def _await(self, so: Callable[[], bool], budget: float) -> bool:
        begun = self._clock.monotonic()
        while not so():
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
