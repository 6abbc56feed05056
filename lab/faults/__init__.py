"""What can go wrong in the lab: one module a fault, a verb (`on`) with its inverse (`off`). Found by name.

A fault has ``SUMMARY`` (one line), ``OPTIONS``, and the two functions of `lab.faults.fault.Fault`. It acts inside the
lab's daemon: on the machines through the driver, on EC2 through `lab.faults.seams`. Nothing of it outlives the lab.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from transcoder.errors import Refused

if TYPE_CHECKING:
    from lab.faults.fault import Fault

NAMES = (
    "power_off",
    "partition",
    "api_throttle",
    "api_error",
    "lagging_reads",
    "stuck_attaching",
    "stuck_detaching",
    "slow_stop",
    "kill_operator",
    "wrong_device_order",
    "lost_elastic_ip",
    "full_disk",
    "corrupt_filesystem",
    "clock_skew",
    "geth_stall",
    "geth_no_peers",
    "hung_service",
    "stopped_service",
    "crashing_service",
    "unmounted_volume",
    "readonly_filesystem",
    "drained_account",
    "lost_registration",
    "uninitialized_round",
    "missed_reward",
)


def find(name: str) -> Fault:
    """Return a fault by its name; a dash counts as an underscore.

    :raises Refused: there is no such fault; all names are listed.
    """
    known = name.replace("-", "_")
    if known not in NAMES:
        raise Refused(f"there is no fault {name!r}", reasons=[f"there is {each}" for each in NAMES])
    return cast("Fault", importlib.import_module(f"lab.faults.{known}"))
