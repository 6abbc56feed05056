"""An attachment stays ``attaching`` for ever, and the guest never sees the device.

A DetachVolume frees the volume. Attached again under the same device name it hangs again; under another name it works.
Switching the fault off completes what hangs.
"""

from __future__ import annotations

from typing import Any

from lab.faults.fault import Effect, Options
from lab.faults.options import Option
from lab.faults.site import Site
from lab.faults.stuck import Stuck
from lab.strict.volumes import DEVICE
from transcoder.errors import Refused

SUMMARY = "the next attachment stays attaching for ever; another device name works"
OPTIONS = (
    Option("volume", "livepeer, geth or a volume id; default: any", "volume", subject=True),
    Option("device", "only under this name, such as /dev/sdg; default: any", subject=True),
    Option("count", "how many device names are spoilt; 0 for all", "integer", 1, least=0),
)


def on(site: Site, options: Options) -> Effect:
    """Hold the next attachments."""
    device = str(options.get("device", ""))
    if device and not DEVICE.match(device):
        raise Refused(f"{device!r} is not a device name", hint="such as /dev/sdg")
    volume = site.volume(str(options["volume"])).id if "volume" in options else ""
    stuck = Stuck(volume, device, int(options["count"]))
    site.seams.attaching.put(stuck, stuck)
    return Effect(f"the next attachment of {volume or 'a volume'} at {device or 'any name'} hangs", stuck)


def off(site: Site, _options: Options, memory: Any) -> str:
    """Let what hangs come to its end."""
    site.seams.attaching.take(memory)
    return "attachments come to their end"
