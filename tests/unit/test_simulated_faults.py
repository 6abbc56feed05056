"""What can go wrong in the simulated world goes wrong as it does at EC2 and on a machine, and can be set right."""

from __future__ import annotations

import pytest

from tests.simulated.cloud import Answer
from tests.simulated.disk import KEY, blank, ours
from tests.simulated.faults import Error
from tests.simulated.lanes import Order, ordered
from tests.simulated.watcher import InvariantBroken
from tests.simulated.world import NODE, OTHER_ZONE, ZONE, Simulation
from transcoder.errors import Failed, NameTaken, NotReady, Refused, Unreachable
from transcoder.facts import chronyc, livepeer_api
from transcoder.facts.lsblk import COMMAND, parse_lsblk
from transcoder.guest import find_device
from transcoder.layout import GETH, LIVEPEER, VOLUMES
from transcoder.model import Attachment, Snapshot
from transcoder.world import ApiCall, Command, VolumeRequest


def bond_of(sim: Simulation, volume_id: str) -> str:
    bond = sim.cloud.blocks[volume_id].attachment
    return bond.state if bond else ""


def test_what_ec2_cant_do_now_and_a_name_in_use_are_kinds_of_errors() -> None:
    sim = Simulation()
    one, two = sim.instance("one"), sim.instance("two")
    used, free = sim.volume(blank()), sim.volume(blank())
    sim.plug(used, one, "/dev/sdg")
    with pytest.raises(NotReady):
        sim.cloud.attach(used.id, two.id, "/dev/sdg")
    with pytest.raises(NameTaken):
        sim.cloud.attach(free.id, one.id, "/dev/sdg")


def test_a_stop_ends_the_programs_in_order_and_the_volumes_stay_attached() -> None:
    sim = Simulation()
    instance = sim.node()
    sim.cloud.stop(instance.id)
    states = []
    for _ in range(6):
        states.append(sim.cloud.machines[instance.id].state)
        sim.clock.sleep(1.0)
    assert states == ["stopping"] * 5 + ["stopped"]
    assert all(sim.of(data).attached_to(instance.id) for data in VOLUMES)
    assert sim.watcher.writers == {}
    assert not sim.disk(LIVEPEER).dirty
    sim.assert_nothing_lost()


def test_a_forced_stop_cuts_the_power_and_what_was_not_synced_is_gone() -> None:
    sim = Simulation()
    instance = sim.node()
    written, synced = sim.watcher.written[sim.of(LIVEPEER).id], sim.watcher.acknowledged[sim.of(LIVEPEER).id]
    sim.cloud.faults.hanging.add(instance.id)
    sim.cloud.stop(instance.id)
    sim.clock.sleep(60.0)
    assert sim.cloud.machines[instance.id].state == "stopping"
    assert sim.watcher.writers != {}, "it hangs in its shutdown, and still writes"
    sim.cloud.stop(instance.id, force=True)
    sim.clock.sleep(6.0)
    assert sim.cloud.machines[instance.id].state == "stopped"
    assert len(sim.disk(LIVEPEER).records()) >= sim.watcher.acknowledged[sim.of(LIVEPEER).id] > synced
    assert written == synced + 1
    assert sim.disk(LIVEPEER).dirty
    sim.assert_nothing_lost()


def test_a_machine_without_power_runs_for_ec2_and_comes_up_by_itself_when_it_has_power_again() -> None:
    sim = Simulation()
    instance = sim.node()
    before = len(sim.disk(LIVEPEER).records())
    sim.machine(NODE).faults.powered_off = True
    sim.clock.sleep(5.0)
    assert sim.cloud.machines[instance.id].state == "running"
    assert len(sim.disk(LIVEPEER).records()) == before - 1, "the last record was in the page cache"
    with pytest.raises(Unreachable):
        sim.hosts(instance).run("date", "+%s.%N", sudo=False)
    sim.machine(NODE).faults.powered_off = False
    sim.clock.sleep(15.0)
    sim.assert_served_by(NODE)
    sim.assert_nothing_lost()


def test_a_machine_that_nobody_reaches_goes_on_writing() -> None:
    sim = Simulation()
    sim.node()
    sim.machine(NODE).faults.unreachable = True
    before = len(sim.disk(LIVEPEER).records())
    sim.clock.sleep(5.0)
    assert len(sim.disk(LIVEPEER).records()) > before


def test_a_forced_detachment_of_what_is_mounted_is_noticed() -> None:
    sim = Simulation()
    instance = sim.node()
    sim.cloud.force_detach(sim.of(GETH).id, instance.id)
    with pytest.raises(InvariantBroken, match="pulled out"):
        sim.clock.sleep(5.0)


def test_a_detachment_that_sticks_ends_by_force_and_an_attachment_that_sticks_by_a_detachment() -> None:
    sim = Simulation()
    instance, volume = sim.instance("one"), sim.volume(blank())
    sim.plug(volume, instance, "/dev/sdg")
    sim.cloud.faults.stuck_detaching.add(volume.id)
    sim.cloud.detach(volume.id, instance.id)
    sim.clock.sleep(300.0)
    assert bond_of(sim, volume.id) == "detaching"
    sim.cloud.force_detach(volume.id, instance.id)
    sim.clock.sleep(2.0)
    assert sim.cloud.blocks[volume.id].state == "available"

    sim.cloud.faults.stuck_devices.add("/dev/sdg")
    sim.cloud.attach(volume.id, instance.id, "/dev/sdg")
    sim.clock.sleep(300.0)
    assert bond_of(sim, volume.id) == "attaching"
    sim.cloud.faults.stuck_detaching.clear()
    sim.cloud.detach(volume.id, instance.id)
    sim.clock.sleep(2.0)
    sim.cloud.attach(volume.id, instance.id, "/dev/sdh")
    sim.clock.sleep(2.0)
    assert bond_of(sim, volume.id) == "attached"


def stored(sim: Simulation, volume_id: str) -> Snapshot:
    snapshot = sim.cloud.create_snapshot(volume_id, {"a": "b"})
    sim.clock.sleep(7.0)
    return sim.cloud.snapshots(ids=[snapshot.id])[0]


def test_a_snapshot_takes_its_time_and_holds_what_was_on_the_disk_when_it_was_asked_for() -> None:
    sim = Simulation()
    sim.node()
    volume = sim.of(LIVEPEER)
    synced = sim.watcher.acknowledged[volume.id]
    snapshot = sim.cloud.create_snapshot(volume.id, {})
    request = VolumeRequest(OTHER_ZONE, 1, "gp2", True, "token", {}, snapshot.id)
    with pytest.raises(NotReady, match="IncorrectState"):
        sim.cloud.create_volume(request)
    sim.clock.sleep(10.0)
    copy = sim.cloud.create_volume(request)
    assert (copy.zone, copy.snapshot_id) == (OTHER_ZONE, snapshot.id)
    assert len(sim.cloud.disks[copy.id].records()) == synced, "the page cache of a running machine is not on its disk"
    assert sim.cloud.disks[copy.id].dirty


def test_a_snapshot_is_copied_and_deleted_and_found_by_its_tags() -> None:
    sim = Simulation()
    snapshot = stored(sim, sim.volume(ours(GETH)).id)
    copied = sim.cloud.copy_snapshot(snapshot.id, "us-east-1", {"c": "d"})
    assert [found.id for found in sim.cloud.snapshots(tags={"c": "d"})] == [copied.id]
    with pytest.raises(NotReady):
        sim.cloud.copy_snapshot(copied.id, "us-east-1", {})
    sim.cloud.delete_snapshot(snapshot.id)
    assert [found.id for found in sim.cloud.snapshots()] == [copied.id]


def test_a_livepeer_that_starts_on_an_older_copy_is_noticed() -> None:
    sim = Simulation()
    sim.node()
    snapshot = stored(sim, sim.of(LIVEPEER).id)
    copy = sim.cloud.create_volume(VolumeRequest(ZONE, 1, "gp2", True, "token", {}, snapshot.id))
    sim.cloud.stop(sim.machine(NODE).instance_id)
    twin = sim.instance("twin")
    sim.plug(sim.volume(ours(GETH, NODE)), twin, "/dev/sdh")
    with pytest.raises(InvariantBroken, match="were synced"):
        sim.plug(copy, twin, "/dev/sdg")


def test_a_volume_is_deleted_only_when_it_is_free_and_its_records_are_elsewhere() -> None:
    sim = Simulation()
    instance = sim.node()
    volume = sim.of(LIVEPEER)
    with pytest.raises(NotReady, match="VolumeInUse"):
        sim.cloud.delete_volume(volume.id)
    sim.cloud.stop(instance.id)
    sim.clock.sleep(6.0)
    sim.cloud.detach(volume.id, instance.id)
    sim.clock.sleep(2.0)
    with pytest.raises(InvariantBroken, match="no other volume has"):
        sim.cloud.delete_volume(volume.id)


def test_a_token_makes_one_thing_only() -> None:
    sim = Simulation()
    sim.cloud.create_volume(VolumeRequest(ZONE, 1, "gp2", True, "token", {}))
    with pytest.raises(Answer, match="IdempotentParameterMismatch"):
        sim.cloud.create_volume(VolumeRequest(ZONE, 2, "gp2", True, "token", {}))


def test_what_is_not_permitted_is_told_by_a_look_and_refused_when_it_is_done() -> None:
    sim = Simulation()
    instance, volume = sim.instance("one"), sim.volume(blank())
    call = ApiCall("AttachVolume", {"VolumeId": volume.id})
    assert sim.cloud.denial(call) == ""
    sim.cloud.denied.add("AttachVolume")
    assert "AttachVolume is not permitted" in sim.cloud.denial(call)
    with pytest.raises(Refused):
        sim.cloud.attach(volume.id, instance.id, "/dev/sdg")
    assert [each.name for each in sim.cloud.mutations] == ["attach"]


def test_the_nth_call_fails_before_or_after_it_took_effect() -> None:
    sim = Simulation()
    instance, one, two = sim.instance("one"), sim.volume(blank()), sim.volume(blank())
    sim.cloud.faults.errors += [Error("attach", 0), Error("attach", 1, after=True)]
    for volume, device, state in ((one, "/dev/sdg", ""), (two, "/dev/sdh", "attaching")):
        with pytest.raises(Unreachable):
            sim.cloud.attach(volume.id, instance.id, device)
        assert bond_of(sim, volume.id) == state
    sim.cloud.attach(one.id, instance.id, "/dev/sdg")


def test_a_throttled_ec2_answers_nothing_from_some_call_on() -> None:
    sim = Simulation()
    sim.cloud.faults.throttled_from = 1
    sim.cloud.volumes()
    for _ in range(2):
        with pytest.raises(Unreachable, match="RequestLimitExceeded"):
            sim.cloud.volumes()
    sim.cloud.faults.heal()
    sim.cloud.volumes()


def test_reads_that_lag_show_what_was_and_flapping_ones_now_and_then() -> None:
    sim = Simulation()
    instance, volume = sim.instance("one"), sim.volume(blank())
    sim.plug(volume, instance, "/dev/sdg")
    sim.cloud.faults.lag, sim.cloud.faults.flapping = 3.0, (True, False)
    sim.clock.sleep(5.0)
    sim.cloud.detach(volume.id, instance.id)
    sim.clock.sleep(2.0)
    shown = [sim.cloud.volumes(ids=[volume.id])[0].attachment for _ in range(4)]
    assert shown == [Attachment(instance.id, "/dev/sdg", "attached"), None] * 2
    sim.clock.sleep(3.0)
    assert sim.cloud.volumes(ids=[volume.id])[0].attachment is None


def test_e2fsck_tells_what_it_found_and_repairs_what_needs_no_question() -> None:
    sim = Simulation()
    instance, volume = sim.instance("one"), sim.volume(ours(GETH))
    disk, host = sim.cloud.disks[volume.id], sim.hosts(instance)
    sim.machine("one").held.add(GETH.mount_unit)
    sim.plug(volume, instance, "/dev/sdg")
    device = sim.machine("one").devices[volume.id]
    disk.dirty, disk.untidy = True, True
    assert "recovering journal" in host.run("e2fsck", "-p", device).stdout
    assert host.run("e2fsck", "-p", device).stdout == f"{device}: clean, 11/16384 files, 9513/65536 blocks\n"
    assert host.run("e2fsck", "-p", "-f", device, ok=(1,)).exit_code == 1
    assert "FIXED" not in host.run("e2fsck", "-f", "-p", device).stdout
    disk.damaged = True
    assert "RUN fsck MANUALLY" in host.run("e2fsck", "-p", device, ok=(4,)).stdout
    host.run("e2fsck", "-y", device, ok=(1,))
    host.run("e2fsck", "-p", device)


def test_a_machine_tells_its_clock_its_programs_and_the_round() -> None:
    sim = Simulation()
    host, machine = sim.hosts(sim.node()), sim.machine(NODE)
    machine.faults.clock_offset = 90.0
    assert float(host.run("date", "+%s.%N", sudo=False).stdout) == pytest.approx(sim.clock.now() + 90)
    tracking = chronyc.parse_chronyc(host.run(*chronyc.COMMAND, sudo=False).stdout)
    assert tracking.worst_error > 80
    machine.faults.unsynchronised = True
    assert not chronyc.parse_chronyc(host.run(*chronyc.COMMAND, sudo=False).stdout).synchronised
    machine.programs["geth"] = "1.8.13"
    assert '"version": "1.8.13"' in host.run("cat", "/etc/transcoder/release.json", sudo=False).stdout
    sim.rounds.current = 1341
    assert host.run(*livepeer_api.command("/currentRound", "http://127.0.0.1:8935"), sudo=False).stdout == "1341"


def test_a_batch_ends_at_the_first_command_that_ends_badly() -> None:
    sim = Simulation()
    host = sim.hosts(sim.node())
    with pytest.raises(Failed, match=r"geth\.service\.new"):
        host.run_all(
            Command(("systemctl", "stop", LIVEPEER.service.unit)),
            Command(("sync", "/d2/geth.service.new")),
            Command(("systemctl", "stop", GETH.service.unit)),
        )
    assert [sim.machine(NODE).unit(data.service.unit).active for data in VOLUMES] == ["inactive", "active"]


def test_no_record_is_acknowledged_on_a_full_disk_and_no_file_is_written() -> None:
    sim = Simulation()
    host = sim.hosts(sim.node())
    sim.machine(NODE).faults.full.add("/d1")
    sim.clock.sleep(1.0)
    before = sim.watcher.acknowledged[sim.of(LIVEPEER).id]
    sim.clock.sleep(5.0)
    assert sim.watcher.acknowledged[sim.of(LIVEPEER).id] == before
    with pytest.raises(Failed, match="No space left on device"):
        host.run("install", "-m", "0644", "/dev/stdin", "/d1/.transcoder.json.new", stdin="x")


@pytest.mark.parametrize("fault", ["without_serials", "swapped_names"])
def test_disks_without_serials_or_in_another_order_are_known_by_their_labels(fault: str) -> None:
    sim = Simulation(nitro=fault == "without_serials")
    instance = sim.instance("one")
    machine = sim.machine("one")
    setattr(machine.faults, fault, True)
    for data, device in ((LIVEPEER, "/dev/sdg"), (GETH, "/dev/sdh")):
        sim.plug(sim.volume(ours(data, NODE, KEY), data), instance, device)
    devices = parse_lsblk(sim.hosts(instance).run(*COMMAND, sudo=False).stdout)
    for data in VOLUMES:
        found = find_device(devices, sim.of(data))
        assert found is not None
        assert found.path == machine.devices[sim.of(data).id]
        assert found.path != sim.of(data).attachment.device.replace("/dev/sd", "/dev/xvd")  # type: ignore[union-attr]


def test_geth_takes_the_time_it_needs_to_stop_and_the_operator_waits_no_longer_than_he_said() -> None:
    sim = Simulation()
    host = sim.hosts(sim.node())
    sim.machine(NODE).faults.geth_stop_takes = 100.0
    with pytest.raises(Unreachable, match="has not ended after 60 s"):
        host.run("systemctl", "stop", GETH.service.unit, timeout=60)
    assert sim.machine(NODE).unit(GETH.service.unit).active == "active"
    sim.clock.sleep(41.0)
    assert sim.machine(NODE).unit(GETH.service.unit).active == "inactive"


def test_waits_in_several_lanes_overlap_and_the_highest_priority_goes_first() -> None:
    sim = Simulation()
    said: list[str] = []
    with ordered(sim, Order((1, 2))) as lanes:

        def lane(name: str, seconds: float) -> None:
            said.append(f"{name} begins")
            sim.clock.sleep(seconds)
            said.append(f"{name} ends")

        before = sim.clock.monotonic()
        threads = [lanes.thread(target=lane, args=arguments) for arguments in (("low", 3.0), ("high", 5.0))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sim.clock.monotonic() - before == pytest.approx(5.0)
    assert said == ["high begins", "low begins", "low ends", "high ends"]


def test_what_must_not_be_is_raised_even_while_all_lanes_wait() -> None:
    sim = Simulation()
    instance = sim.node()
    sim.cloud.detach(sim.of(LIVEPEER).id, instance.id)
    with pytest.raises(InvariantBroken, match="is detaching"), ordered(sim, Order()):
        sim.clock.sleep(1.0)
