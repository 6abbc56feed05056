"""The power of a machine is cut in the middle of whatever it does, as when a host of EC2 fails.

EC2 goes on saying ``running``; the status check fails after as long as the latency profile lets checks take.

What is lost is what the guest had only in its own memory: pages that were written and not synced. What the guest's
kernel had sent to the disk stays, because the host's page cache outlives the machine. So this is the loss of an
instance whose EBS volumes are intact; a volume that lies about a flush is not modelled. Measured: every record whose
fsync had been acknowledged was on the disk, a file that was never synced had no byte, and ext4 replayed its journal.
"""

from __future__ import annotations

import time
from typing import Any

from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE
from lab.faults.site import Site
from transcoder.errors import Failed

SUMMARY = "the machine's power is cut; EC2 goes on saying running"
OPTIONS = (INSTANCE,)


def on(site: Site, options: Options) -> Effect:
    """Cut the power."""
    instance = site.running(str(options.get("instance", "")))
    site.cloud.driver.shut_down(instance.id, graceful=False)
    since = time.time()
    site.cloud.later(f"checks of {instance.id}", site.cloud.latencies.status_checks, lambda: _impair(site, instance))
    return Effect(f"cut the power of {instance.id} at {since:.3f}", instance)


def _impair(site: Site, instance: Any) -> None:
    if not site.cloud.driver.running(instance.id) and instance.state == "running":
        instance.lab_impaired = True


def off(site: Site, _options: Options, memory: Any) -> str:
    """Give the power back and wait until sshd answers; a machine that EC2 has stopped or started since is left."""
    instance = memory
    if over(site, {}, instance):
        return f"{instance.id} is {instance.state}, and its machine is as EC2 wants it"
    site.reconciler.instances.boot_machine(instance)
    if not site.cloud.driver.running(instance.id):
        raise Failed(f"{instance.id} did not boot again", hint=f"invoke lab.logs --instance {instance.id}")
    return f"booted {instance.id}"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether EC2 has stopped or terminated the instance, or its machine runs again."""
    return memory.state != "running" or site.cloud.driver.running(memory.id)
