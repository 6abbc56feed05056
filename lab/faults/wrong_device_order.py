"""The guest sees its data disks under each other's device names, as NVMe disks after a reboot.

Names are swapped in pairs: what is attached as /dev/sdg is seen as /dev/xvdh and the other way round, likewise i and j,
and so on. It holds for disks that are plugged in, and for machines that boot, while it is on. The serial number, by
which Nitro tells which volume a disk is, stays true; with ``no_serial`` the guest is told none, as on Xen, where only
what is on the disk can prove which it is. For that a udev rule is put into the machine: it must be up and answer.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from lab.drivers import DiskPlan
from lab.faults import guest
from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE, Option
from lab.faults.site import Site

SUMMARY = "the guest sees data disks under each other's names from the next plug or boot on"
OPTIONS = (INSTANCE, Option("no_serial", "and without their serial numbers, as on Xen", "switch", False))

RULE = 'KERNEL=="ubd*", ENV{DEVTYPE}=="disk", ATTR{serial}=="xen.*", PROGRAM="/usr/lib/lab/ebs-id $attr{serial}", '
RULE += 'SYMLINK+="%c{2+}"\n'
"""Gives an anonymous disk its device name, and nothing else."""
PROGRAM = """
import json, pathlib, subprocess, sys
rule = pathlib.Path("/etc/udev/rules.d/61-lab-xen.rules")
text = json.loads(sys.argv[1])
if text:
    rule.write_text(text)
elif rule.exists():
    rule.unlink()
subprocess.check_call(["udevadm", "control", "--reload"])
print("true")
"""


def on(site: Site, options: Options) -> Effect:
    """Swap names."""
    instance, anonymous = site.instance(str(options.get("instance", ""))), bool(options["no_serial"])
    if anonymous:
        guest.run(site, instance, PROGRAM, json.dumps(RULE))

    def look(instance_id: str, disk: DiskPlan) -> DiskPlan:
        if instance_id != instance.id:
            return disk
        return replace(disk, shown_as=swapped(disk.device), anonymous=anonymous)

    site.seams.disks.put(look, look)
    without = " and without serial numbers" if anonymous else ""
    return Effect(f"{instance.id} sees disks under each other's names{without}", (look, instance))


def swapped(device: str) -> str:
    """Return the other name of a pair: /dev/sdg and /dev/sdh, /dev/sdi and /dev/sdj; a and b alike."""
    place = ord(device[-1]) - ord("a")
    return device if not 0 <= place < 26 else device[:-1] + chr(ord("a") + (place ^ 1))


def off(site: Site, _options: Options, memory: Any) -> str:
    """Show disks as they are from the next plug on; those that are plugged keep their names until then.

    The udev rule stays for those, and does nothing to others; it goes with the machine.
    """
    look, instance = memory
    site.seams.disks.take(look)
    return f"{instance.id} sees the next disk under its own name"


def over(_site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the instance is no more."""
    return bool(memory[1].state == "terminated")
