"""CloudFormation in memory: change sets and stacks take simulated time, and fail where a test says so."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulated.clock import SimulatedClock
from transcoder.errors import Failed
from transcoder.stacks import EMPTY, GONE, Change, Proposal, Stack, StackEvent

PROPOSAL_TAKES, WORK_TAKES = 3.0, 10.0
"""Seconds."""
NOTHING = "The submitted information didn't contain changes. Submit different information to create a change set."
Template = dict[str, Any]


@dataclass
class _Made:
    stack: Stack
    template: Template = field(default_factory=lambda: {"Resources": {}})
    events: list[StackEvent] = field(default_factory=list)
    until: float = 0.0
    then: str = ""


@dataclass(frozen=True)
class _Set:
    stack: str
    template: Template
    tags: Mapping[str, str]
    ready: float


class SimulatedStacks:
    """Implements `transcoder.stacks.Stacks`.

    ``fails``: the name of a resource and why it cannot be made; ``wrong``: why no template is understood; ``stuck``:
    a change cannot be taken back either.
    """

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self.made: dict[str, _Made] = {}
        self.sets: dict[str, _Set] = {}
        self.fails: dict[str, str] = {}
        self.wrong = ""
        self.stuck = False

    def find_stack(self, name: str) -> Stack | None:
        self._catch_up()
        if name in self.made:
            return self.made[name].stack
        alive = [made.stack for made in self.made.values() if made.stack.name == name and made.stack.status != GONE]
        return alive[0] if alive else None

    def propose(self, stack: str, name: str, template: str, tags: Mapping[str, str], *, new: bool) -> str:
        found = self.find_stack(stack)
        if new != (found is None):
            raise Failed(f"CreateChangeSet: ValidationError: {stack}: {'exists' if new else 'does not exist'}")
        if found is None:
            found = Stack(f"arn:{stack}/{next(self._numbers)}", stack, EMPTY, "", {})
            self.made[found.id] = _Made(found)
        self.sets[name] = _Set(found.id, json.loads(template), tags, self._clock.now() + PROPOSAL_TAKES)
        return found.id

    def proposal(self, stack: str, name: str) -> Proposal:
        asked = self.sets[name]
        if self._clock.now() < asked.ready:
            return Proposal("CREATE_IN_PROGRESS", "", ())
        if self.wrong:
            return Proposal("FAILED", self.wrong, ())
        changes = _changes(self.made[stack].template["Resources"], asked.template["Resources"])
        return Proposal("CREATE_COMPLETE", "", changes) if changes else Proposal("FAILED", NOTHING, ())

    def drop_proposal(self, stack: str, name: str) -> None:
        assert self.sets.pop(name).stack == stack

    def carry_out(self, stack: str, name: str) -> None:
        asked, made = self.sets.pop(name), self.made[stack]
        verb = "CREATE" if made.stack.status == EMPTY else "UPDATE"
        self._set(made, f"{verb}_IN_PROGRESS", tags=asked.tags)
        failing = [each for each in self.fails if each in asked.template["Resources"]]
        for each in failing:
            self._tell(made, each, f"{verb}_FAILED", self.fails[each])
            self._tell(made, "Another", f"{verb}_FAILED", "Resource creation cancelled")
        if not failing:
            made.template = asked.template
        undone = "ROLLBACK_COMPLETE" if verb == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
        end = "UPDATE_ROLLBACK_FAILED" if self.stuck else undone
        self._later(made, end if failing else f"{verb}_COMPLETE")

    def end_stack(self, stack: str, token: str) -> None:
        made = self.made[stack]
        self._set(made, "DELETE_IN_PROGRESS")
        for name, why in self.fails.items():
            self._tell(made, name, "DELETE_FAILED", why)
        self._later(made, "DELETE_FAILED" if self.fails else GONE)

    def stack_events(self, stack: str, after: str = "") -> tuple[StackEvent, ...]:
        self._catch_up()
        events = self.made[stack].events
        seen = [event.id for event in events].index(after) + 1 if after else 0
        return tuple(events[seen:])

    # furniture

    def put(self, name: str, status: str, tags: Mapping[str, str], template: Template | None = None) -> str:
        """Let a stack be there; return its id."""
        stack = Stack(f"arn:{name}/{next(self._numbers)}", name, status, "", tags)
        self.made[stack.id] = _Made(stack, template or {"Resources": {}})
        return stack.id

    def _catch_up(self) -> None:
        for made in self.made.values():
            if made.then and self._clock.now() >= made.until:
                self._set(made, made.then)
                made.then = ""

    def _later(self, made: _Made, status: str) -> None:
        made.until, made.then = self._clock.now() + WORK_TAKES, status

    def _set(self, made: _Made, status: str, *, tags: Mapping[str, str] | None = None) -> None:
        made.stack = replace(made.stack, status=status, tags=made.stack.tags if tags is None else tags)
        self._tell(made, made.stack.name, status, "")

    def _tell(self, made: _Made, name: str, status: str, reason: str) -> None:
        made.events.append(StackEvent(f"event-{next(self._numbers)}", name, "AWS::Something", status, reason))


def _changes(old: Template, new: Template) -> tuple[Change, ...]:
    verbs = {"Add": new.keys() - old.keys(), "Remove": old.keys() - new.keys()}
    verbs["Modify"] = {name for name in new.keys() & old.keys() if new[name] != old[name]}
    return tuple(
        Change(verb, name, {**old, **new}[name]["Type"], False)
        for verb, names in verbs.items()
        for name in sorted(names)
    )
