"""What the watcher has seen, as frozen data. Times are ``time.monotonic`` of this machine, in seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A machine at a moment: the accounts of its livepeer processes, and the highest number in its records.

    :param mounted: the device at /d1, or nothing.
    :param record: 0 where none was read. It may be on its way to the disk; the one before it is synced.
    """

    at: float
    accounts: tuple[str, ...] = ()
    mounted: str = ""
    record: int = 0


@dataclass(frozen=True)
class Holders:
    """Which machines have a volume open, as the host sees it in the machines' own processes: no network, no gap."""

    at: float
    by_volume: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Bonds:
    """What EC2 says: the instance that each volume is attached to (or on its way to); free ones are left out."""

    at: float
    by_volume: Mapping[str, str]


@dataclass(frozen=True)
class Seen:
    """A cell's watch. ``machines`` has the samples of each instance in order; ``off`` its times without power."""

    machines: Mapping[str, tuple[Sample, ...]]
    holders: tuple[Holders, ...]
    bonds: tuple[Bonds, ...]
    off: Mapping[str, tuple[tuple[float, float], ...]]


def parse_sample(line: str, offset: float) -> Sample:
    """Read a line of the sampler inside a machine.

    :param offset: what to add to the machine's uptime to have this machine's clock.
    """
    data = json.loads(line)
    accounts = tuple(account for _, account in data["livepeers"])
    return Sample(float(data["up"]) + offset, accounts, str(data["d1"]), int(data["record"]))


def uptime_of(line: str) -> float:
    """Return the uptime that a line of the sampler names."""
    return float(json.loads(line)["up"])


def highest_record(samples: Sequence[Sample]) -> int:
    """Return the highest number seen; 0 when none was."""
    return max((sample.record for sample in samples), default=0)
