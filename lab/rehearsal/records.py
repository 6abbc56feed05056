"""The numbered records of livepeer's stand-in: were all that were written found again?

A line of ``records.log`` is ``<number> <unix time, milliseconds> <crc32 of both, 8 hex digits>``. The stand-in syncs
each line before it begins the next, numbers them from 1 without a gap and goes on after a restart, so the file itself
shows loss, and the journal of the machine that was left says up to which number it had written.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

PATH = "/d1/livepeer/.lpData/records.log"
_WROTE = re.compile(r"Stand-in: wrote records up to number (\d+)")
_RESUMED = re.compile(r"Stand-in: writing records from number (\d+)")
SHOWN = 10
"""How many damaged places a report lists at most."""


@dataclass(frozen=True)
class Record:
    """A good line."""

    number: int
    time: float


@dataclass(frozen=True)
class Scan:
    """A file: its good records in order, the lines that are none, and whether its last line has no end.

    A last line without an end is one that was being written while the file was read, or one that a power loss tore.
    """

    records: tuple[Record, ...]
    damaged: tuple[str, ...] = ()
    unfinished: str = ""

    @property
    def last(self) -> int:
        """The highest number; 0 when there is no record."""
        return max((record.number for record in self.records), default=0)

    @property
    def gaps(self) -> tuple[str, ...]:
        """The numbers from 1 to the last that are missing, as ``7`` or ``7-9``."""
        numbers = sorted({0, *(record.number for record in self.records)})
        pairs = pairwise(numbers)
        return tuple(
            str(before + 1) if after == before + 2 else f"{before + 1}-{after - 1}"
            for before, after in pairs
            if after > before + 1
        )

    @property
    def repeated(self) -> tuple[int, ...]:
        """The numbers that are there more than once."""
        seen: set[int] = set()
        found: dict[int, None] = {}
        for record in self.records:
            if record.number in seen:
                found[record.number] = None
            seen.add(record.number)
        return tuple(found)

    @property
    def disordered(self) -> tuple[int, ...]:
        """The numbers that follow a higher one."""
        pairs = pairwise(self.records)
        return tuple(after.number for before, after in pairs if after.number < before.number)

    @property
    def longest_pause(self) -> float:
        """The longest time between two records, in seconds: what the move cost in writing."""
        pairs = pairwise(self.records)
        return max((after.time - before.time for before, after in pairs), default=0.0)

    def problems(self) -> tuple[str, ...]:
        """Say what is wrong with the file; nothing when it is whole."""
        found = [f"missing: {', '.join(self.gaps[:SHOWN])}"] if self.gaps else []
        found += [f"more than once: {_listed(self.repeated)}"] if self.repeated else []
        found += [f"out of order: {_listed(self.disordered)}"] if self.disordered else []
        found += [f"no record: {line!r}" for line in self.damaged[:SHOWN]]
        return tuple(found)


@dataclass(frozen=True)
class Kept:
    """Written and found. ``written`` up to the stop says the old machine's journal, None where it does not.

    ``known`` is the highest number that was read, and so was synced, before the migration began; ``found`` the highest
    one that the volume held when livepeer started anew; ``total`` those in the file in the end.
    """

    known: int
    written: int | None
    found: int | None
    total: int
    pause_seconds: float
    problems: tuple[str, ...] = ()


def parse(text: str) -> Scan:
    """Read a file of records, whatever state it is in."""
    *lines, rest = text.split("\n")
    read = [(line, parse_line(line)) for line in lines]
    good = tuple(record for _, record in read if record)
    return Scan(good, tuple(line for line, record in read if record is None), rest)


def parse_line(line: str) -> Record | None:
    """Return the record that a line is, None when it is none or its checksum is wrong."""
    text, _, checksum = line.rpartition(" ")
    match = re.fullmatch(r"(\d+) (\d+\.\d+)", text, re.ASCII)
    if match is None or checksum != f"{zlib.crc32(text.encode()):08x}":
        return None
    return Record(int(match[1]), float(match[2]))


def last_written(journal: str) -> int | None:
    """Return the number that the stand-in named when it last stopped, from its journal."""
    return _last_number(_WROTE, journal)


def resumed_from(journal: str) -> int | None:
    """Return the number with which the stand-in last began, from its journal."""
    return _last_number(_RESUMED, journal)


def _last_number(pattern: re.Pattern[str], journal: str) -> int | None:
    found = pattern.findall(journal)
    return int(found[-1]) if found else None


def _listed(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return ", ".join(str(number) for number in numbers[:SHOWN]) + more
