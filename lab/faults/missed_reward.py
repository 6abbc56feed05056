"""livepeer does not call its reward by itself, and says nothing of it. Stand-in only; ``fab reward`` calls it."""

from __future__ import annotations

from lab.faults.standin_files import Entry, Told, gone

SUMMARY = "livepeer does not call its reward by itself"
_TOLD = Told(
    Entry("livepeer", "NO-REWARD", "idle"), "true", "livepeer calls no reward", "livepeer calls its reward again"
)
OPTIONS = _TOLD.OPTIONS
on, off, over = _TOLD.on, _TOLD.off, gone
