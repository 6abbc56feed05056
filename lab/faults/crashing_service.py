"""A service crashes again and again: its process is killed (SIGKILL) every so many seconds, and systemd restarts it.

A unit of its own does that in the machine, so it needs nobody outside; a reboot ends it.
"""

from __future__ import annotations

from typing import Any

from lab.faults import guest
from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE, Option
from lab.faults.services import PROCESS, UNIT, UNITS
from lab.faults.site import Site

SUMMARY = "a service crashes again and again, and systemd restarts it"
OPTIONS = (INSTANCE, UNIT, Option("seconds", "from one crash to the next", "number", 15.0, least=1, most=3600))
LOOP = (
    PROCESS
    + """
import time
while True:
    process = main_process(sys.argv[1])
    if process:
        os.kill(process, signal.SIGKILL)
    time.sleep(float(sys.argv[2]))
"""
)
BEGIN = """
import subprocess, sys
name, loop, unit, seconds = sys.argv[1:]
subprocess.call(["systemctl", "stop", name], stderr=subprocess.DEVNULL)
subprocess.check_call(["systemd-run", "--quiet", "--collect", "--unit=" + name, "python3", "-c", loop, unit, seconds])
print("true")
"""
END = """
import subprocess, sys
# It is not known to systemd any more where it has ended by itself.
subprocess.call(["systemctl", "stop", sys.argv[1]], stderr=subprocess.DEVNULL)
print("true")
"""


def on(site: Site, options: Options) -> Effect:
    """Begin to kill it."""
    instance, unit, seconds = site.running(str(options.get("instance", ""))), str(options["unit"]), options["seconds"]
    guest.run(site, instance, BEGIN, _killer(unit), LOOP, UNITS[unit], str(seconds))
    return Effect(f"{unit} of {instance.id} is killed every {seconds:g} s", instance)


def off(site: Site, options: Options, memory: Any) -> str:
    """Kill it no more. systemd goes on counting how often it has restarted it until somebody restarts it."""
    if over(site, options, memory):
        return f"{memory.id} is off"
    guest.run(site, memory, END, _killer(str(options["unit"])))
    return f"{options['unit']} of {memory.id} is killed no more"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the machine is off."""
    return not site.cloud.driver.running(memory.id)


def _killer(unit: str) -> str:
    return f"lab-fault-kills-{unit}.service"
