"""What the control plane makes of machines that do not do as told. The driver is a puppet; everything else is real."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from lab import serving
from lab.bootstrap import ensure_key
from lab.configuration import LabConfiguration
from lab.control_plane import ControlPlane
from lab.drivers import BootPlan, DeviceInUse, ExitListener, MachineFailed
from lab.drivers.none import NoMachines
from tests.contract.conftest import LATENCIES, REAL, free_port
from tests.contract.ec2.conftest import Ec2, eventually, refused
from transcoder.errors import Unreachable

pytestmark = pytest.mark.skipif(REAL, reason="the machines are puppets")


class Puppets(NoMachines):
    """Machines that keep devices open, end by themselves, or never come up, as the test wants."""

    def __init__(self) -> None:
        super().__init__("puppets")
        self.mounted: set[str] = set()
        self.broken = False
        self.dumb = 0
        self.heeds_its_button = threading.Event()
        self.heeds_its_button.set()
        self.powerless = threading.Event()
        self.boots: list[BootPlan] = []
        self.listener: ExitListener = lambda *_: None

    def listen(self, listener: ExitListener) -> None:
        """Remember who wants to know."""
        self.listener = listener

    def boot(self, plan: BootPlan) -> bool:
        """Boot, or fail."""
        if self.broken:
            raise MachineFailed("the host has no memory left")
        self.boots.append(plan)
        return super().boot(plan)

    def shut_down(self, instance_id: str, *, graceful: bool) -> None:
        """Take as long as the test wants, unless the power is cut."""
        if not graceful:
            self.powerless.set()
        while not (self.heeds_its_button.is_set() or self.powerless.wait(0.01)):
            pass
        super().shut_down(instance_id, graceful=graceful)

    def unplug(self, instance_id: str, volume_id: str) -> None:
        """Refuse while mounted; do not answer as often as the test wants."""
        if self.dumb:
            self.dumb -= 1
            raise Unreachable("the machine's management console does not answer")
        if self.running(instance_id) and volume_id in self.mounted:
            raise DeviceInUse(volume_id)
        super().unplug(instance_id, volume_id)

    def ends(self, instance_id: str, how: str) -> None:
        """Let a machine end by itself, as its supervisor thread would tell."""
        self.shut_down(instance_id, graceful=False)
        threading.Thread(target=self.listener, args=(instance_id, how)).start()


@pytest.fixture
def puppets() -> Puppets:
    """Return the driver."""
    return Puppets()


@pytest.fixture
def world(puppets: Puppets, tmp_path: Path) -> Iterator[Ec2]:
    """Serve a control plane over the puppets in this process."""
    table = {"machines": "none", "endpoint_port": free_port(), "state_root": tmp_path, "latency": "test"}
    configuration = LabConfiguration.model_validate(table | {"latencies": {"test": LATENCIES}})
    plane = ControlPlane(configuration, puppets)
    image_id = plane.bootstrap(puppets.prepare(lambda _: None), ensure_key(configuration.key_file))
    server = serving.EndpointServer(serving.listen("127.0.0.1", configuration.endpoint_port), plane)
    serving.serve(server, "endpoint")
    client = boto3.client(
        "ec2",
        region_name=configuration.region,
        endpoint_url=configuration.endpoint_url,
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
    )
    try:
        yield Ec2(client, configuration.zones, image_id, "t3.nano")
    finally:
        client.close()
        server.shutdown()
        server.server_close()
        plane.close()


def test_a_mounted_volume_stays_busy_until_it_is_unmounted(world: Ec2, puppets: Puppets) -> None:
    volume, instance = world.volume(), world.instance()
    world.attach(volume, instance)
    puppets.mounted.add(volume)
    world.client.detach_volume(VolumeId=volume)
    eventually(lambda: world.attachment(volume), "busy")
    with refused("VolumeInUse"):
        world.client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdh")
    assert world.describe_volume(volume)["State"] == "in-use"
    puppets.mounted.clear()
    world.await_volume(volume, "available")


def test_a_machine_that_loses_its_power_while_a_disk_is_unplugged_gives_the_volume_up(
    world: Ec2, puppets: Puppets
) -> None:
    volume, instance = world.volume(), world.instance()
    world.attach(volume, instance)
    puppets.dumb = 1
    world.client.detach_volume(VolumeId=volume)
    world.await_volume(volume, "available")


def test_force_does_not_take_a_mounted_volume_away(world: Ec2, puppets: Puppets) -> None:
    volume, instance = world.volume(), world.instance()
    world.attach(volume, instance)
    puppets.mounted.add(volume)
    with refused("UnsupportedOperation", saying="mounted"):
        world.client.detach_volume(VolumeId=volume, Force=True)
    assert world.attachment(volume) == "attached"


def test_a_stop_lets_a_busy_volume_go(world: Ec2, puppets: Puppets) -> None:
    volume, instance = world.volume(), world.instance()
    world.attach(volume, instance)
    puppets.mounted.add(volume)
    world.client.detach_volume(VolumeId=volume)
    eventually(lambda: world.attachment(volume), "busy")
    world.client.stop_instances(InstanceIds=[instance])
    world.await_volume(volume, "available")


def test_a_volume_that_is_being_detached_is_still_in_use(world: Ec2, puppets: Puppets) -> None:
    volume, holder, other = world.volume(), world.instance(), world.instance()
    world.attach(volume, holder)
    puppets.mounted.add(volume)
    world.client.detach_volume(VolumeId=volume, InstanceId=holder)
    assert world.attachment(volume) in ("detaching", "busy")
    for instance in (holder, other):
        with refused("VolumeInUse", "IncorrectState"):
            world.client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdh")
    free = world.volume()
    with refused("InvalidParameterValue", saying="already in use"):
        world.client.attach_volume(VolumeId=free, InstanceId=holder, Device="/dev/sdg")


def test_a_stopped_instance_keeps_its_mounted_volumes_and_gives_them_up(world: Ec2, puppets: Puppets) -> None:
    volume, instance = world.volume(), world.instance()
    world.attach(volume, instance)
    puppets.mounted.add(volume)
    world.client.stop_instances(InstanceIds=[instance])
    world.await_instance(instance, "stopped")
    assert world.attachment(volume) == "attached"
    world.client.detach_volume(VolumeId=volume, InstanceId=instance)
    world.await_volume(volume, "available")
    world.attach(volume, world.instance())


def test_a_forced_stop_cuts_the_power_of_an_instance_that_does_not_stop(world: Ec2, puppets: Puppets) -> None:
    instance = world.instance()
    puppets.heeds_its_button.clear()
    world.client.stop_instances(InstanceIds=[instance])
    change = world.client.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("stopping", "stopping")
    assert not puppets.powerless.wait(0.3)
    world.client.stop_instances(InstanceIds=[instance], Force=True)
    world.await_instance(instance, "stopped")
    assert puppets.powerless.is_set()


def test_a_guest_that_powers_off_stops_its_instance(world: Ec2, puppets: Puppets) -> None:
    instance = world.instance()
    puppets.ends(instance, "halt")
    world.await_instance(instance, "stopped")
    assert world.describe(instance)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_a_guest_that_powers_off_terminates_its_instance_when_told_so(world: Ec2, puppets: Puppets) -> None:
    instance = world.instance(InstanceInitiatedShutdownBehavior="terminate")
    puppets.ends(instance, "halt")
    world.await_instance(instance, "terminated")


def test_a_guest_that_reboots_comes_back_with_its_disks(world: Ec2, puppets: Puppets) -> None:
    volume, instance = world.volume(), world.instance()
    world.attach(volume, instance)
    puppets.ends(instance, "reboot")
    eventually(lambda: len(puppets.boots), 2)
    assert [disk.volume_id for disk in puppets.boots[-1].disks] == [volume]
    assert world.describe(instance)["State"]["Name"] == "running"


def test_a_machine_that_crashes_is_impaired_and_can_be_stopped_and_started(world: Ec2, puppets: Puppets) -> None:
    instance = world.instance()
    puppets.ends(instance, "crash")
    eventually(lambda: health(world, instance), "impaired")
    world.client.stop_instances(InstanceIds=[instance])
    world.await_instance(instance, "stopped")
    world.client.start_instances(InstanceIds=[instance])
    world.await_instance(instance, "running")
    eventually(lambda: health(world, instance), "ok")


def test_a_launch_that_fails_ends_terminated_with_a_reason_and_leaves_no_volume(world: Ec2, puppets: Puppets) -> None:
    puppets.broken = True
    instance = world.instance(state="terminated")
    reason = world.describe(instance)["StateReason"]
    assert reason["Code"] == "Server.InternalError"
    assert "no memory left" in reason["Message"]
    assert world.client.describe_volumes()["Volumes"] == []


def test_a_start_that_fails_ends_stopped_with_its_volumes(world: Ec2, puppets: Puppets) -> None:
    instance = world.instance()
    world.client.stop_instances(InstanceIds=[instance])
    world.await_instance(instance, "stopped")
    puppets.broken = True
    world.client.start_instances(InstanceIds=[instance])
    eventually(lambda: world.describe(instance)["StateReason"].get("Code"), "Server.InternalError")
    assert world.describe(instance)["State"]["Name"] == "stopped"
    assert len(world.describe(instance)["BlockDeviceMappings"]) == 1


def test_security_groups_reach_the_wires_and_groups_stand_for_their_members(world: Ec2, puppets: Puppets) -> None:
    group = world.client.create_security_group(GroupName="nodes", Description="nodes")["GroupId"]
    first, second = (world.instance(SecurityGroupIds=[group]) for _ in range(2))
    world.client.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]},
        ],
    )
    members = {member.instance_id: member for member in puppets.wiring.members}
    addresses = {f"{members[each].private_ip}/32" for each in (first, second)}
    rules = members[first].ingress
    assert {rule.source for rule in rules if rule.protocol == "-1"} == addresses
    assert [(rule.from_port, rule.to_port, rule.source) for rule in rules if rule.protocol == "tcp"] == [
        (22, 22, "10.0.0.0/8")
    ]
    world.client.revoke_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
    )
    members = {member.instance_id: member for member in puppets.wiring.members}
    assert not [rule for rule in members[first].ingress if rule.protocol == "tcp"]


def test_an_elastic_ip_leads_to_whoever_holds_it(world: Ec2, puppets: Puppets) -> None:
    first, second = world.instance(), world.instance()
    address = world.client.allocate_address(Domain="vpc")
    for holder in (first, second):
        world.client.associate_address(InstanceId=holder, AllocationId=address["AllocationId"])
        way = (address["PublicIp"], world.describe(holder)["PrivateIpAddress"])
        eventually(lambda: puppets.wiring.elastic, (way,))


def health(world: Ec2, instance_id: str) -> str:
    """Return the status check of an instance."""
    statuses = world.client.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
    return str(statuses[0]["InstanceStatus"]["Status"]) if statuses else ""
