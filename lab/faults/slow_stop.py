"""A service takes long to stop: geth writes what it has in memory, which a full node needs minutes for.

Works for the process that runs and for those to come, until it is switched off or the machine reboots: the stand-in
for geth reads a file when it is told to stop (see lab/standins/README.md). The real geth cannot be slowed down like
this, and is refused. With more seconds than the unit's stop budget systemd kills it, and what was not synced is lost.
"""

from __future__ import annotations

from typing import Any

from lab.faults import guest
from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE, Option
from lab.faults.site import Site

SUMMARY = "geth takes long to stop"
OPTIONS = (
    INSTANCE,
    Option("unit", "the service", default="geth", choices=("geth",)),
    Option("seconds", "how long it takes", "number", 30.0, least=0, most=3600),
)
PATH = "/run/geth-standin-stop-seconds"
PROGRAM = """
import pathlib, subprocess, sys
path, seconds = pathlib.Path(sys.argv[1]), sys.argv[2]
geth = pathlib.Path("/usr/local/bin/geth")
if not geth.exists():
    sys.exit("this machine has no geth: it is not of a baked image")
if b"stand-in" not in subprocess.check_output([str(geth), "version"]):
    sys.exit("this machine has the real geth, which cannot be slowed down")
if seconds:
    path.write_text(seconds)
elif path.exists():
    path.unlink()
print("true")
"""


def on(site: Site, options: Options) -> Effect:
    """Leave word for geth's stop."""
    instance = site.running(str(options.get("instance", "")))
    seconds = float(options["seconds"])
    guest.run(site, instance, PROGRAM, PATH, f"{seconds:g}")
    return Effect(f"{options['unit']} of {instance.id} takes {seconds:g} s to stop", instance)


def off(site: Site, _options: Options, memory: Any) -> str:
    """Take the word back; a stop that has begun keeps its time."""
    if over(site, {}, memory):
        return f"{memory.id} is off, and has forgotten it"
    guest.run(site, memory, PROGRAM, PATH, "")
    return f"geth of {memory.id} stops at its own pace"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the machine is off."""
    return not site.cloud.driver.running(memory.id)
