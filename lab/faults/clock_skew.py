"""A machine's clock is set off, once: it goes on from there at its own pace.

Where chrony runs and has a server, it steps or slews the clock back in its own time; with ``hold`` chrony is stopped,
and the clock stays off. Switching off sets the clock right and starts chrony anew: what it knows is of the other time.
A User-Mode-Linux machine has a clock of its own: the host's is not touched.
"""

from __future__ import annotations

import time
from typing import Any

from lab.faults import guest
from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE, Option
from lab.faults.site import Site

SUMMARY = "the machine's clock is set off"
OPTIONS = (
    INSTANCE,
    Option("seconds", "by how much; negative for the past", "number", required=True, least=-3e8, most=3e8),
    Option("hold", "stop chrony too, which else sets the clock right again", "switch", False),
)
SET_OFF = """
import json, subprocess, sys, time
def is_active(unit):
    return subprocess.call(["systemctl", "is-active", "--quiet", unit]) == 0
stopped = []
if sys.argv[2] == "hold":
    stopped = [unit for unit in ("chrony.service",) if is_active(unit)]
    for unit in stopped:
        subprocess.check_call(["systemctl", "stop", unit])
time.clock_settime(time.CLOCK_REALTIME, time.time() + float(sys.argv[1]))
print(json.dumps(stopped))
"""
SET_RIGHT = """
import json, subprocess, sys, time
time.clock_settime(time.CLOCK_REALTIME, time.time() + float(sys.argv[1]))
for unit in ("chrony.service",):
    runs = subprocess.call(["systemctl", "is-active", "--quiet", unit]) == 0
    if runs or unit in sys.argv[2:]:
        subprocess.check_call(["systemctl", "restart", unit])
print("true")
"""
NOW = "import time\nprint(time.time())\n"


def on(site: Site, options: Options) -> Effect:
    """Set it off."""
    instance = site.running(str(options.get("instance", "")))
    seconds = float(options["seconds"])
    stopped = guest.run(site, instance, SET_OFF, f"{seconds:f}", "hold" if options["hold"] else "")
    held = f", {', '.join(stopped)} stopped" if stopped else ""
    return Effect(f"the clock of {instance.id} is {seconds:+g} s off{held}", (instance, tuple(stopped)))


def off(site: Site, _options: Options, memory: Any) -> str:
    """Set it by the host's clock, and start what was stopped."""
    instance, stopped = memory
    if over(site, {}, memory):
        return f"{instance.id} is off, and boots with the host's time"
    difference = measure(site, instance)
    guest.run(site, instance, SET_RIGHT, f"{-difference:f}", *stopped)
    return f"the clock of {instance.id} was {difference:+.1f} s off and is right"


def measure(site: Site, instance: Any) -> float:
    """Return how many seconds a machine's clock is ahead of the host's, within the time of an SSH log-in."""
    begun = time.time()
    there = float(guest.run(site, instance, NOW))
    return there - (begun + time.time()) / 2


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the machine is off: it takes the host's time when it boots."""
    return not site.cloud.driver.running(memory[0].id)
