"""The node's account has 0.0001 ETH left, on the chain as the stand-in knows it: too little for a transaction."""

from __future__ import annotations

from lab.faults.standin_files import Entry, Told, gone

SUMMARY = "the node's account has no ETH left for gas"
WEI = 10**14
_TOLD = Told(
    Entry("geth", "NETWORK", "balance"), str(WEI), "every account has 0.0001 ETH", "accounts have what they had"
)
OPTIONS = _TOLD.OPTIONS
on, off, over = _TOLD.on, _TOLD.off, gone
