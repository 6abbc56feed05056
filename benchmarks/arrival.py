"""Has the node arrived? Looked at after any command that moved it: all that makes it the node it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.arena import Arena
from lab.rehearsal import look, records
from transcoder import layout
from transcoder.actions.services import livepeer_address
from transcoder.errors import TranscoderError
from transcoder.model import Instance
from transcoder.recipes.node import NodeFacts


@dataclass(frozen=True)
class Before:
    """The node before the move: its key files by digest, and the last record that was synced; 0: it writes none."""

    identity: Mapping[str, str]
    last_record: int


def look_before(arena: Arena, source: Instance, *, writes_records: bool) -> Before:
    """Look at the node on the machine that it will leave."""
    host = arena.host(source)
    return Before(dict(look.identity(host)), look.records_tail(host).last if writes_records else 0)


def problems(arena: Arena, before: Before, source: Instance, target: Instance) -> tuple[str, ...]:
    """Return what is wrong with the node on ``target``; nothing when it is healthy, itself, and has all records."""
    facts = arena.facts()
    missing = [*_volumes(facts, target)]
    found = [*missing, *_address(facts, target)]
    if not missing:  # else the machine has nothing to show
        found += _as_far_as_it_answers(_on_machine(arena, before, target))
        if before.last_record:
            found += _as_far_as_it_answers(_records(arena, before, source, target))
    return tuple(found)


def _as_far_as_it_answers(looks: Iterator[str]) -> Iterator[str]:
    """Yield what looks find; a machine that does not answer is a finding too."""
    try:
        yield from looks
    except TranscoderError as error:
        yield error.message


def _volumes(facts: NodeFacts, target: Instance) -> Iterator[str]:
    for data in layout.VOLUMES:
        volume = facts.volume(data)
        if volume is None or not volume.attached_to(target.id):
            bond = volume.attachment if volume else None
            yield f"the {data.role} volume is {f'{bond.state} at {bond.instance_id}' if bond else 'at no machine'}"


def _address(facts: NodeFacts, target: Instance) -> Iterator[str]:
    if facts.address is None or facts.address.instance_id != target.id:
        yield f"the Elastic IP is at {facts.address.instance_id or 'no machine' if facts.address else 'nobody'}"


def _on_machine(arena: Arena, before: Before, target: Instance) -> Iterator[str]:
    host = arena.host(target)
    for shown in (look.mounted_by_label(host), look.services_are(host, "active")):
        if not shown.as_claimed:
            yield shown.text.replace("\n", "; ")
    account = livepeer_address(host, arena.settings)
    if account.lower() != arena.account.lower():
        yield f"livepeer answers as {account or 'nobody'} instead of {arena.account}"
    if dict(look.identity(host)) != before.identity:
        yield "the key files are not those from before"


def _records(arena: Arena, before: Before, source: Instance, target: Instance) -> Iterator[str]:
    """Compare what the source wrote with what the target found: more when livepeer was started there more than once.

    A livepeer that was killed does not say what it wrote; what was synced before the move is known anyway.
    """
    journal = look.livepeer_journal(arena.host(target))
    resumed = records.resumed_from(journal)
    found = resumed - 1 if resumed is not None else 0
    written = records.last_written(look.livepeer_journal(arena.host(source)))
    if written is not None and found < written:
        yield f"records: {written} written, {found} found"
    if found < before.last_record:
        yield f"records: {before.last_record} were synced before the move, {found} found"
    yield from (f"records: {problem}" for problem in look.all_records(arena.host(target)).problems())
