"""Faults that happen to a real machine: one of the stock image, with two volumes. In the order in which they stand."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import commands
from lab.disk import sparse_copy
from lab.faults import client as lab_faults
from tests.contract.conftest import REAL
from tests.contract.lab.test_faults import client_of
from transcoder import settings as settings_module
from transcoder.errors import Failed, Refused
from transcoder.settings import ROOT, Settings

pytestmark = [
    pytest.mark.skipif(REAL, reason="EC2 itself has no switch for what goes wrong"),
    pytest.mark.skipif(os.geteuid() != 0, reason="machines need root"),
]
BUDGET = 60.0
DEVICES = ("/dev/sdg", "/dev/sdh")


def wait_for(what: str, look: Callable[[], bool], seconds: float = BUDGET) -> None:
    """Poll until it is so; fail with its name."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"{what}: not so after {seconds:.0f} s"
        time.sleep(0.1)


@dataclass
class OneMachine:
    """A lab with one instance, and its two volumes."""

    settings: Settings
    ec2: Any
    instance: str
    address: str
    volumes: tuple[str, str]
    socket: Path
    """One SSH connection serves all commands: opening one takes a second."""

    def fault(self, name: str, on: bool, **options: Any) -> str:
        """Switch a fault."""
        return lab_faults.set_fault(self.settings, name, on, **options)

    def by_console(self, script: str, *, ok: tuple[int, ...] = (0,)) -> str:
        """Run a shell script as root by the lab's own way in, which no partition closes."""
        argv = commands.shell(self.settings, self.instance, f"sudo -n sh -ec '{script}'")
        at = argv.index("ssh") + 1
        argv[at:at] = ["-o", "ControlMaster=auto", "-o", f"ControlPath={self.socket}", "-o", "ControlPersist=300"]
        argv[at:at] = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=10"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode in ok, (script, done.returncode, done.stdout, done.stderr)
        return done.stdout.strip()

    def is_reachable(self) -> bool:
        """Tell whether an operator on the host gets sshd's greeting."""
        try:
            with socket.create_connection((self.address, 22), 1.0) as connection:
                connection.settimeout(1.0)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def attach(self, *which: int) -> None:
        """Attach volumes under their own names, and wait until the guest has them."""
        for number in which:
            self.ec2.attach_volume(VolumeId=self.volumes[number], InstanceId=self.instance, Device=DEVICES[number])
        wait_for("attached", lambda: {self.bond(number) for number in which} == {"attached"})
        for number in which:
            serial = self.volumes[number].replace("-", "")
            wait_for("seen", lambda serial=serial: serial in self.by_console("cat /sys/block/*/serial"))  # type: ignore[misc]

    def detach(self, *which: int) -> None:
        """Detach volumes, and wait until they are free."""
        for number in which:
            self.ec2.detach_volume(VolumeId=self.volumes[number])
        wait_for("detached", lambda: {self.bond(number) for number in which} == {""})

    def bond(self, number: int) -> str:
        """Return the state of an attachment."""
        found = self.ec2.describe_volumes(VolumeIds=[self.volumes[number]])["Volumes"][0]["Attachments"]
        return str(found[0]["State"]) if found else ""

    def state(self) -> str:
        """Return what EC2 says of the instance."""
        found = self.ec2.describe_instances(InstanceIds=[self.instance])["Reservations"][0]["Instances"][0]
        return str(found["State"]["Name"])

    def disk(self, number: int) -> Path:
        """Return the file behind a volume."""
        return commands.configuration_of(self.settings).state_directory / "disks" / f"{self.volumes[number]}.img"


def write_environment(directory: Path) -> Settings:
    """Write the environment of this lab: the shipped one with a name, a network and a port of its own."""
    text = (ROOT / "environments" / "lab.toml").read_text(encoding="utf-8")
    text = text.replace("/var/lib/transcoder-lab/lab/", "/var/lib/transcoder-lab/fault/")
    text = (
        text.replace('\nname = "lab"', '\nname = "fault"').replace("172.31.210", "172.31.212").replace("5620", "5612")
    )
    path = directory / "fault.toml"
    path.write_text(text, encoding="utf-8")
    return settings_module.load(str(path))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneMachine]:
    """Bring the lab and its machine up, and down again with a fault on: that must leave nothing."""
    settings = write_environment(tmp_path_factory.mktemp("faults"))
    commands.down(settings)
    ready = commands.up(settings, lambda _: None).ready
    try:
        ec2 = client_of(settings)
        made = launch(settings, ec2, ready.stock_image_id)
        yield made
        made.fault("partition", on=True)
        made.fault("power_off", on=True)
    finally:
        commands.down(settings)


def launch(settings: Settings, ec2: Any, image: str) -> OneMachine:
    """Launch the instance and give it two formatted volumes."""
    group = ec2.create_security_group(GroupName="ssh", Description="ssh")["GroupId"]
    everybody = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=everybody)
    launched = ec2.run_instances(
        ImageId=image, InstanceType="t3.nano", MinCount=1, MaxCount=1, KeyName="lab", SecurityGroupIds=[group]
    )["Instances"][0]
    volumes = [ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"] for _ in DEVICES]
    made = OneMachine(
        settings,
        ec2,
        launched["InstanceId"],
        launched["PrivateIpAddress"],
        (volumes[0], volumes[1]),
        settings.path.with_suffix(".ssh"),
    )
    wait_for("running", lambda: made.state() == "running")
    made.attach(0, 1)
    made.by_console("mkfs.ext4 -q /dev/xvdg; mkfs.ext4 -q /dev/xvdh; mkdir -p /mnt/one; mount /dev/xvdg /mnt/one")
    made.by_console("mkdir /mnt/one/livepeer; echo kept > /mnt/one/livepeer/file; sync")
    return made


def test_a_clock_is_off_and_right_again(machine: OneMachine) -> None:
    def ahead() -> float:
        return float(machine.by_console("date +%s")) - time.time()

    machine.fault("clock_skew", on=True, seconds=-3600, hold=True)
    assert ahead() == pytest.approx(-3600, abs=5)
    machine.fault("clock_skew", on=False)
    assert ahead() == pytest.approx(0, abs=5)


def test_a_file_system_is_full_to_the_last_block_for_root_too(machine: OneMachine) -> None:
    machine.fault("full_disk", on=True, volume=machine.volumes[0])
    assert machine.by_console("stat --file-system --format=%a /mnt/one") == "0"
    assert "No space" in machine.by_console("head -c 4096 /dev/zero > /mnt/one/more 2>&1 || echo No space")
    machine.by_console("rm -f /mnt/one/more")
    machine.fault("full_disk", on=False)
    machine.by_console("head -c 1000000 /dev/zero > /mnt/one/more; rm /mnt/one/more")
    assert machine.by_console("cat /mnt/one/livepeer/file; ls /mnt/one").split() == ["kept", "livepeer", "lost+found"]


def test_a_volume_that_is_not_mounted_cannot_be_filled(machine: OneMachine) -> None:
    with pytest.raises(Failed, match="not mounted"):
        machine.fault("full_disk", on=True, volume=machine.volumes[1])


def test_a_machine_without_the_stand_in_cannot_be_slow_to_stop(machine: OneMachine) -> None:
    with pytest.raises(Failed, match="no geth"):
        machine.fault("slow_stop", on=True)


def test_a_partition_hangs_open_connections_and_the_machine_goes_on(machine: OneMachine) -> None:
    with socket.create_connection((machine.address, 22), 5.0) as connection:
        assert connection.recv(64).startswith(b"SSH-")
        machine.fault("partition", on=True)
        assert not machine.is_reachable()
        connection.sendall(b"SSH-2.0-test\r\n")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(64)
        gateway = commands.configuration_of(machine.settings).gateway
        assert machine.by_console(f"ping -c 1 -W 2 {gateway} > /dev/null && echo reached") == "reached"
        machine.fault("partition", on=False)
        connection.settimeout(10.0)
        assert connection.recv(64), "a connection that was open goes on"
    assert machine.is_reachable()


def test_a_file_system_is_damaged_and_restored_byte_for_byte(machine: OneMachine) -> None:
    with pytest.raises(Refused, match="which runs"):
        machine.fault("corrupt_filesystem", on=True, volume=machine.volumes[0])
    machine.by_console("umount /mnt/one")
    machine.detach(0)
    before = machine.disk(0).with_suffix(".before")
    sparse_copy(machine.disk(0), before)
    machine.fault("corrupt_filesystem", on=True, volume=machine.volumes[0])
    check = subprocess.run(["e2fsck", "-pn", str(machine.disk(0))], capture_output=True, check=False)
    assert check.returncode != 0
    machine.fault("corrupt_filesystem", on=False)
    subprocess.run(["cmp", str(machine.disk(0)), str(before)], check=True)


def test_e2fsck_refuses_what_is_damaged_and_repairs_the_milder_kind(machine: OneMachine) -> None:
    for severity, code in (("mild", 1), ("severe", 4)):
        machine.fault("corrupt_filesystem", on=True, volume=machine.volumes[0], severity=severity)
        machine.attach(0)
        assert machine.by_console("e2fsck -p /dev/xvdg > /dev/null 2>&1 || echo $?") == str(code)
        machine.by_console("e2fsck -fy /dev/xvdg > /dev/null 2>&1 || true; e2fsck -fn /dev/xvdg > /dev/null")
        machine.detach(0)
        assert "0 of" in machine.fault("corrupt_filesystem", on=False)
    machine.attach(0)
    machine.by_console("mount /dev/xvdg /mnt/one")
    assert machine.by_console("cat /mnt/one/livepeer/file") == "kept"
    machine.by_console("umount /mnt/one")
    machine.detach(0, 1)


def test_disks_come_under_each_others_names_with_true_serials(machine: OneMachine) -> None:
    machine.fault("wrong_device_order", on=True)
    machine.attach(0, 1)
    for number, name in ((0, "xvdh"), (1, "xvdg")):
        serial = machine.by_console(f"lsblk --nodeps --noheadings --output SERIAL /dev/{name}")
        assert serial == machine.volumes[number].replace("-", "")
    machine.detach(0, 1)
    machine.fault("wrong_device_order", on=False)


def test_disks_come_without_serials_as_on_xen(machine: OneMachine) -> None:
    machine.fault("wrong_device_order", on=True, no_serial=True)
    for number in (0, 1):
        machine.ec2.attach_volume(VolumeId=machine.volumes[number], InstanceId=machine.instance, Device=DEVICES[number])
    wait_for("named", lambda: machine.by_console("test -e /dev/xvdg -a -e /dev/xvdh && echo yes || true") == "yes")
    assert machine.by_console("lsblk --nodeps --noheadings --output SERIAL /dev/xvdg /dev/xvdh") == ""
    known = machine.by_console("ls /dev/disk/by-id")
    assert not [volume for volume in machine.volumes if volume.replace("-", "") in known]
    machine.by_console("mount /dev/xvdh /mnt/one; cat /mnt/one/livepeer/file; umount /mnt/one")
    machine.detach(0, 1)
    machine.fault("wrong_device_order", on=False)


def test_the_guest_never_sees_a_disk_whose_attachment_hangs(machine: OneMachine) -> None:
    machine.fault("stuck_attaching", on=True, volume=machine.volumes[0])
    machine.ec2.attach_volume(VolumeId=machine.volumes[0], InstanceId=machine.instance, Device=DEVICES[0])
    time.sleep(1.5)  # twice as long as an attachment of this lab takes
    assert machine.bond(0) == "attaching"
    assert machine.by_console("test -e /dev/xvdg || echo nothing") == "nothing"
    machine.detach(0)
    machine.fault("stuck_attaching", on=False)


def test_a_power_cut_loses_what_was_not_synced_and_nothing_else(machine: OneMachine) -> None:
    machine.attach(0)
    machine.by_console("mount /dev/xvdg /mnt/one")
    machine.by_console("echo synced > /mnt/one/synced; sync; head -c 100000 /dev/urandom > /mnt/one/unsynced")
    machine.fault("power_off", on=True)
    assert machine.state() == "running"
    assert not machine.is_reachable()
    with pytest.raises(Refused, match="is off"):
        machine.fault("clock_skew", on=True, seconds=5)
    said = machine.fault("power_off", on=False)
    assert "booted" in said
    assert machine.is_reachable()
    machine.by_console("mount /dev/xvdg /mnt/one")
    assert machine.by_console("cat /mnt/one/synced") == "synced"
    assert machine.by_console("stat --format=%s /mnt/one/unsynced 2> /dev/null || echo 0") == "0"
    assert machine.by_console("cat /mnt/one/livepeer/file") == "kept"
