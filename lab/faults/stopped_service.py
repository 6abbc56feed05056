"""A service is stopped by somebody, as with ``systemctl stop``: nobody starts it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lab.faults import guest, services
from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE
from lab.faults.site import Site

SUMMARY = "a service is stopped by somebody, and nobody starts it again"
UNITS = {**services.UNITS, "chrony": "chrony.service"}
OPTIONS = (INSTANCE, replace(services.UNIT, choices=tuple(UNITS)))
SWITCH = """
import subprocess, sys
subprocess.check_call(["systemctl", sys.argv[1], sys.argv[2]])
print("true")
"""


def on(site: Site, options: Options) -> Effect:
    """Stop it."""
    instance = site.running(str(options.get("instance", "")))
    guest.run(site, instance, SWITCH, "stop", UNITS[str(options["unit"])])
    return Effect(f"{options['unit']} of {instance.id} is stopped", instance)


def off(site: Site, options: Options, memory: Any) -> str:
    """Start it."""
    if over(site, options, memory):
        return f"{memory.id} is off, and starts its services when it boots"
    guest.run(site, memory, SWITCH, "start", UNITS[str(options["unit"])])
    return f"{options['unit']} of {memory.id} is started"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the machine is off."""
    return not site.cloud.driver.running(memory.id)
