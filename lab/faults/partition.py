"""The operator cannot reach a machine: packets between the host and the machine vanish, by each of its addresses.

Connections that are open hang, new ones time out, nobody gets an error. The machine goes on running and reaches its
gateway, the metadata service, the AWS endpoints and the world. The lab itself, which goes by its own namespace (as
``invoke lab.shell`` does), still reaches it. A connection goes on where it was when the fault ends in time.
"""

from __future__ import annotations

from typing import Any

from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE
from lab.faults.site import Site

SUMMARY = "the operator cannot reach the machine, which goes on running and reaches its gateway"
OPTIONS = (INSTANCE,)


def on(site: Site, options: Options) -> Effect:
    """Drop what passes between operator and machine."""
    instance = site.instance(str(options.get("instance", "")))
    key = object()
    site.seams.severed.put(key, instance.id)
    _apply(site)
    return Effect(f"nothing passes between the operator and {instance.id} ({instance.private_ip})", (key, instance))


def off(site: Site, _options: Options, memory: Any) -> str:
    """Let packets pass again."""
    key, instance = memory
    site.seams.severed.take(key)
    _apply(site)
    return f"the operator reaches {instance.id} again"


def over(_site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the instance is no more."""
    return bool(memory[1].state == "terminated")


def _apply(site: Site) -> None:
    with site.cloud.lock:
        site.reconciler.wires.refresh()
