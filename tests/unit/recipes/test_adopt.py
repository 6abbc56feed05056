"""Adopt: a volume made by hand after the reference becomes a node's, and keeps everything that is on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulated import disk
from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import KEY, KEYSTORE, Disk, Entry, by_hand, ours
from tests.simulated.world import NODE, OTHER_ZONE, Console, Simulation, perform
from transcoder import operate, tags
from transcoder.errors import Refused
from transcoder.layout import GETH, LIVEPEER, MARKER
from transcoder.model import Volume
from transcoder.recipes import adopt, attach

DEAD_PROCESS = 2**22 + 1


def take(volume: Volume, role: str = "livepeer") -> operate.Operation:
    return adopt.operation(adopt.Request(NODE, volume.id, role, "tc001"))


def furnished(content: Disk) -> tuple[Simulation, Volume]:
    sim = Simulation()
    sim.instance("tc001")
    volume = sim.volume(content)
    sim.forget()
    return sim, volume


def test_a_volume_of_the_reference_is_labelled_its_owners_mapped_marked_with_its_key_and_nothing_else() -> None:
    content = by_hand(LIVEPEER)
    content.needed().tree["/livepeer/root-owned"] = Entry(0o600, 0, 0, b"as it was")
    before = content.copy()
    sim, volume = furnished(content)
    perform(take(volume), sim)
    after = sim.disk(LIVEPEER).needed()
    assert after.label == LIVEPEER.label
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY
    assert set(after.tree) - set(before.needed().tree) == {f"/{MARKER}"}
    for path, entry in before.needed().tree.items():
        owner = 2101 if entry.uid == 1000 else entry.uid
        assert after.tree[path] == Entry(entry.mode, owner, owner if entry.gid == 1000 else entry.gid, entry.data)


def test_both_adopted_volumes_make_a_node_that_runs_with_the_old_key() -> None:
    sim, livepeer = furnished(by_hand(LIVEPEER))
    geth = sim.volume(by_hand(GETH))
    perform(take(livepeer), sim)
    perform(take(geth, "geth"), sim)
    assert sim.watcher.writers == {}, "adopting starts nothing"
    perform(attach.operation(attach.Request(NODE, "tc001")), sim)
    assert sim.machine("tc001").account == KEY
    assert sim.machine("tc001").held == set()


def test_adopting_twice_has_nothing_to_do() -> None:
    sim, volume = furnished(by_hand(LIVEPEER))
    perform(take(volume), sim)
    outcome, _ = perform(take(volume), sim)
    assert outcome.nothing_to_do


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (disk.with_xfs(), "it holds xfs, not ext4"),
        (disk.with_partitions(), "not ext4"),
        (disk.with_noise(), "it holds no file system, not ext4"),
        (disk.blank(), "it holds no file system, not ext4"),
        (disk.with_ext4("photos"), "its label is 'photos'"),
        (disk.with_ext4(), "it has no directory 'livepeer' at its root"),
        (ours(LIVEPEER, "tc009", KEY), "it carries the marker of node tc009 (livepeer)"),
        (by_hand(GETH), "it has no directory 'livepeer' at its root"),
    ],
)
def test_what_is_not_a_volume_of_the_reference_is_refused_and_keeps_every_byte(content: Disk, reason: str) -> None:
    copy = content.copy()
    sim, volume = furnished(copy)
    with pytest.raises(Refused) as caught:
        perform(take(volume), sim)
    assert any(reason in text for text in caught.value.reasons)
    assert copy.changes == 0
    assert sim.machine("tc001").mounts == {}
    assert sim.cloud.blocks[volume.id].attachment is None, "what this run attached is detached again"
    assert sim.machine("tc001").held == set()


def test_all_that_ec2_knows_against_it_is_told_at_once() -> None:
    sim, _ = furnished(by_hand(LIVEPEER))
    sim.volume(ours(LIVEPEER, NODE), LIVEPEER)
    other = sim.instance("other", zone=OTHER_ZONE)
    volume = sim.volume(by_hand(LIVEPEER), more={tags.NODE: "tc009"}, zone=OTHER_ZONE)
    sim.plug(volume, other, "/dev/sdf")
    with pytest.raises(Refused) as caught:
        perform(take(volume), sim)
    text = "\n".join(caught.value.reasons)
    for part in ("has a livepeer volume already", "tagged for node tc009", "it is in zone", "it is in use (attached)"):
        assert part in text
    assert sim.cloud.mutations == []


def test_a_keystore_with_two_accounts_is_the_operators_to_sort_out() -> None:
    content = by_hand(LIVEPEER)
    second = f"{KEYSTORE}/UTC--2027-01-01T00-00-00.0Z--{'ab' * 20}"
    content.needed().tree[second] = Entry(0o600, 1000, 1000, b"{}")
    sim, volume = furnished(content)
    with pytest.raises(Refused, match="several accounts"):
        perform(take(volume), sim)


def test_a_role_that_does_not_exist_is_refused() -> None:
    sim, volume = furnished(by_hand(LIVEPEER))
    with pytest.raises(Refused, match="neither of: livepeer, geth"):
        perform(take(volume, "root"), sim)


def test_a_volume_that_does_not_exist_is_refused() -> None:
    sim, volume = furnished(by_hand(LIVEPEER))
    with pytest.raises(Refused, match="vol-0bad does not exist"):
        perform(take(replace(volume, id="vol-0bad")), sim)


def test_tags_set_by_hand_do_not_stand_for_the_marker() -> None:
    sim, _ = furnished(disk.blank())
    volume = sim.volume(by_hand(LIVEPEER), LIVEPEER)
    perform(take(volume), sim)
    assert f"/{MARKER}" in sim.disk(LIVEPEER).needed().tree


def test_a_key_that_came_after_the_marker_is_written_into_it() -> None:
    content = by_hand(LIVEPEER)
    keys = [path for path in content.needed().tree if path.startswith(KEYSTORE)]
    later = {path: content.needed().tree.pop(path) for path in keys}
    sim, volume = furnished(content)
    perform(take(volume), sim)
    assert tags.ADDRESS not in sim.of(LIVEPEER).tags
    content.needed().tree.update(later)
    perform(take(volume), sim)
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY


def test_a_marker_whose_key_is_gone_keeps_its_address() -> None:
    content = by_hand(LIVEPEER)
    sim, volume = furnished(content)
    perform(take(volume), sim)
    for path in [path for path in content.needed().tree if path.startswith(KEYSTORE + "/")]:
        del content.needed().tree[path]
    outcome, _ = perform(take(volume), sim)
    assert outcome.nothing_to_do
    assert KEY.encode() in (content.needed().tree[f"/{MARKER}"].data or b"")


def test_a_dry_run_writes_nothing() -> None:
    sim, volume = furnished(by_hand(LIVEPEER))
    before = sim.everything()
    operate.preview(take(volume), sim.world, Console())
    assert sim.everything() == before
    assert (sim.cloud.mutations, sim.hosts.mutations) == ([], [])


def _changes() -> int:
    sim, volume = furnished(by_hand(LIVEPEER))
    counter = Cut(-1, after=False)
    operate.operate(take(volume), counter.world(sim), Console())
    return counter.changes


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(_changes()))
def test_broken_off_at_any_change_it_is_finished_by_the_same_command(at: int, after: bool) -> None:
    sim, volume = furnished(by_hand(LIVEPEER))
    with pytest.raises(ProcessDied):
        operate.operate(take(volume), Cut(at, after=after).world(sim), Console())
    sim.cloud.locks = {node: replace(lock, pid=DEAD_PROCESS) for node, lock in sim.cloud.locks.items()}
    perform(take(volume), sim)
    tree = sim.disk(LIVEPEER).needed().tree
    assert {entry.uid for path, entry in tree.items() if path.startswith("/livepeer")} == {2101}
    assert KEY.encode() in (tree[f"/{MARKER}"].data or b"")
    assert sim.of(LIVEPEER).tags[tags.ADDRESS] == KEY
