"""What runs in the image, what does not, and what a service says that has no volume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packer.recipe import baked_units
from packer.verify.check import Subject, Wrong, none_of
from transcoder import shape
from transcoder.actions.guest import clock_is_right
from transcoder.errors import Failed
from transcoder.facts import chronyc
from transcoder.facts.limits import parse_limits
from transcoder.layout import DataVolume

OPEN_FILES = 50000
CLOCK_BUDGET = 60.0
"""Seconds until chronyd must follow its source."""
JOURNAL_BUDGET = 10.0
"""Seconds until journald must have written what it was told."""
REFUSED = 78
"""What a service ends with that must not start as things are; systemd does not start it again."""
BONDS = "BindsTo|After|Requires|RequiresMountsFor|PartOf|Assert[A-Za-z]*|WantedBy"
"""What ties a service to its volume."""
ASLEEP = "[Service]\nType=simple\nExecStart=\nExecStart=/bin/sleep 600\nRestart=no\n"
"""Another command in place of a service's own: an empty ExecStart= forgets those before."""
SSH_UNITS = ("ssh.service", "ssh.socket")
"""From Ubuntu 22.10 on the socket listens, and the service is started by the first connection."""


def boot(subject: Subject) -> str:
    """it boots within the environment's budget, and no unit fails"""
    failed = subject.output("systemctl list-units --state=failed --no-legend --plain | awk '{ print $1 }'").split()
    none_of([f"{unit} has failed" for unit in failed], "")
    told = subject.machine.run("systemd-analyze time").stdout.strip().splitlines()
    budget = subject.settings.instance.reachable_budget_seconds
    if subject.seconds > budget:
        raise Wrong(f"booted {subject.seconds:.1f} s after its launch, the budget is {budget} s")
    return f"{subject.seconds:.1f} s from the launch to a booted machine; {told[0] if told else 'no word of systemd'}"


def units(subject: Subject) -> str:
    """the node's units are enabled and wait for their volumes; watch, firewall, chrony, ssh run, not timesyncd"""
    wrong = []
    for name in shape.units(subject.settings):
        unit = subject.machine.service(name)
        state = unit.systemd_properties.get("ActiveState")
        if not unit.is_enabled or state != "inactive":
            wrong.append(f"{name} is {'enabled' if unit.is_enabled else 'not enabled'} and {state}")
    others = [name for name in baked_units(subject.settings) if name not in shape.units(subject.settings)]
    for name in (*others, "chrony.service"):
        unit = subject.machine.service(name)
        if not (unit.is_enabled and unit.is_running):
            wrong.append(f"{name} is not enabled and running")
    if not any(subject.machine.service(name).is_running for name in SSH_UNITS):
        wrong.append("no sshd is running")
    if subject.machine.run("systemctl is-active systemd-timesyncd.service").rc == 0:
        wrong.append("systemd-timesyncd.service sets the clock beside chrony")
    return none_of(
        wrong,
        f"{', '.join(shape.units(subject.settings))} enabled, inactive; {', '.join(others)}, chrony and ssh running",
    )


def mounts(subject: Subject) -> str:
    """nothing is mounted where the volumes go, and their mount points are empty and root's"""
    return none_of(
        (text for volume in subject.volumes for text in _mount(subject, volume)),
        ", ".join(f"{volume.mount} empty" for volume in subject.volumes),
    )


def _mount(subject: Subject, volume: DataVolume) -> Iterator[str]:
    point = subject.machine.file(volume.mount)
    if subject.machine.mount_point(volume.mount).exists:
        yield f"something is mounted on {volume.mount}"
    elif not point.is_directory or (point.uid, point.mode) != (0, 0o755):
        yield f"{volume.mount} is not a directory of root's with 0755"
    elif entries := point.listdir():
        yield f"{volume.mount} holds {', '.join(entries)}"


def journal(subject: Subject) -> str:
    """the journal has no error of the image's units, of chrony or of sshd since the boot"""
    names = (*baked_units(subject.settings), "chrony.service", "ssh.service")
    command = "journalctl --boot --quiet --no-pager --output=cat --priority=err" + " --unit=%s" * len(names)
    lines = subject.output(command, *names).splitlines()
    return none_of(lines[:5], f"nothing of {len(names)} units")


def refusals(subject: Subject) -> str:
    """each service refuses to start without its volume, says why, and is not started again"""
    names = _unbound(subject, "refusal", {})
    subject.machine.run("systemctl start" + " %s" * len(names), *names.values())
    return "; ".join(_refusal(subject, volume, names[volume.service.unit]) for volume in subject.volumes)


def _refusal(subject: Subject, volume: DataVolume, name: str) -> str:
    unit = volume.service.unit
    # journald may read a line after its process has ended, and then knows its name but not its unit.
    fields = (f"_SYSTEMD_UNIT={name}", "+", f"SYSLOG_IDENTIFIER={volume.service.user}")
    command = "journalctl --boot --quiet --no-pager --output=cat %s %s %s"

    def reason() -> str:
        lines = subject.machine.run(command, *fields).stdout.splitlines()
        return next((line for line in lines if "refused:" in line), "")

    state = _properties(subject, name, "ExecMainStatus", "ActiveState")
    try:
        why = subject.world.wait("a reason in the journal", reason, JOURNAL_BUDGET)
    except Failed:
        why = ""
    if (state["ExecMainStatus"], state["ActiveState"]) != (str(REFUSED), "failed") or not why:
        raise Wrong(f"{unit} without a volume: {state}, {why or 'no reason in the journal'}")
    return f"{unit}: {REFUSED}, {why}"


def _unbound(subject: Subject, what: str, drop_in: Mapping[str, str]) -> dict[str, str]:
    """Make copies of the services that are not bound to their mounts, until the next boot; return unit -> copy.

    A service itself would wait for the device of its volume, a minute and a half, and then not say a word.

    :param drop_in: text by the name of a file that is laid over each copy.
    """
    names = {volume.service.unit: f"verify-{what}-{volume.role}.service" for volume in subject.volumes}
    for unit, name in names.items():
        own, copy = f"/etc/systemd/system/{unit}", f"/run/systemd/system/{name}"
        subject.output(f"sed -E '/^({BONDS})=/d' %s >%s", own, copy)
        for file, text in drop_in.items():
            subject.output("mkdir -p %s && printf %s >%s", f"{copy}.d", text, f"{copy}.d/{file}")
    subject.output("systemctl daemon-reload")
    return names


def service_limits(subject: Subject) -> str:
    """a process of each service may open 50000 files (/proc/PID/limits)"""
    names = _unbound(subject, "limits", {"asleep.conf": ASLEEP})
    subject.output("systemctl start" + " %s" * len(names), *names.values())
    return "; ".join(_service_limit(subject, unit, name) for unit, name in names.items())


def _service_limit(subject: Subject, unit: str, name: str) -> str:
    """Look at what the kernel grants a process with the limits and in the sandbox of a service."""
    pid = _properties(subject, name, "MainPID")["MainPID"]
    limit = parse_limits(subject.output("cat %s", f"/proc/{pid}/limits"))
    if limit.soft != OPEN_FILES or limit.hard < OPEN_FILES:
        raise Wrong(f"{unit}: {limit.soft} open files at most, hard {limit.hard}")
    return f"{unit}: {limit.soft}, hard {limit.hard}"


def _properties(subject: Subject, unit: str, *names: str) -> dict[str, str]:
    text = subject.output("systemctl show %s --property=%s", unit, ",".join(names))
    return dict(line.split("=", 1) for line in text.splitlines())


def login_limit(subject: Subject) -> str:
    """a log-in session may open 50000 files (ulimit -n in a login shell, /proc/self/limits)"""
    shell = subject.host.run("sh", "-l", "-c", "ulimit -n; cat /proc/self/limits", sudo=False).stdout
    first, _, rest = shell.partition("\n")
    limit = parse_limits(rest)
    root = subject.output("su - root -c 'ulimit -n'")
    if (first.strip(), limit.soft, root) != (str(OPEN_FILES), OPEN_FILES, str(OPEN_FILES)):
        raise Wrong(f"ulimit -n of {subject.settings.ssh.user} {first.strip()}, {limit.soft}; of root {root}")
    return f"{subject.settings.ssh.user} {first.strip()} (hard {limit.hard}), root {root}"


def clock(subject: Subject) -> str:
    """chrony follows the Amazon Time Sync Service (chronyc tracking)"""

    def right() -> bool:
        return clock_is_right(subject.host.run(*chronyc.COMMAND, sudo=False, ok=range(256)))

    try:
        subject.world.wait("clock in sync", right, CLOCK_BUDGET)
    except Failed as error:
        told = subject.machine.run("chronyc tracking; chronyc -n sources").stdout
        raise Wrong(f"{error.message}: {' '.join(told.split())[:300]}") from error
    tracking = chronyc.parse_chronyc(subject.host.run(*chronyc.COMMAND, sudo=False).stdout)
    if tracking.source not in ("169.254.169.123", "PHC0"):
        raise Wrong(f"it follows {tracking.source}")
    return f"follows {tracking.source}, stratum {tracking.stratum}, {abs(tracking.offset) * 1000:.3f} ms off"


CHECKS = (boot, units, mounts, journal, refusals, service_limits, login_limit, clock)
