"""Machines, disks and network of the lab, on real machines; no control plane.

The tests of this file share machines and go on from each other's state only through the fixtures below.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import authority, base_image, machine, ntp, process_group, serving
from lab.machine import DeviceBusy
from lab.network import Network, Rule
from tests.contract.lab.rig import ANYBODY_BY_SSH, NETWORK, Host, Rig, wait_for
from transcoder.errors import Failed, Refused

pytestmark = pytest.mark.lab

CACHE = Path("/var/cache/transcoder-lab")
ROOT_OF_PROJECT = Path(__file__).parents[3]
PUBLIC = "172.31.211.160"
ASK_THE_TIME = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); "
    f's.sendto(bytes([0x23]) + bytes(47), (\\"{ntp.ADDRESS}\\", {ntp.PORT})); print(s.recv(48).hex())'
)
"""A client's packet of version 4, for the guest's Python, in double quotes."""
BY_ID = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_"


def say(line: str) -> None:
    """Progress, seen with ``pytest -s``."""
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    certificate = authority.ensure(CACHE).certificate_pem
    image = base_image.ensure("ubuntu-18.04", CACHE, certificate, say)
    rig = Rig(tmp_path_factory.mktemp("rig"), image)
    try:
        yield rig
    finally:
        rig.close()


@pytest.fixture(scope="module")
def first(rig: Rig) -> Host:
    host = rig.host("i-0first", 10)
    host.be("i-0first", "#!/bin/sh\necho ran >>/root/user-data\necho said to the log\n")
    return host


@pytest.fixture
def up(rig: Rig, first: Host) -> Host:
    """The first machine, running, open for SSH."""
    rig.admit(first.guest(ANYBODY_BY_SSH))
    if not first.machine.running:
        first.boot()
    return first


def test_a_machine_is_ready_for_its_key_s_owner_within_seconds(rig: Rig, first: Host) -> None:
    rig.admit(first.guest(ANYBODY_BY_SSH))
    seconds = first.boot()
    say(f"first log-in after {seconds:.1f} s")
    assert seconds < 30
    assert first.run("hostname") == "ip-172-31-211-10"
    assert first.ssh("id -un && sudo -n id -un").stdout.split() == [rig.image.user, "root"]


def test_a_new_instance_is_set_up_as_cloud_init_would(up: Host) -> None:
    assert wait_for(lambda: up.sees("/var/lib/cloud/instance/boot-finished"), 20)
    assert up.run("cat /var/lib/cloud/data/instance-id") == "i-0first"
    assert up.run("cat /root/user-data") == "ran"
    assert up.run("cat /var/log/cloud-init-output.log") == "said to the log"
    assert int(up.run("df --output=size -BM / | tail -1").rstrip("M")) > 8500, "the root has grown to its 9 GiB"


def test_the_machine_settles_without_a_failed_unit(up: Host) -> None:
    assert wait_for(lambda: up.ssh("systemctl is-system-running").stdout.strip() == "running", 20), up.run(
        "systemctl --failed --no-legend"
    )


def test_apt_reaches_the_distribution_s_own_mirror(up: Host) -> None:
    up.run("apt-get -qq update && apt-get -qq install -y --no-install-recommends jq >/dev/null && jq --version")


def test_aws_names_lead_to_the_lab_and_the_authority_is_trusted(up: Host) -> None:
    assert up.run("getent ahostsv4 ec2.us-east-1.amazonaws.com | head -1").split()[0] == "172.31.211.1"
    assert up.run("openssl verify /usr/local/share/ca-certificates/transcoder-lab.crt").endswith("OK")


def test_the_time_service_has_the_host_s_time(rig: Rig, up: Host) -> None:
    server = ntp.TimeServer(rig.network.bind_datagrams(ntp.ADDRESS, ntp.PORT))
    serving.serve(server, "time")
    try:
        before = time.time()
        answer = bytes.fromhex(up.run(f'python3 -c "{ASK_THE_TIME}"'))
        after = time.time()
    finally:
        server.shutdown()
        server.server_close()
    seconds = int.from_bytes(answer[40:44], "big") - ntp.EPOCH_OFFSET
    assert int(before) <= seconds <= int(after)


def test_a_plugged_volume_has_ec2_s_names_and_serial(rig: Rig, up: Host) -> None:
    up.machine.plug(rig.blank("vol-0plug", "/dev/sdg"))
    assert wait_for(lambda: up.sees("/dev/xvdg"), 5)
    assert up.run(f"readlink -f /dev/xvdg {BY_ID}vol0plug").split() == ["/dev/ubdb"] * 2
    assert up.run("lsblk -dno SERIAL /dev/xvdg") == "vol0plug"
    assert up.machine.plugged == ("vol-0plug",)


def test_a_label_made_in_the_machine_appears_at_once_and_brings_its_device_unit(up: Host) -> None:
    up.run("mkfs.ext4 -q -L first-label /dev/xvdg")
    assert wait_for(lambda: up.sees("/dev/disk/by-label/first-label"), 5)
    up.run("e2label /dev/xvdg other-label")
    assert wait_for(lambda: up.sees("/dev/disk/by-label/other-label"), 5)
    unit = "dev-disk-by\\x2dlabel-other\\x2dlabel.device"
    assert wait_for(lambda: up.ssh(f"systemctl is-active '{unit}'").stdout.strip() == "active", 5)


def test_a_mounted_volume_stays_until_it_is_unmounted(up: Host) -> None:
    up.run("mount /dev/disk/by-label/other-label /mnt && echo kept >/mnt/file")
    with pytest.raises(DeviceBusy):
        up.machine.unplug("vol-0plug")
    assert up.run("cat /mnt/file") == "kept"
    up.run("umount /mnt")
    assert wait_for(lambda: unplugged(up, "vol-0plug"), 5)
    assert wait_for(lambda: not up.sees("/dev/disk/by-label/other-label"), 5)
    assert up.machine.plugged == ()


def unplugged(host: Host, volume_id: str) -> bool:
    """Unplug, where udev may still be looking at the disk for a moment after it was closed."""
    try:
        host.machine.unplug(volume_id)
    except DeviceBusy:
        return False
    return True


def test_a_volume_that_comes_back_brings_its_label_and_its_data(rig: Rig, up: Host) -> None:
    disk = machine.Disk("vol-0plug", rig.disks.path("vol-0plug"), "/dev/sdh")
    up.machine.plug(disk)
    assert wait_for(lambda: up.sees("/dev/disk/by-label/other-label"), 5)
    assert up.run("mount /dev/xvdh /mnt && cat /mnt/file && umount /mnt") == "kept"
    with pytest.raises(Failed, match="already"):
        up.machine.plug(disk)
    assert wait_for(lambda: unplugged(up, "vol-0plug"), 5)


def test_a_frozen_machine_s_disk_can_be_copied_and_the_machine_goes_on(rig: Rig, up: Host) -> None:
    up.run("echo before >/root/frozen && sync")
    with up.machine.frozen():
        rig.disks.copy("vol-root10", "snap-0frozen")
    check = ["debugfs", "-R", "cat /root/frozen", str(rig.disks.path("snap-0frozen"))]
    assert "before" in subprocess.run(check, capture_output=True, text=True, check=True).stdout
    assert up.run("echo after") == "after"


def test_security_groups_close_and_open_the_door(rig: Rig, up: Host) -> None:
    rig.admit(up.guest())
    assert up.ssh("true").returncode == 255
    rig.admit(up.guest(Rule("tcp", 22, 22, "198.51.100.0/24")))
    assert up.ssh("true").returncode == 255
    rig.admit(up.guest(Rule("tcp", 22, 22, NETWORK)))
    assert up.ssh("true").returncode == 0


def test_an_elastic_ip_leads_to_its_holder_and_is_its_sender(rig: Rig, up: Host) -> None:
    assert up.ssh("true", PUBLIC).returncode == 255
    rig.admit(up.guest(ANYBODY_BY_SSH), elastic=((PUBLIC, up.address),))
    assert up.ssh("hostname", PUBLIC).stdout.strip() == "ip-172-31-211-10"
    with rig.host_side_listener() as listener:
        listener.settimeout(10)
        address, port = listener.getsockname()
        up.run(f"exec 3<>/dev/tcp/{address}/{port}")
        connection, sender = listener.accept()
        connection.close()
    assert sender[0] == PUBLIC


def test_a_connection_by_an_elastic_ip_ends_when_the_address_goes_elsewhere(rig: Rig, up: Host) -> None:
    rig.admit(up.guest(ANYBODY_BY_SSH), elastic=((PUBLIC, up.address),))
    options = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=10", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-o", "StrictHostKeyChecking=no", "-i", str(rig.key), f"{rig.image.user}@{PUBLIC}"]
    session = subprocess.Popen(["ssh", *options, "echo in; sleep 300"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert session.stdout is not None
        assert session.stdout.readline() == b"in\n"
        rig.admit(up.guest(ANYBODY_BY_SSH))
        assert session.wait(60) == 255
    finally:
        session.kill()
        session.communicate()


def test_two_machines_see_of_each_other_what_their_groups_admit(rig: Rig, up: Host) -> None:
    second = rig.host("i-0second", 11)
    rig.admit(up.guest(ANYBODY_BY_SSH), second.guest(ANYBODY_BY_SSH), elastic=((PUBLIC, second.address),))
    second.boot()
    try:
        by_private, by_public = (greeting(up, to) for to in (second.address, PUBLIC))
        assert by_private == "SSH-2.0"
        assert by_public == "SSH-2.0"
        assert greeting(second, PUBLIC) == "SSH-2.0", "its own address"
        rig.admit(up.guest(ANYBODY_BY_SSH), second.guest(Rule("tcp", 22, 22, f"{rig.network.plan.host_side}/32")))
        assert greeting(up, second.address) == ""
        assert second.ssh("true").returncode == 0
    finally:
        assert second.machine.shut_down(30)
        assert second.ends == ["halt"]


def greeting(host: Host, address: str) -> str:
    """What sshd at an address says to a machine, or nothing when it is not let through."""
    return host.ssh(f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/22 && head -c 7 <&3'").stdout


def test_a_reboot_wished_by_the_guest_is_told_apart_from_a_power_off(up: Host) -> None:
    up.ends.clear()
    up.ssh("sudo systemctl reboot")
    assert wait_for(lambda: up.ends == ["reboot"], 15)
    assert not up.machine.running
    up.boot()
    up.ssh("sudo systemctl poweroff")
    assert wait_for(lambda: up.ends == ["reboot", "halt"], 15)


def test_a_panic_is_a_crash(up: Host) -> None:
    up.ends.clear()
    up.ssh("echo c | sudo tee /proc/sysrq-trigger")
    assert wait_for(lambda: up.ends == ["crash"], 20)


def test_power_loss_takes_what_was_not_synced_and_leaves_the_rest(rig: Rig, up: Host) -> None:
    fingerprint = up.run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    disk = rig.blank("vol-0power", "/dev/sdg")
    up.machine.plug(disk)
    assert wait_for(lambda: up.sees("/dev/xvdg"), 5)
    up.run("mkfs.ext4 -q /dev/xvdg && mount /dev/xvdg /mnt && echo kept >/mnt/synced && sync && echo lost >/mnt/not")
    up.ends.clear()
    up.machine.kill()
    assert up.ends == ["killed"]
    up.boot(disk)
    assert wait_for(lambda: up.sees("/dev/xvdg"), 5)
    assert up.run("mount /dev/xvdg /mnt && cat /mnt/synced") == "kept"
    assert up.run("cat /mnt/not 2>/dev/null || true") == ""
    assert up.run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub") == fingerprint
    assert up.run("cat /root/user-data") == "ran", "user-data runs once an instance, not once a boot"
    up.run("umount /mnt")


def test_a_disk_plugged_while_the_kernel_is_starting_does_no_harm(rig: Rig, up: Host) -> None:
    assert up.machine.shut_down(30)
    up.switch_on()
    up.machine.plug(rig.blank("vol-0early", "/dev/sdj"))
    assert wait_for(lambda: up.sees("/dev/xvdj"), 30), up.machine.console()


def test_the_power_button_works_while_the_machine_is_still_booting(up: Host) -> None:
    assert up.machine.shut_down(30)
    begin = time.monotonic()
    up.switch_on()
    up.machine.shut_down(20)
    assert not up.machine.running
    assert time.monotonic() - begin < 25


def test_another_instance_id_on_the_same_disk_is_a_new_instance(up: Host) -> None:
    fingerprint = up.run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
    assert up.machine.shut_down(30)
    up.be("i-0other", "")
    up.boot()
    assert up.run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub") != fingerprint
    assert up.run("cat /var/lib/cloud/data/instance-id") == "i-0other"
    assert len(up.run("grep ^127.0.1.1 /etc/hosts").splitlines()) == 1


def test_a_machine_whose_starter_crashed_is_reaped_and_no_other_process(rig: Rig, up: Host) -> None:
    assert up.machine.shut_down(30)
    code = (
        "import os, sys; from pathlib import Path; from lab.machine import Disk, Machine\n"
        "run, root, tap, netns = sys.argv[1:]\n"
        "m = Machine('i-0first', Path(run), Path(run), 0, 256, ['nsenter', '--net=' + netns, '--'], print)\n"
        "m.start(Disk('vol-root10', Path(root), '/dev/sda1'), [], '02:00:ac:1f:d3:0a', tap, '172.31.211.10/25', "
        "'172.31.211.1')\n"
        "m._wait_for_disk_driver(); os._exit(9)\n"
    )
    run_directory = rig.directory / "run"
    arguments = [str(run_directory), str(up.root.path), up.tap, "/run/netns/h1"]
    assert subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT_OF_PROJECT, check=False).returncode == 9
    group = int((run_directory / "i-0first.pgid").read_text())
    assert machine.reap(run_directory) == ["i-0first"]
    assert process_group.members(group) == []
    assert machine.reap(run_directory) == []


def test_nothing_is_left_of_a_network_that_is_down(tmp_path: Path) -> None:
    network = Network("h1b", "172.31.219.0/24", tmp_path)
    forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    network.up()
    network.create_tap("i-0123456789abcdef0")
    assert len(observe_network()) >= 5, "namespace, device, two routes, table"
    network.up()  # as after a crash: what is there is replaced
    network.down()
    network.down()
    assert observe_network() == []
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == forwarding
    assert not network_processes(tmp_path)


def test_a_range_that_another_lab_has_is_refused_and_that_lab_is_left_alone(tmp_path: Path) -> None:
    owner = Network("h1b", "172.31.219.0/24", tmp_path / "owner")
    owner.up()
    try:
        before = observe_network()
        intruder = Network("h1c", "172.31.219.0/24", tmp_path / "intruder")
        with pytest.raises(Refused, match="elsewhere already"):
            intruder.up()
        intruder.down()
        assert observe_network() == before
    finally:
        owner.down()
    assert observe_network() == []


def observe_network() -> list[str]:
    """What the host shows of this network; another lab may come and go meanwhile."""
    commands = (["ip", "netns"], ["ip", "-oneline", "link"], ["ip", "route"], ["nft", "list", "tables"])
    outputs = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands)
    return [line for text in outputs for line in text.splitlines() if "h1b" in line or "172.31.219." in line]


def network_processes(run_directory: Path) -> list[str]:
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(run_directory) in line]
