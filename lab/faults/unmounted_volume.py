"""A volume is unmounted by somebody, as with ``umount``: what runs on it stops."""

from __future__ import annotations

from typing import Any

from lab.faults import guest
from lab.faults.fault import Effect, Options
from lab.faults.mounts import WHERE
from lab.faults.options import VOLUME
from lab.faults.site import Site

SUMMARY = "a volume is unmounted by somebody, and what runs on it stops"
OPTIONS = (VOLUME,)
UNMOUNT = (
    WHERE
    + """
unit = subprocess.check_output(["systemd-escape", "--path", "--suffix=mount", mount_of(sys.argv[1])]).decode().strip()
subprocess.check_call(["systemctl", "stop", unit])
print(json.dumps(unit))
"""
)
MOUNT = """
import subprocess, sys
subprocess.check_call(["systemctl", "start", sys.argv[1]])
print("true")
"""


def on(site: Site, options: Options) -> Effect:
    """Unmount it."""
    volume = site.volume(str(options["volume"]))
    instance = site.running(site.holder(volume).id)
    unit = guest.run(site, instance, UNMOUNT, volume.id)
    return Effect(f"{volume.id} is not mounted at {instance.id} any more ({unit})", (instance, volume, unit))


def off(site: Site, options: Options, memory: Any) -> str:
    """Mount it; systemd starts what runs on it."""
    instance, volume, unit = memory
    if over(site, options, memory):
        return f"{volume.id} has gone elsewhere, or {instance.id} is off"
    guest.run(site, instance, MOUNT, unit)
    return f"{volume.id} is mounted at {instance.id}"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the machine is off, or has not got the volume any more."""
    instance, volume, _ = memory
    attachment = volume.attachment
    elsewhere = attachment is None or attachment.instance.id != instance.id
    return elsewhere or not site.cloud.driver.running(instance.id)
