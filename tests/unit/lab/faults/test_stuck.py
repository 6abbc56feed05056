"""Which attachments and detachments hang, and what a machine that boots meanwhile gets of them."""

from __future__ import annotations

from lab.drivers import BootPlan, DiskPlan
from lab.faults.seams import Seams
from lab.faults.stuck import Stuck
from lab.faults.wrong_device_order import swapped

ROOT = DiskPlan("vol-root", "/dev/sda1")


def plan(*disks: DiskPlan) -> BootPlan:
    """Return a machine with these data disks."""
    return BootPlan("i-1", "172.31.212.10", "02:00:00:00:00:01", ROOT, disks)


def test_the_first_name_is_spoilt_for_good_and_the_next_one_works() -> None:
    stuck = Stuck(volume="vol-1", count=1)
    assert stuck("vol-1", "i-1", "/dev/sdg")
    assert not stuck("vol-1", "i-1", "/dev/sdh")
    assert stuck("vol-1", "i-1", "/dev/sdg")


def test_another_volume_is_not_touched() -> None:
    assert not Stuck(volume="vol-1")("vol-2", "i-1", "/dev/sdg")


def test_a_name_can_be_spoilt_whatever_is_attached() -> None:
    stuck = Stuck(device="/dev/sdg")
    assert stuck("vol-1", "i-1", "/dev/sdg")
    assert stuck("vol-2", "i-2", "/dev/sdg")
    assert not stuck("vol-1", "i-1", "/dev/sdh")


def test_a_machine_boots_without_what_hangs() -> None:
    seams, stuck = Seams(), Stuck(volume="vol-1")
    seams.attaching.put(stuck, stuck)
    booted = seams.boot(plan(DiskPlan("vol-1", "/dev/sdg"), DiskPlan("vol-2", "/dev/sdh")), frozenset())
    assert [disk.volume_id for disk in booted.disks] == ["vol-2"]


def test_a_machine_boots_without_what_it_has_let_go() -> None:
    seams, stuck = Seams(), Stuck(volume="vol-1")
    seams.detaching.put(stuck, stuck)
    disks = (DiskPlan("vol-1", "/dev/sdg"),)
    assert seams.boot(plan(*disks), frozenset()).disks == disks
    assert seams.boot(plan(*disks), frozenset({"vol-1"})).disks == ()


def test_names_are_swapped_in_pairs() -> None:
    assert [swapped(name) for name in ("/dev/sdg", "/dev/sdh", "/dev/xvdi", "/dev/sdj")] == [
        "/dev/sdh",
        "/dev/sdg",
        "/dev/xvdj",
        "/dev/sdi",
    ]
    assert all(swapped(swapped(f"/dev/sd{letter}")) == f"/dev/sd{letter}" for letter in "bcdefghijklmnop")
