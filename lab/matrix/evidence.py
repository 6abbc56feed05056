"""Judges what the watcher has seen: were there ever two writers, and were all synced records found?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from lab.matrix.samples import Bonds, Holders, Sample, Seen, highest_record

ALIVE_GAP = 1.0
"""Seconds between two samples of a machine up to which a process seen in both is taken to have lived in between."""


@dataclass(frozen=True)
class Interval:
    """A time from ``began`` to ``ended``."""

    began: float
    ended: float

    def overlap(self, other: Interval) -> float:
        """Return for how many seconds both were; negative when they were apart."""
        return min(self.ended, other.ended) - max(self.began, other.began)


def two_writers(seen: Seen, *, trust_cloud: bool = True) -> tuple[str, ...]:
    """Return every moment with two writers, in words; nothing is what is wanted.

    :param trust_cloud: EC2's answers tell the truth; not so while a fault lets them lag.
    """
    found = [*_two_processes(seen.machines), *_two_holders(seen.holders)]
    if trust_cloud:
        found += _strangers(seen.holders, seen.bonds)
    return tuple(found)


def _two_processes(machines: Mapping[str, Sequence[Sample]]) -> Iterator[str]:
    lives = {name: tuple(alive(samples)) for name, samples in machines.items()}
    for (one, ours), (other, theirs) in combinations(sorted(lives.items()), 2):
        for a in ours:
            for b in theirs:
                if a.overlap(b) >= 0:
                    yield f"livepeer lived on {one} and {other} at once, for {a.overlap(b):.1f} s at least"


def alive(samples: Sequence[Sample]) -> Iterator[Interval]:
    """Yield the times in which a livepeer process is known to have lived: from a sample with it to the last such."""
    began = last = None
    for sample in samples:
        if last is not None and (not sample.accounts or sample.at - last > ALIVE_GAP):
            yield Interval(began or last, last)
            began = last = None
        if sample.accounts:
            began, last = began if began is not None else sample.at, sample.at
    if last is not None:
        yield Interval(began or last, last)


def _two_holders(holders: Sequence[Holders]) -> Iterator[str]:
    told: set[tuple[str, frozenset[str]]] = set()
    for look in holders:
        for volume, machines in look.by_volume.items():
            if len(machines) > 1 and (volume, machines) not in told:
                told.add((volume, machines))
                yield f"{volume} was open on {' and '.join(sorted(machines))} at once"


def _strangers(holders: Sequence[Holders], bonds: Sequence[Bonds]) -> Iterator[str]:
    """Yield where a machine has a volume open that EC2 says is at another one, before and after the look."""
    told: set[tuple[str, str, str]] = set()
    for before, after in pairwise(bonds):
        steady = {v: i for v, i in before.by_volume.items() if after.by_volume.get(v) == i}
        for look in holders:
            if before.at < look.at < after.at:
                for what in _open_elsewhere(look, steady):
                    if what not in told:
                        told.add(what)
                        yield "{} was open on {}, while EC2 had it at {}".format(*what)


def _open_elsewhere(look: Holders, bonds: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for volume, instance in bonds.items():
        for holder in sorted(look.by_volume.get(volume, frozenset()) - {instance}):
            yield volume, holder, instance


def blind(seen: Seen, limit: float = 3.0) -> tuple[str, ...]:
    """Return the times in which a machine was on but not sampled: there the open disks alone are the proof."""
    return tuple(
        f"{name}: no sample for {after.at - before.at:.1f} s"
        for name, samples in seen.machines.items()
        for before, after in pairwise(samples)
        if after.at - before.at > limit and not _was_off(seen, name, before.at, after.at)
    )


def _was_off(seen: Seen, name: str, began: float, ended: float) -> bool:
    gap = Interval(began, ended)
    return any(Interval(*off).overlap(gap) > 0 for off in seen.off.get(name, ()))


def synced(seen: Seen) -> int:
    """Return the highest record that is known to have been on disk: the one before the highest that was read.

    livepeer's stand-in syncs each record before it begins the next.
    """
    return max([highest_record(samples) for samples in seen.machines.values()] + [1]) - 1
