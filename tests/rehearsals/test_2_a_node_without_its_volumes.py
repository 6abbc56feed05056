"""A node boots without its volumes: nothing starts, nothing loops; the volumes arrive: it starts by itself."""

from __future__ import annotations

from typing import Any

from tests.rehearsals.rig import NODE, Rig
from transcoder import layout

UNITS = tuple(data.service.unit for data in layout.VOLUMES)


def states(rig: Rig, name: str) -> dict[str, str]:
    """Return what systemd says of the node's services."""
    return {unit: rig.on(name, "systemctl", "is-active", unit, ok=(0, 3)).strip() for unit in UNITS}


def test_the_services_wait_for_their_volumes_and_start_by_themselves(node: Rig) -> None:
    node.run("fab", "detach", "--yes")
    instance = node.instance(NODE)
    before = uptime(node)
    node.ec2.reboot_instances(InstanceIds=[instance.id])

    def booted() -> bool:
        ran = node.run("fab", "status", "--node", NODE, expect=None)
        return ran.exit_code == 0 and "is available, not at" in ran.stdout and "does not answer" not in ran.said

    node.world.wait("booted without volumes", lambda: uptime(node) < before and booted(), 120)
    assert states(node, NODE) == dict.fromkeys(UNITS, "inactive")
    attempts = node.on(NODE, "journalctl", "--boot", "--no-pager", "--output=cat", *journal_of(UNITS))
    assert "Started" not in attempts, "no service was even tried"

    for data in layout.VOLUMES:
        volume = node.node().volume(data)
        assert volume is not None
        device = {"livepeer": "/dev/sdg", "geth": "/dev/sdh"}[data.role]
        node.ec2.attach_volume(VolumeId=volume.id, InstanceId=instance.id, Device=device)

    # Nobody logs in to start anything: EC2 attaches, udev sees the labels, systemd does the rest.
    node.world.wait("started by itself", lambda: states(node, NODE) == dict.fromkeys(UNITS, "active"), 120)
    node.world.wait("healthy", lambda: node.status()["healthy"], 120)


def uptime(rig: Rig) -> float:
    """Return for how many seconds the machine has been up; very long while it does not answer."""
    from transcoder.errors import TranscoderError

    try:
        return float(rig.on(NODE, "cat", "/proc/uptime").split()[0])
    except TranscoderError:
        return 1e9


def journal_of(units: tuple[str, ...]) -> list[str]:
    """Return journalctl's options for these units."""
    return [part for unit in units for part in ("--unit", unit)]


def test_a_mounted_volume_stays_busy_until_it_is_unmounted(node: Rig) -> None:
    instance, volume = node.instance(NODE), node.node().livepeer
    assert volume is not None
    node.ec2.detach_volume(VolumeId=volume.id, InstanceId=instance.id)

    def state() -> Any:
        attachments = node.ec2.describe_volumes(VolumeIds=[volume.id])["Volumes"][0]["Attachments"]
        return attachments[0]["State"] if attachments else "available"

    node.world.wait("busy", lambda: state() == "busy", 30)
    assert states(node, NODE)[UNITS[0]] == "active", "what is mounted goes on working"
    node.on(NODE, "touch", "/run/transcoder/hold/livepeer-transcoder.service", "/run/transcoder/hold/d1.mount")
    node.on(NODE, "systemctl", "stop", "d1.mount")
    node.world.wait("available", lambda: state() == "available", 30)
    ran = node.run("fab", "attach", "--instance", NODE, "--yes")
    assert "done in" in ran.stdout
    assert node.status()["healthy"]


def test_with_an_empty_keystore_livepeer_does_not_start_and_systemctl_says_why_and_what_to_type(node: Rig) -> None:
    unit, (key,) = UNITS[0], node.on(NODE, "ls", layout.KEYSTORE).split()
    node.on(NODE, "mv", f"{layout.KEYSTORE}/{key}", f"/d1/{key}")
    try:
        node.on(NODE, "systemctl", "restart", unit, ok=(1,))
        told = node.on(NODE, "systemctl", "status", "--no-pager", "--full", unit, ok=(3,))
    finally:
        node.on(NODE, "mv", f"/d1/{key}", f"{layout.KEYSTORE}/{key}")

    assert f'Status: "refused: {layout.KEYSTORE} has no key of 0x{key[-40:]} (it has no key at all)' in told
    assert "type `fab restore-keys` to put it back" in told
    assert "status=78" in told
    assert "Active: failed" in told, "systemd would call one that it tries again activating"
    assert node.on(NODE, "ls", layout.KEYSTORE).split() == [key], "no account was made in its place"
    assert "done in" in node.run("fab", "attach", "--yes").stdout, "ends when livepeer answers as its account"
