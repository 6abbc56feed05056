"""`invoke monitoring.deploy`, `diff`, `remove`: the environment's alarms, as one CloudFormation stack.

There are no steps of ours: its change set is the plan, and CloudFormation carries it out whole or not at all.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from transcoder import alarms, tags
from transcoder.errors import Failed, Refused, TranscoderError
from transcoder.recipes.status import observe_nodes
from transcoder.settings import Settings
from transcoder.stacks import BROKEN, EMPTY, GONE, GOOD, STUCK, Change, Proposal, Stack, StackEvent, Stacks
from transcoder.world import World

PROPOSAL_BUDGET, STACK_BUDGET = 180.0, 1800.0
"""Seconds for CloudFormation to work out a change set, and to carry it out: some alarms a second, with a reserve."""
EVERY = 2.0
"""Seconds between looks."""
DEPLOY, REMOVE = "invoke monitoring.deploy", "invoke monitoring.remove"


class Console(Protocol):
    """What is shown and asked."""

    def show_changes(self, stack: str, changes: tuple[Change, ...]) -> None: ...
    def confirm(self, question: str) -> None: ...
    def tell(self, event: StackEvent) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What was found, or done. ``status``: of the stack, empty where there is none."""

    stack: str
    nodes: tuple[str, ...]
    changes: tuple[Change, ...]
    done: bool
    status: str

    def describe(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        changes = [asdict(change) for change in self.changes]
        own = {"stack": self.stack, "nodes": list(self.nodes), "status": self.status, "done": self.done}
        return {**own, "nothing_to_do": not self.changes, "changes": changes}


def observe(world: World) -> tuple[str, ...]:
    """Return the nodes that alarms are for: those with a volume here.

    :raises Refused: when the environment sends nothing, or there is no node.
    """
    settings = world.settings
    if not settings.monitoring.cloudwatch:
        raise Refused(
            f"environment {settings.name} sends nothing to CloudWatch",
            hint=f"monitoring.cloudwatch = true in {settings.path}; then bake: docs/monitoring.md",
        )
    nodes = tuple(node.name for node in observe_nodes(world) if node.livepeer is not None)
    if not nodes:
        raise Refused(f"no node in environment {settings.name}: nobody would send anything", hint="invoke launch")
    return nodes


def template(world: World) -> dict[str, Any]:
    """Return the template for the nodes that there are now.

    :raises Refused: as `observe`, and when there are too many of them.
    """
    document = alarms.template(world.settings, observe(world))
    alarms.text_of(document)
    return document


@dataclass
class Question:
    """A change set that was made to see what a deployment would change. ``before``: the stack's status then."""

    stack_id: str
    name: str
    before: str
    proposal: Proposal
    carried_out: bool = False


def diff(world: World, console: Console) -> Outcome:
    """Ask CloudFormation what a deployment would change, and leave nothing of the question behind."""
    nodes = observe(world)
    with _asked(world, nodes) as question:
        outcome = _outcome(world, nodes, question)
    console.show_changes(outcome.stack, outcome.changes)
    return outcome


def deploy(world: World, console: Console) -> Outcome:
    """Make the stack, or change it, and wait until that is done.

    :raises Refused: the stack is not in a state for it, it is another environment's, or nobody agreed.
    :raises Failed: CloudFormation could not do it; the error has the reasons of its events.
    """
    nodes, stacks = observe(world), world.cloud.stacks()
    with _asked(world, nodes) as question:
        outcome = _outcome(world, nodes, question)
        console.show_changes(outcome.stack, outcome.changes)
        if not outcome.changes:
            return outcome
        console.confirm(f"stack {outcome.stack}: carry it out?")
        last = _newest(stacks, question.stack_id)
        stacks.carry_out(question.stack_id, question.name)
        question.carried_out = True
    after = _done(world, console, question.stack_id, last)
    if after.status not in GOOD:
        raise _failure(world, after, last, DEPLOY)
    return Outcome(outcome.stack, nodes, outcome.changes, True, after.status)


def remove(world: World, console: Console, *, dry_run: bool = False) -> Outcome:
    """Delete the stack with all of its alarms. The nodes go on sending: `monitoring.cloudwatch` says that they do.

    :raises Refused: as `deploy`.
    :raises Failed: something could not be deleted; the error has the reasons.
    """
    stacks, name = world.cloud.stacks(), alarms.stack_name(world.settings)
    stack = _own_stack(world.settings, stacks.find_stack(name))
    if stack is None:
        return Outcome(name, (), (), False, "")
    gone = Change("Remove", name, "AWS::CloudFormation::Stack", False)
    console.show_changes(name, (gone,))
    if dry_run:
        return Outcome(name, (), (gone,), False, stack.status)
    console.confirm(f"delete stack {name} with all of its alarms?")
    last = _newest(stacks, stack.id)
    stacks.end_stack(stack.id, f"remove-{uuid.uuid4()}")
    after = _done(world, console, stack.id, last)
    if after.status != GONE:
        raise _failure(world, after, last, REMOVE)
    return Outcome(name, (), (gone,), True, "")


def _outcome(world: World, nodes: tuple[str, ...], question: Question) -> Outcome:
    return Outcome(alarms.stack_name(world.settings), nodes, question.proposal.changes, False, question.before)


@contextmanager
def _asked(world: World, nodes: tuple[str, ...]) -> Iterator[Question]:
    """Have CloudFormation work out a change set; what was not carried out is tidied away afterwards."""
    settings, stacks = world.settings, world.cloud.stacks()
    text, stack_name = alarms.text_of(alarms.template(settings, nodes)), alarms.stack_name(settings)
    stack = _ready(world, _own_stack(settings, stacks.find_stack(stack_name)))
    name = f"transcoder-{uuid.uuid4()}"
    stack_id = stacks.propose(stack_name, name, text, alarms.stack_tags(settings), new=stack is None)
    question = None
    try:
        question = Question(stack_id, name, stack.status if stack else "", _worked_out(world, stack_id, name))
        yield question
    except BaseException:
        # What went wrong is what the operator must read.
        with suppress(TranscoderError):
            _tidy(world, stack_id, name, question)
        raise
    _tidy(world, stack_id, name, question)


def _tidy(world: World, stack_id: str, name: str, question: Question | None) -> None:
    """Leave nothing of a change set that was not carried out: neither itself, nor a stack that was made for it."""
    if question is not None and question.carried_out:
        return
    stacks = world.cloud.stacks()
    stacks.drop_proposal(stack_id, name)
    stack = stacks.find_stack(stack_id)
    if stack is not None and stack.status == EMPTY:
        _delete_empty(world, stack_id)


def _delete_empty(world: World, stack_id: str) -> None:
    """Delete a stack that has nothing in it, and wait for that: its name can be taken again then."""
    stacks = world.cloud.stacks()
    stacks.end_stack(stack_id, f"tidy-{uuid.uuid4()}")

    def gone() -> bool:
        stack = stacks.find_stack(stack_id)
        return stack is None or stack.status == GONE

    world.wait(f"the empty stack {alarms.stack_name(world.settings)} is deleted", gone, PROPOSAL_BUDGET)


def _worked_out(world: World, stack_id: str, name: str) -> Proposal:
    """Wait for a change set.

    :raises Failed: when CloudFormation does not understand the template.
    """
    stacks = world.cloud.stacks()

    def look() -> Proposal | None:
        found = stacks.proposal(stack_id, name)
        return found if found.ready else None

    proposal = world.wait("CloudFormation has worked out the changes", look, PROPOSAL_BUDGET)
    if proposal.status == "FAILED" and not proposal.empty:
        raise Failed(
            f"CloudFormation refuses the template: {proposal.reason}", hint="invoke monitoring.deploy --dry-run"
        )
    return proposal


def _own_stack(settings: Settings, stack: Stack | None) -> Stack | None:
    """Refuse another environment's stack, and one that is being changed."""
    if stack is None:
        return None
    if stack.status != EMPTY and stack.tags.get(tags.ENVIRONMENT) != settings.name:
        owner = stack.tags.get(tags.ENVIRONMENT, "nobody's that it says")
        raise Refused(
            f"stack {stack.name} is not of environment {settings.name}: its tag {tags.ENVIRONMENT} is {owner}",
            hint=f"aws cloudformation describe-stacks --stack-name {stack.name}",
        )
    if stack.changing:
        raise Refused(f"stack {stack.name} is being changed ({stack.status})", hint="wait until it is done")
    return stack


def _ready(world: World, stack: Stack | None) -> Stack | None:
    """Return the stack to change, or None where one is to be made; what an earlier try left empty is deleted."""
    if stack is None:
        return None
    if stack.status in BROKEN:
        raise Refused(
            f"stack {stack.name} is broken ({stack.status}): it can only be deleted and made again",
            hint=f"{REMOVE}, then {DEPLOY}",
        )
    if stack.status == STUCK:
        raise Refused(
            f"stack {stack.name} could be neither changed nor changed back ({stack.status}): {stack.reason}",
            hint=f"aws cloudformation continue-update-rollback --stack-name {stack.name}, or {REMOVE}",
        )
    if stack.status == EMPTY:
        _delete_empty(world, stack.id)
        return None
    return stack


def _newest(stacks: Stacks, stack_id: str) -> str:
    events = stacks.stack_events(stack_id)
    return events[-1].id if events else ""


def _done(world: World, console: Console, stack_id: str, last: str) -> Stack:
    """Tell every event from now on, until CloudFormation is done with the stack."""
    stacks, told = world.cloud.stacks(), [last]
    look = _teller(stacks, console, stack_id, told)
    return world.wait(f"stack {alarms.stack_name(world.settings)} is done", look, STACK_BUDGET, every=EVERY)


def _teller(stacks: Stacks, console: Console, stack_id: str, told: list[str]) -> Callable[[], Stack | None]:
    def look() -> Stack | None:
        # The stack first: an event of before its end is not missed then.
        stack = stacks.find_stack(stack_id)
        for event in stacks.stack_events(stack_id, told[-1]):
            console.tell(event)
            told.append(event.id)
        return stack if stack is not None and not stack.changing and stack.status != EMPTY else None

    return look


def _failure(world: World, stack: Stack, last: str, again: str) -> Failed:
    """Return the error that says why: CloudFormation's own words of what failed first, not of what it undid then."""
    events = world.cloud.stacks().stack_events(stack.id, last)
    found = [f"{e.name} ({e.kind}): {e.reason}" for e in events if e.status.endswith("_FAILED") and e.reason]
    own = [each for each in found if "cancelled" not in each.lower()] or found or [stack.reason or "no reason is told"]
    text = "\n".join([f"stack {stack.name} ended as {stack.status}", *(f"  - {each}" for each in own)])
    return Failed(text, hint=_way(stack, again))


def _way(stack: Stack, again: str) -> str:
    """Return what to type when the cause is gone."""
    if stack.status == STUCK:
        return f"aws cloudformation continue-update-rollback --stack-name {stack.name}; then {again}"
    if stack.status in BROKEN and again != REMOVE:
        return f"{REMOVE}, then {again}"
    return f"when the cause is gone: {again}"
