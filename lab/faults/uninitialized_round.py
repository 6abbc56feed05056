"""Nobody initializes the round, and nobody can: the protocol is paused, on the chain as the stand-in knows it."""

from __future__ import annotations

from lab.faults.standin_files import Entry, Told, gone

SUMMARY = "the round is not initialized, and cannot be"
_TOLD = Told(
    Entry("geth", "NETWORK", "uninitialized"), "true", "no round is initialized", "rounds are initialized again"
)
OPTIONS = _TOLD.OPTIONS
on, off, over = _TOLD.on, _TOLD.off, gone
