"""What the machines themselves show, over ssh: the evidence behind the proofs. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.rehearsal import records
from lab.rehearsal.report import Program
from transcoder import guest, layout
from transcoder.facts import limits
from transcoder.layout import DataVolume
from transcoder.world import Host

LSBLK = ("lsblk", "--output", "NAME,SIZE,SERIAL,FSTYPE,LABEL,MOUNTPOINT")
SERVICES = tuple(data.service.unit for data in layout.VOLUMES)
OPEN_FILES = 50000
IDENTITY = ("/d1/livepeer/.lpData", "/d2/geth-data")
"""Where the files are that make the node who it is: its account, and what livepeer and geth are known by to peers."""


@dataclass(frozen=True)
class Shown:
    """What a machine showed: whether it is as claimed, and its own words."""

    as_claimed: bool
    text: str


def block_devices(host: Host) -> str:
    """Return lsblk's table."""
    return host.run(*LSBLK, sudo=False).stdout.rstrip()


def has_volumes(host: Host) -> Shown:
    """Look whether the machine sees both data volumes, by label."""
    labels = {device.label for device in guest.observe(host).devices}
    return Shown({data.label for data in layout.VOLUMES} <= labels, block_devices(host))


def has_no_volume(host: Host, volume_ids: tuple[str, ...]) -> Shown:
    """Look whether the machine sees neither data volume: not their labels, not their serials, nothing mounted."""
    seen = guest.observe(host)
    serials = {volume_id.replace("-", "") for volume_id in volume_ids}
    labels = {data.label for data in layout.VOLUMES}
    found = [d for d in seen.devices if d.label in labels or d.serial.replace("-", "") in serials]
    mounted = [data.mount for data in layout.VOLUMES if seen.mounted(data.mount)]
    return Shown(not found and not mounted, block_devices(host))


def mounted_by_label(host: Host) -> Shown:
    """Look whether what is mounted at /d1 and /d2 is the device behind the label, and the unit names the label."""
    shown = [_mounted(host, data) for data in layout.VOLUMES]
    return Shown(all(one.as_claimed for one in shown), "\n".join(one.text for one in shown))


def _mounted(host: Host, data: DataVolume) -> Shown:
    by_label = f"/dev/disk/by-label/{data.label}"
    found = host.run(
        *("findmnt", "--noheadings", "--output", "TARGET,SOURCE,FSTYPE,LABEL", "--mountpoint", data.mount),
        sudo=False,
        ok=(0, 1),
    ).stdout.split()
    device = host.run("readlink", "--canonicalize", by_label, sudo=False, ok=(0, 1)).stdout.strip()
    unit = host.run("systemctl", "cat", data.mount_unit, sudo=False, ok=(0, 1)).stdout
    asked = next((line for line in unit.splitlines() if line.startswith("What=")), "What= is missing")
    good = found == [data.mount, device, "ext4", data.label] and asked == f"What={by_label}"
    return Shown(
        good, f"{' '.join(found) or f'nothing at {data.mount}'}  ({data.mount_unit}: {asked}, that is {device})"
    )


def services_are(host: Host, wanted: str) -> Shown:
    """Look whether systemd calls both services ``wanted``."""
    states = host.run("systemctl", "is-active", *SERVICES, sudo=False, ok=range(256)).stdout.split()
    text = "\n".join(f"{unit}: {state}" for unit, state in zip(SERVICES, states, strict=False))
    return Shown(states == [wanted] * len(SERVICES), text)


def open_files(host: Host) -> Shown:
    """Look into /proc/PID/limits of both services: the limit of open files, soft and hard."""
    shown = [_open_files(host, unit) for unit in SERVICES]
    return Shown(all(one.as_claimed for one in shown), "\n".join(one.text for one in shown))


def _open_files(host: Host, unit: str) -> Shown:
    pid = guest.observe(host).service(unit).main_pid
    output = host.run("cat", f"/proc/{pid}/limits", ok=(0, 1))
    if not pid or output.exit_code:
        return Shown(False, f"{unit}: no process")
    line = next((line for line in output.stdout.splitlines() if line.startswith("Max open files")), "")
    wanted = limits.OpenFiles(OPEN_FILES, OPEN_FILES)
    return Shown(limits.parse_limits(output.stdout) == wanted, f"{unit}, /proc/{pid}/limits: {' '.join(line.split())}")


def identity(host: Host) -> Mapping[str, str]:
    """Return sha256 by path of the node's keys; no content leaves the machine."""
    which = ("(", "-name", "UTC--*", "-o", "-name", "keys.json", "-o", "-name", "nodekey", ")")
    output = host.run("find", *IDENTITY, "-type", "f", *which, "-exec", "sha256sum", "{}", "+", ok=(0, 1)).stdout
    return {path: digest for digest, _, path in (line.partition("  ") for line in output.splitlines())}


def programs(host: Host) -> tuple[Program, ...]:
    """Ask geth and livepeer what they are; a stand-in says so itself."""
    commands = {"geth": ("/usr/local/bin/geth", "version"), "livepeer": ("/usr/local/bin/livepeer", "-version")}
    return tuple(_program(name, host, command) for name, command in commands.items())


def _program(name: str, host: Host, command: tuple[str, ...]) -> Program:
    output = host.run(*command, sudo=False, ok=range(256))
    says = (output.stdout + output.stderr).strip()
    wanted = [line for line in says.splitlines() if "version" in line.lower() or "stand-in" in line]
    lines = [line for line in wanted if not line.startswith(("Go Version", "Protocol"))]
    return Program(name, "stand-in" in says, "; ".join(lines) or says)


def system(host: Host) -> str:
    """Return the machine's distribution and kernel."""
    release = host.run("cat", "/etc/os-release", sudo=False).stdout
    names = [line.partition("=")[2].strip('"') for line in release.splitlines() if line.startswith("PRETTY_NAME=")]
    kernel = host.run("uname", "--kernel-release", sudo=False).stdout.strip()
    return f"{names[0] if names else 'unknown'}, Linux {kernel}"


def records_tail(host: Host) -> records.Scan:
    """Read the last records; the first line may be cut."""
    text = host.run("tail", "--bytes=4096", records.PATH, ok=(0, 1)).stdout
    return records.parse(text.partition("\n")[2])


def all_records(host: Host) -> records.Scan:
    """Read all records."""
    return records.parse(host.run("cat", records.PATH, timeout=300).stdout)


def livepeer_journal(host: Host) -> str:
    """Return what livepeer wrote to the journal since the machine booted."""
    unit = layout.LIVEPEER.service.unit
    return host.run("journalctl", "--boot", "--unit", unit, "--no-pager", "--output=cat").stdout
