"""The node is no registered transcoder any more, on the chain as the stand-in knows it: resigned, or evicted."""

from __future__ import annotations

from lab.faults.standin_files import Entry, Told, gone

SUMMARY = "the node is no registered transcoder any more"
_TOLD = Told(Entry("geth", "NETWORK", "unregistered"), "true", "nobody is registered", "everybody is registered again")
OPTIONS = _TOLD.OPTIONS
on, off, over = _TOLD.on, _TOLD.off, gone
