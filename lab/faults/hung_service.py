"""A service hangs: its process is there, its ports take connections, and nobody is answered (SIGSTOP).

systemd, and whoever looks for a process, finds nothing wrong. A restart cures it.
"""

from __future__ import annotations

from typing import Any

from lab.faults import guest
from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE
from lab.faults.services import PROCESS, UNIT, UNITS
from lab.faults.site import Site

SUMMARY = "a service hangs: its process and its ports are there, and nobody is answered"
OPTIONS = (INSTANCE, UNIT)
HANG = (
    PROCESS
    + """
process = main_process(sys.argv[1])
if not process:
    sys.exit(sys.argv[1] + " does not run")
os.kill(process, signal.SIGSTOP)
print(json.dumps(process))
"""
)
GO_ON = (
    PROCESS
    + """
same = main_process(sys.argv[1]) == int(sys.argv[2])
if same:
    os.kill(int(sys.argv[2]), signal.SIGCONT)
print(json.dumps(same))
"""
)


def on(site: Site, options: Options) -> Effect:
    """Stop its process where it is."""
    instance = site.running(str(options.get("instance", "")))
    process = guest.run(site, instance, HANG, UNITS[str(options["unit"])])
    return Effect(f"process {process} of {options['unit']} at {instance.id} hangs", (instance, process))


def off(site: Site, options: Options, memory: Any) -> str:
    """Let it go on, unless it was restarted since."""
    instance, process = memory
    if over(site, options, memory):
        return f"{instance.id} is off"
    if guest.run(site, instance, GO_ON, UNITS[str(options["unit"])], str(process)):
        return f"process {process} of {options['unit']} at {instance.id} goes on"
    return f"{options['unit']} of {instance.id} was restarted since"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the machine is off."""
    return not site.cloud.driver.running(memory[0].id)
