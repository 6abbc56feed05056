"""geth finds no peer: it answers, no block comes in, and it is never in sync, however often it is restarted.

What becomes of a light client when nobody serves light clients any more (go-ethereum#20101, #27468). Stand-in only.
"""

from __future__ import annotations

from lab.faults.standin_files import Entry, Told, gone

SUMMARY = "geth finds no peer, and is never in sync, however often it is restarted"
_TOLD = Told(Entry("geth", "STALL", "no-peers"), "true", "geth has no peer", "geth has its peer again")
OPTIONS = _TOLD.OPTIONS
on, off, over = _TOLD.on, _TOLD.off, gone
