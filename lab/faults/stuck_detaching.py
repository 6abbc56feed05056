"""A detachment stays ``detaching`` although the guest has let go of the device.

It ends by a DetachVolume with ``Force=true`` (which the lab refuses while the guest still has it mounted), by the
end of the instance, or by switching the fault off.
"""

from __future__ import annotations

from typing import Any

from lab.faults.fault import Effect, Options
from lab.faults.options import VOLUME
from lab.faults.site import Site
from lab.faults.stuck import Stuck

SUMMARY = "a detachment stays detaching until it is forced"
OPTIONS = (VOLUME,)


def on(site: Site, options: Options) -> Effect:
    """Hold its detachments."""
    volume = site.volume(str(options["volume"]))
    stuck = Stuck(volume.id)
    site.seams.detaching.put(stuck, stuck)
    return Effect(f"{volume.id} stays detaching when it is detached", stuck)


def off(site: Site, _options: Options, memory: Any) -> str:
    """Let it go."""
    site.seams.detaching.take(memory)
    return "detachments come to their end"
