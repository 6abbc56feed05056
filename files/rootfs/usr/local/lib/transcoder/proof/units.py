"""The units load without a warning and are enabled; the kernel is set as the files say; there is no swap."""

import os
import re
from typing import Iterator

from .machine import Machine, Wanted

SYSCTL = "/etc/sysctl.d/60-transcoder.conf"
HARMLESS = re.compile(r"Attempted to remove disk file system, and we can.t allow that\.")
"""systemd 237 says this of its own temporary directory where /tmp is on a disk."""
MIN_FREE_MIB = 1024
"""As amazon-eks-ami asks for after its bake: less than that, and the first upgrade of a kernel fails."""


def unit_files(machine: Machine, wanted: Wanted) -> "Iterator[str]":
    """`systemd-analyze verify` has no word to say."""
    paths = ["/etc/systemd/system/" + unit for unit in [*wanted.units, *wanted.resting_units]]
    status, output = machine.run("systemd-analyze", "verify", *paths)
    told = [line for line in output.splitlines() if line.strip() and not HARMLESS.fullmatch(line.strip())]
    yield from ("systemd-analyze verify: " + line for line in told)
    if status and not told:
        yield "`systemd-analyze verify` fails with {}".format(status)


def enabled(machine: Machine, wanted: Wanted) -> "Iterator[str]":
    """What is to run at a boot is enabled, nothing else of ours is, and one program only sets the clock."""
    for unit in [*wanted.units, "chrony.service"]:
        state = _state(machine, unit)
        if state != "enabled":
            yield "{}: is {}, not enabled".format(unit, state)
    for unit in wanted.resting_units:
        state = _state(machine, unit)
        if state not in ("disabled", "static"):
            yield "{}: is {}, and no boot is to start it".format(unit, state)
    if _state(machine, "systemd-timesyncd.service") == "enabled":
        yield "systemd-timesyncd.service: is enabled beside chrony"


def swap(machine: Machine, _: Wanted) -> "Iterator[str]":
    """A key in memory must not reach a disk."""
    for line in machine.read("/proc/swaps").splitlines()[1:]:
        yield "/proc/swaps: {} is in use".format(line.split()[0])
    for line in machine.lines("/etc/fstab"):
        if line.split()[2:3] == ["swap"]:
            yield "/etc/fstab: {} is swap".format(line.split()[0])
    state = _state(machine, "swap.target")
    if state != "masked":
        yield "swap.target: is {}, not masked".format(state)


def kernel_settings(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Each line of our file is what the kernel has; a setting that this kernel does not have is none to miss."""
    if not machine.lines(SYSCTL):
        yield "{}: not there, or empty".format(SYSCTL)
    for line in machine.lines(SYSCTL):
        name, value = (part.strip() for part in line.partition("=")[::2])
        path = "/proc/sys/" + name.replace(".", "/")
        if machine.exists(path) and machine.read(path).split() != value.split():
            yield "{}: is {}, {} says {}".format(name, machine.read(path).strip(), SYSCTL, value)


def free_space(machine: Machine, _: Wanted) -> "Iterator[str]":
    """A root disk that is nearly full when it is new."""
    found = os.statvfs(machine.on_disk("/"))
    free = found.f_bavail * found.f_frsize >> 20
    if free < MIN_FREE_MIB:
        yield "/: {} MiB are free, less than {}".format(free, MIN_FREE_MIB)


def _state(machine: Machine, unit: str) -> str:
    """Return what systemctl calls the unit's state; warnings may stand before it."""
    lines = machine.run("systemctl", "is-enabled", unit).output.splitlines()
    return lines[-1] if lines else "unknown"
