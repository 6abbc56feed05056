from __future__ import annotations

from lab.matrix.evidence import blind, synced, two_writers
from lab.matrix.samples import Bonds, Holders, Sample, Seen, parse_sample

A, B, VOLUME = "i-a", "i-b", "vol-1"
ACCOUNT = ("0xab",)


def lives(*times: float, record: int = 0) -> tuple[Sample, ...]:
    """Return samples with livepeer at these times."""
    return tuple(Sample(at, ACCOUNT, "/dev/ubdb", record) for at in times)


def dead(*times: float) -> tuple[Sample, ...]:
    """Return samples without it."""
    return tuple(Sample(at) for at in times)


def seen(
    a: tuple[Sample, ...] = (),
    b: tuple[Sample, ...] = (),
    holders: tuple[Holders, ...] = (),
    bonds: tuple[Bonds, ...] = (),
    off: dict[str, tuple[tuple[float, float], ...]] | None = None,
) -> Seen:
    """Return what a watcher has seen."""
    return Seen({A: a, B: b}, holders, bonds, off or {})


def held(at: float, *machines: str) -> Holders:
    """Return a look at who has the volume open."""
    return Holders(at, {VOLUME: frozenset(machines)})


def test_one_after_the_other_is_no_moment_with_two_writers() -> None:
    assert not two_writers(seen(lives(1.0, 1.3) + dead(1.6), dead(1.0, 1.3) + lives(2.0, 2.3)))


def test_two_processes_at_once_are_two_writers() -> None:
    found = two_writers(seen(lives(1.0, 1.3, 1.6), lives(1.5, 1.8)))
    assert len(found) == 1
    assert "at once" in found[0]


def test_a_process_is_not_taken_to_live_through_a_time_that_nobody_saw() -> None:
    assert not two_writers(seen(lives(1.0) + lives(9.0), lives(4.0, 4.3)))


def test_a_volume_open_on_two_machines_is_two_writers_also_when_nobody_was_sampled() -> None:
    found = two_writers(seen(holders=(held(1.0, A), held(1.1, A, B), held(1.2, A, B), held(1.3, B))))
    assert found == (f"{VOLUME} was open on {A} and {B} at once",)


def test_a_machine_that_has_open_what_ec2_has_elsewhere_is_found() -> None:
    bonds = (Bonds(1.0, {VOLUME: B}), Bonds(1.5, {VOLUME: B}))
    strange = seen(holders=(held(1.2, A),), bonds=bonds)
    assert two_writers(strange) == (f"{VOLUME} was open on {A}, while EC2 had it at {B}",)
    assert not two_writers(strange, trust_cloud=False)


def test_a_volume_on_its_way_is_not_held_against_ec2s_older_answer() -> None:
    assert not two_writers(seen(holders=(held(1.2, A),), bonds=(Bonds(1.0, {VOLUME: B}), Bonds(1.5, {VOLUME: A}))))


def test_a_gap_is_told_unless_the_machine_had_no_power() -> None:
    gap = dead(1.0) + dead(9.0)
    assert blind(seen(a=gap)) == (f"{A}: no sample for 8.0 s",)
    assert not blind(seen(a=gap, off={A: ((2.0, 2.1), (2.1, 8.0))}))


def test_the_record_before_the_last_that_was_read_is_known_to_be_on_the_disk() -> None:
    assert synced(seen(lives(1.0, record=41) + lives(1.3, record=57), dead(1.0))) == 56
    assert synced(seen()) == 0


def test_a_line_of_the_sampler_is_placed_on_our_clock() -> None:
    line = '{"up": 12.5, "livepeers": [[7, "0xab"]], "d1": "/dev/ubdb", "record": 9}'
    assert parse_sample(line, 100.0) == Sample(112.5, ("0xab",), "/dev/ubdb", 9)
