"""Which fault can hit at which step: rules on a step's verb, lane, machine and EC2 calls make the cells."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from lab.matrix.plan import PlannedStep

START = "start"
"""Stands in the place of a step for a fault that is there from the start, whatever step meets it."""


class Then(enum.Enum):
    """What becomes of the fault when the command that it hit has ended."""

    HEAL = "heal"
    """It passes, or an operator ends it: the network is back."""
    LEAVE = "leave"
    """It stays until the cell is over: a dead machine, a changed clock."""
    SPENT = "spent"
    """It happened once: a process killed, a file system damaged."""


FOR_CHECKS = {
    "crashing_service": "a service falls over",
    "drained_account": "what the chain says of the account",
    "geth_no_peers": "a geth that is never in sync, at the target as at the source",
    "geth_stall": "a geth that stalls, at the target as at the source",
    "hung_service": "a service hangs",
    "lost_registration": "what the chain says of the account",
    "missed_reward": "what the chain says of the account",
    "readonly_filesystem": "the source's is refused before the first stop",
    "stopped_service": "a service is stopped, as a migration does",
    "uninitialized_round": "what the chain says of the round",
    "unmounted_volume": "a volume is unmounted, as a migration does",
}
"""Faults of a node that stays where it is, which its own watch is to see (`lab.fault_checks`): no cells. Each with what
it is to a migration; how one goes on after a geth that does not get in sync is tried in the simulated world."""

Hits = Callable[[PlannedStep, Sequence[PlannedStep]], bool]


@dataclass(frozen=True)
class Trouble:
    """A fault as the matrix uses it.

    :param name: as cells have it.
    :param fault: its name in `lab.faults`; empty for what is done to the operator's process alone.
    :param hits: tells whether it can hit at a step, given all steps.
    :param from_start: switched on before the command begins; else as the step begins.
    :param machine: ``source`` or ``target`` where it is about one of them.
    :param options: more options of the fault, as they are.
    :param per_volume: the fault wants the volume of the step's lane.
    :param per_action: the fault wants the step's EC2 action.
    """

    name: str
    fault: str
    hits: Hits
    then: Then = Then.HEAL
    from_start: bool = False
    machine: str = ""
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    per_volume: bool = False
    per_action: bool = False


@dataclass(frozen=True)
class Cell:
    """A fault at a step."""

    at: PlannedStep
    trouble: Trouble

    @property
    def step(self) -> str:
        """The step's name; `START` where the fault is about the whole run."""
        return START if self.trouble.hits is _once else self.at.name

    @property
    def name(self) -> str:
        """``STEP:FAULT``, what ``--only`` is matched against."""
        return f"{self.step}:{self.trouble.name}"


def _any(_step: PlannedStep, _steps: Sequence[PlannedStep]) -> bool:
    return True


def _verb(*verbs: str) -> Hits:
    return lambda step, _steps: step.verb in verbs


def _machine(machine: str) -> Hits:
    return lambda step, _steps: step.machine == machine


def _calls(step: PlannedStep, _steps: Sequence[PlannedStep]) -> bool:
    return bool(step.calls)


def _source_has_work(step: PlannedStep, steps: Sequence[PlannedStep]) -> bool:
    """Tell whether, when the step begins, anything may still be to do at the source."""
    return bool({other.name for other in steps if other.machine == "source"} - step.before)


def _once(step: PlannedStep, steps: Sequence[PlannedStep]) -> bool:
    """Stand for the whole run: a fault from the start needs one cell, not one a step."""
    return step is steps[0]


def _lane_verb(lane: str, verb: str) -> Hits:
    return lambda step, _steps: (step.lane, step.verb) == (lane, verb)


def _api_error(name: str, code: str) -> Trouble:
    return Trouble(name, "api_error", _calls, Then.SPENT, options={"code": code}, per_action=True)


SKEW = {"seconds": 600.0, "hold": True}
"""Far more than the preflight lets pass, and chrony does not set it right by itself."""

TROUBLES: tuple[Trouble, ...] = (
    Trouble("kill_operator", "", _any, Then.SPENT),
    Trouble("power_off_source", "power_off", _source_has_work, Then.LEAVE, machine="source"),
    Trouble("power_off_target", "power_off", _machine("target"), Then.HEAL, machine="target"),
    Trouble("partition_source", "partition", _machine("source"), machine="source"),
    Trouble("partition_target", "partition", _machine("target"), machine="target"),
    Trouble("api_throttle", "api_throttle", _calls, options={"share": 0.5}),
    Trouble("api_throttle_all", "api_throttle", _calls),
    _api_error("api_error_internal", "InternalError"),
    _api_error("api_error_lost_answer", "ConnectionReset"),
    _api_error("api_error_denied", "UnauthorizedOperation"),
    Trouble("lost_elastic_ip", "lost_elastic_ip", _any, Then.SPENT),
    Trouble("lagging_reads", "lagging_reads", _once, from_start=True),
    Trouble("stuck_attaching", "stuck_attaching", _verb("attach"), from_start=True, per_volume=True),
    Trouble("stuck_detaching", "stuck_detaching", _verb("detach"), Then.LEAVE, from_start=True, per_volume=True),
    Trouble(
        "slow_stop", "slow_stop", _lane_verb("geth", "stop"), from_start=True, machine="source", options={"seconds": 20}
    ),
    Trouble("wrong_device_order", "wrong_device_order", _once, from_start=True, machine="target"),
    Trouble("full_disk", "full_disk", _verb("stop"), from_start=True, per_volume=True),
    Trouble("corrupt_filesystem", "corrupt_filesystem", _verb("attach"), Then.SPENT, per_volume=True),
    Trouble("clock_skew_source", "clock_skew", _once, from_start=True, machine="source", options=SKEW),
    Trouble("clock_skew_target", "clock_skew", _once, from_start=True, machine="target", options=SKEW),
)


def cells(steps: Sequence[PlannedStep], troubles: Sequence[Trouble] = TROUBLES) -> tuple[Cell, ...]:
    """Return every cell of a plan, fault by fault, steps in the plan's order."""
    return tuple(Cell(step, trouble) for trouble in troubles for step in steps if trouble.hits(step, steps))


def chosen(all_cells: Sequence[Cell], only: Sequence[str] = (), shard: tuple[int, int] = (1, 1)) -> tuple[Cell, ...]:
    """Return the cells that match any pattern (all, when there is none), and of those every n-th.

    :param only: `fnmatch` patterns on ``STEP:FAULT``; one without a colon is about the fault.
    :param shard: (i, n): the i-th of n equal parts, counted from 1.
    """
    wanted = [cell for cell in all_cells if not only or any(_matches(cell, pattern) for pattern in only)]
    number, of = shard
    return tuple(wanted[number - 1 :: of])


def _matches(cell: Cell, pattern: str) -> bool:
    return fnmatchcase(cell.name, pattern if ":" in pattern else f"*:{pattern}")
