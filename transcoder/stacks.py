"""CloudFormation in our words: stacks, change sets, events, and the seam behind which AWS is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

BROKEN = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "IMPORT_ROLLBACK_FAILED"})
"""Statuses of a stack that can only be deleted (CloudFormation user guide, stack status codes)."""
STUCK = "UPDATE_ROLLBACK_FAILED"
"""Neither the new state nor the old one: it must be rolled back before anything else."""
EMPTY = "REVIEW_IN_PROGRESS"
"""A stack that was proposed and never made: it has nothing in it."""
GOOD = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
"""How making or changing a stack ends when all went well."""
GONE = "DELETE_COMPLETE"
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
"""How CloudFormation says that a change set is empty."""


@dataclass(frozen=True)
class Stack:
    """A stack. ``id`` stays its own when it is deleted and another one of its name is made."""

    id: str
    name: str
    status: str
    reason: str
    tags: Mapping[str, str]

    @property
    def changing(self) -> bool:
        """Whether CloudFormation is at work on it."""
        return self.status.endswith("_IN_PROGRESS") and self.status != EMPTY


@dataclass(frozen=True)
class Change:
    """What a change set would do to one thing. ``action``: Add, Modify or Remove; ``replaced``: it is made anew."""

    action: str
    name: str
    kind: str
    replaced: bool


@dataclass(frozen=True)
class Proposal:
    """A change set. ``changes`` are known once it is ``ready``."""

    status: str
    reason: str
    changes: tuple[Change, ...]

    @property
    def ready(self) -> bool:
        """Whether CloudFormation has worked it out, or given up."""
        return self.status in ("CREATE_COMPLETE", "FAILED")

    @property
    def empty(self) -> bool:
        """Whether there is nothing to change."""
        return self.status == "FAILED" and any(words in self.reason for words in NO_CHANGES)


@dataclass(frozen=True)
class StackEvent:
    """What happened to one thing of a stack."""

    id: str
    name: str
    kind: str
    status: str
    reason: str


class Stacks(Protocol):
    """CloudFormation. Every method raises `TranscoderError`s only. Every repetition does the same once."""

    def find_stack(self, name: str) -> Stack | None:
        """Return the stack of a name, or of an id also when it is deleted; None where there is none."""
        ...

    def propose(self, stack: str, name: str, template: str, tags: Mapping[str, str], *, new: bool) -> str:
        """Make a change set ``name``; return the stack's id.

        ``new``: of a stack that does not exist, which then exists and is empty.
        """
        ...

    def proposal(self, stack: str, name: str) -> Proposal: ...
    def drop_proposal(self, stack: str, name: str) -> None: ...
    def carry_out(self, stack: str, name: str) -> None: ...
    def end_stack(self, stack: str, token: str) -> None: ...

    def stack_events(self, stack: str, after: str = "") -> Sequence[StackEvent]:
        """Return what has happened since the event ``after``, or ever, oldest first."""
        ...
