"""`fab logs`: what the services wrote to the journal, on one machine or on all of them, once or as it comes."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from transcoder import layout
from transcoder.errors import Refused, TranscoderError
from transcoder.facts import journal
from transcoder.facts.journal import Entry
from transcoder.model import Instance
from transcoder.parallel import Within, all_of
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.recipes.status import observe_nodes
from transcoder.world import World

PATIENCE = 60.0
"""Seconds that one machine may take to read its journal."""
POLL = 1.0
"""Seconds between two looks at a journal that is followed."""
SHORT = {data.role: data.service.unit for data in layout.VOLUMES}


@dataclass(frozen=True)
class Request:
    """Whose journal, and what of it. ``node`` and ``instance`` empty: of all nodes; ``unit`` empty: of the services.

    ``since`` is a time as journalctl takes it, ``lines`` how many at most of each machine.
    """

    node: str = ""
    instance: str = ""
    unit: str = ""
    since: str = "1 hour ago"
    lines: str = "200"


@dataclass(frozen=True)
class Source:
    """A machine whose journal is read. ``name`` is that of its node."""

    name: str
    instance: Instance
    units: tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """What a machine's journal has told. ``cursor`` is where to go on; ``problem`` why it has told nothing."""

    source: Source
    entries: tuple[Entry, ...]
    cursor: str = ""
    problem: str = ""


def sources(world: World, request: Request) -> tuple[Source, ...]:
    """Return the machines that are meant.

    :raises Refused: when there is none, or ``lines`` is no number.
    """
    if not request.lines.isdecimal():
        raise Refused(f"--lines {request.lines!r} is no number of lines", hint="fab logs --lines 200")
    if request.instance or request.node:
        name = request.node or world.settings.node.default
        facts = observe_node(world, name, even_gone=True)
        machine = facts.find(request.instance) if request.instance else facts.carrier
        if machine is None:
            raise Refused(f"no instance carries node {name}", hint="name one: fab logs --instance NAME")
        return (Source(machine.name if request.instance else name, machine, _units(request, facts)),)
    nodes = observe_nodes(world)
    found = [(facts, facts.carrier) for facts in nodes]
    carried = [Source(facts.name, machine, _units(request, facts)) for facts, machine in found if machine is not None]
    if not carried:
        raise Refused("no instance carries a node", hint="name one: fab logs --instance NAME")
    return tuple(carried)


def _units(request: Request, facts: NodeFacts) -> tuple[str, ...]:
    if request.unit:
        return (SHORT.get(request.unit, request.unit),)
    return tuple(data.service.unit for data in facts.parts)


def read(world: World, request: Request, chosen: Sequence[Source]) -> tuple[Piece, ...]:
    """Read the journals side by side; a machine that does not answer becomes the ``problem`` of its piece."""
    return all_of(lambda source: _read(world, request, source, ""), chosen)


def _read(world: World, request: Request, source: Source, cursor: str) -> Piece:
    newest = journal.newest(source.units, request.since, str(max(int(request.lines), 1)))
    command = journal.after(source.units, cursor) if cursor else newest
    try:
        text = Within(world.hosts(source.instance), world.clock, PATIENCE).run(*command).stdout
        found = journal.parse_journal(text, reverse=not cursor)
    except TranscoderError as error:
        return Piece(source, (), cursor, error.message)
    # Nobody wants an old line with --lines 0, but following goes on from one.
    told = found if cursor or int(request.lines) else ()
    return Piece(source, told, found[-1].cursor if found else cursor)


def merged(pieces: Sequence[Piece], *, named: bool) -> Iterator[str]:
    """Yield the lines of all machines in the order of their times; with ``named`` each begins with its node's name."""
    width = max((len(piece.source.name) for piece in pieces), default=0)
    for _, _, name, entry in heapq.merge(*(_timed(number, piece) for number, piece in enumerate(pieces))):
        for line in entry.lines():
            yield f"{name:<{width}}  {line}" if named else line


def _timed(number: int, piece: Piece) -> Iterator[tuple[int, tuple[int, int], str, Entry]]:
    """Yield each entry with its time."""
    time = 0
    for position, entry in enumerate(piece.entries):
        time = max(time, entry.at)  # a clock that was set back does not tear a journal apart
        yield time, (number, position), piece.source.name, entry


def follow(world: World, request: Request, chosen: Sequence[Source], tell: Callable[[Sequence[Piece]], None]) -> None:
    """Read the journals and then what comes, until Ctrl-C, which is the ordinary end of it.

    Each journal goes on where it was read to, so nothing is lost or told twice when a connection breaks. The same
    problem of a machine is told once.
    """
    pieces: tuple[Piece, ...] = tuple(Piece(source, ()) for source in chosen)
    told: dict[str, str] = {}
    try:
        while True:
            pieces = all_of(lambda piece: _read(world, request, piece.source, piece.cursor), pieces)
            news = [p for p in pieces if p.entries or (p.problem and p.problem != told.get(p.source.instance.id, ""))]
            told = {piece.source.instance.id: piece.problem for piece in pieces}
            tell(news)
            world.clock.sleep(POLL)
    except KeyboardInterrupt:
        return
