"""The simulated world is as strict as EC2 and a baked machine: a test that passes in it means something."""

from __future__ import annotations

import pytest

from tests.simulated.cloud import Answer
from tests.simulated.disk import KEY, blank, ours, with_xfs
from tests.simulated.watcher import InvariantBroken
from tests.simulated.world import NODE, OTHER_ZONE, ZONE, Simulation
from transcoder.errors import Failed, Unreachable
from transcoder.layout import GETH, LIVEPEER, VOLUMES
from transcoder.world import VolumeRequest


def code_of(sim: Simulation, volume_id: str, instance_id: str, device: str = "/dev/sdg") -> str:
    with pytest.raises(Answer) as caught:
        sim.cloud.attach(volume_id, instance_id, device)
    return caught.value.code


def test_attaching_is_refused_with_ec2s_codes() -> None:
    sim = Simulation()
    one, two = sim.instance("one"), sim.instance("two")
    used, free, far = sim.volume(blank()), sim.volume(blank()), sim.volume(blank(), zone=OTHER_ZONE)
    sim.plug(used, one, "/dev/sdg")
    assert code_of(sim, used.id, two.id) == "VolumeInUse"
    assert code_of(sim, free.id, one.id) == "InvalidParameterValue"
    assert code_of(sim, far.id, two.id) == "InvalidVolume.ZoneMismatch"
    assert code_of(sim, "vol-none", two.id) == "InvalidVolume.NotFound"
    creating = sim.cloud.create_volume(VolumeRequest(ZONE, 1, "gp2", True, "token", {}))
    assert code_of(sim, creating.id, two.id) == "IncorrectState"


def test_the_same_token_gives_the_same_volume() -> None:
    sim, request = Simulation(), VolumeRequest(ZONE, 1, "gp2", True, "token", {})
    assert sim.cloud.create_volume(request).id == sim.cloud.create_volume(request).id
    assert len(sim.cloud.blocks) == 1


def test_attaching_and_detaching_take_time() -> None:
    sim = Simulation()
    instance, volume = sim.instance("one"), sim.volume(blank())
    states = []
    sim.cloud.attach(volume.id, instance.id, "/dev/sdg")
    for _ in range(4):
        bond = sim.cloud.blocks[volume.id].attachment
        states.append(bond.state if bond else "")
        sim.clock.sleep(0.5)
    assert states == ["attaching"] * 3 + ["attached"]
    sim.cloud.detach(volume.id, instance.id)
    assert sim.cloud.blocks[volume.id].state == "in-use"
    sim.clock.sleep(1.5)
    assert sim.cloud.blocks[volume.id].state == "available"


def test_a_mounted_volume_stays_busy_until_it_is_unmounted() -> None:
    sim = Simulation()
    instance = sim.node()
    volume = sim.of(GETH)
    sim.cloud.detach(volume.id, instance.id)
    sim.clock.sleep(30.0)
    bond = sim.cloud.blocks[volume.id].attachment
    assert bond is not None
    assert bond.state == "busy"
    sim.machine(NODE).stop(GETH.mount_unit)
    sim.clock.sleep(2.0)
    assert sim.cloud.blocks[volume.id].state == "available"


def test_a_node_comes_up_by_itself_when_its_volumes_are_plugged_in() -> None:
    sim = Simulation()
    instance = sim.instance("one")
    for data, device in ((LIVEPEER, "/dev/sdg"), (GETH, "/dev/sdh")):
        sim.plug(sim.volume(ours(data, NODE, KEY), data), instance, device)
    sim.clock.sleep(5.0)
    assert [sim.machine("one").unit(data.service.unit).active for data in VOLUMES] == ["active", "active"]


def test_a_held_node_does_not() -> None:
    sim = Simulation()
    instance = sim.instance("one")
    sim.machine("one").held |= {LIVEPEER.mount_unit, GETH.service.unit}
    for data, device in ((LIVEPEER, "/dev/sdg"), (GETH, "/dev/sdh")):
        sim.plug(sim.volume(ours(data, NODE, KEY), data), instance, device)
    sim.clock.sleep(5.0)
    assert set(sim.machine("one").mounts) == {GETH.mount}
    assert [sim.machine("one").unit(data.service.unit).active for data in VOLUMES] == ["inactive", "inactive"]


def test_a_service_does_not_start_without_its_key_or_on_another_roles_volume() -> None:
    sim = Simulation()
    instance = sim.instance("one")
    disk = ours(LIVEPEER, NODE, KEY)
    for path in [path for path in disk.needed().tree if "UTC--" in path]:
        del disk.needed().tree[path]
    sim.plug(sim.volume(ours(GETH, NODE), GETH), instance, "/dev/sdh")
    sim.plug(sim.volume(disk, LIVEPEER), instance, "/dev/sdg")
    assert sim.machine("one").unit(LIVEPEER.service.unit).active == "failed"
    assert "no key of" in sim.machine("one").journal[LIVEPEER.service.unit][0]


def test_two_livepeers_with_one_key_are_noticed_at_once() -> None:
    sim = Simulation()
    sim.node()
    twin = sim.instance("twin")
    sim.plug(sim.volume(ours(GETH, NODE)), twin, "/dev/sdh")
    with pytest.raises(InvariantBroken, match="two livepeers run with"):
        sim.plug(sim.volume(ours(LIVEPEER, NODE, KEY)), twin, "/dev/sdg")


def test_a_livepeer_whose_volume_is_on_its_way_out_is_noticed_at_once() -> None:
    sim = Simulation()
    instance = sim.node()
    sim.cloud.detach(sim.of(LIVEPEER).id, instance.id)
    with pytest.raises(InvariantBroken, match="is detaching"):
        sim.clock.sleep(1.0)


def test_records_grow_only_while_livepeer_runs() -> None:
    sim = Simulation()
    sim.node()
    count = len(sim.disk(LIVEPEER).records())
    sim.clock.sleep(2.0)
    assert len(sim.disk(LIVEPEER).records()) == count + 4
    sim.machine(NODE).stop(LIVEPEER.service.unit)
    sim.clock.sleep(2.0)
    assert len(sim.disk(LIVEPEER).records()) == count + 4
    sim.assert_nothing_lost()


def test_an_unknown_command_line_is_a_mistake_that_names_it() -> None:
    sim = Simulation()
    host = sim.hosts(sim.instance("one"))
    with pytest.raises(AssertionError, match="umount /d1"):
        host.run("umount", "/d1")
    with pytest.raises(AssertionError, match="needs root"):
        host.run("systemctl", "start", "d1.mount", sudo=False)


def test_a_command_that_ends_with_another_code_is_a_failure_and_a_silent_machine_is_unreachable() -> None:
    sim = Simulation()
    instance = sim.instance("one")
    with pytest.raises(Failed, match=r"ended with 1: Job for d1\.mount failed"):
        sim.hosts(instance).run("systemctl", "start", "d1.mount")
    sim.machine("one").faults.unreachable = True
    with pytest.raises(Unreachable):
        sim.hosts(instance).run("systemctl", "start", "d1.mount")


def test_mkfs_asks_nobody() -> None:
    """Off a terminal mkfs.ext4 overwrites what is there and exits 0: the proof must be the library's."""
    sim = Simulation()
    instance, volume = sim.instance("one"), sim.volume(with_xfs())
    sim.plug(volume, instance, "/dev/sdg")
    device = sim.machine("one").devices[volume.id]
    sim.hosts(instance).run("mkfs.ext4", "-q", "-m", "0", "-L", "x", device)
    assert sim.cloud.disks[volume.id].needed().type == "ext4"


def test_a_machine_that_loses_its_power_forgets_its_holds_and_starts_again_by_itself() -> None:
    sim = Simulation()
    instance = sim.node()
    sim.machine(NODE).held.add(LIVEPEER.service.unit)
    sim.cloud.set_state(instance.id, "stopped")
    sim.clock.sleep(1.0)
    assert sim.watcher.writers == {}
    sim.cloud.set_state(instance.id, "running")
    sim.clock.sleep(15.0)
    sim.assert_served_by(NODE)
    sim.assert_nothing_lost()
