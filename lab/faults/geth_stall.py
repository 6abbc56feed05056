"""geth stalls in silence: its process runs, RPC answers, it has its peers, and no block comes in.

What operators of light nodes restart geth for every night (go-ethereum#17033, #15824, #27468). A restart of geth cures
it; with ``hold`` no restart does. Stand-in only.
"""

from __future__ import annotations

from typing import Any

from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE, Option
from lab.faults.site import Site
from lab.faults.standin_files import Entry, Told, gone

SUMMARY = "geth stalls in silence: it answers, and no block comes in, until it is restarted"
OPTIONS = (INSTANCE, Option("hold", "a restart does not cure it", "switch", False))
KEYS = {False: "until-restart", True: "held"}
over = gone


def told(options: Options) -> Told:
    """Return what geth is told."""
    held = bool(options["hold"])
    until = "whatever is restarted" if held else "until geth is restarted"
    happens = f"no block comes in to geth any more, {until}"
    return Told(Entry("geth", "STALL", KEYS[held]), "true", happens, "blocks come in to geth again")


def on(site: Site, options: Options) -> Effect:
    """Let no block come in."""
    return told(options).on(site, options)


def off(site: Site, options: Options, memory: Any) -> str:
    """Let blocks come in, unless a restart has done so."""
    return told(options).off(site, options, memory)
