"""livepeer's HTTP API: is it up, and with which account. The bodies are those of 0.2.4 (from its source).

0.2.4 serves API and media on one port, 8935 on 127.0.0.1. Most of its handlers log an error and answer 200 with an
empty body, so an empty body is a failure here. Every route is unauthenticated and accepts GET, and many of them spend
money: only the two routes below are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcoder.facts.address import parse_address
from transcoder.facts.reading import json_object, text_at, unreadable

TOOL = "livepeer API"
STATUS = "/status"
ETH_ADDR = "/ethAddr"


def command(path: str, base: str = "http://127.0.0.1:8935") -> tuple[str, ...]:
    """Return the command that asks for ``path`` (`STATUS` or `ETH_ADDR`)."""
    return ("curl", "--silent", "--show-error", "--fail", "--max-time", "10", base + path)


@dataclass(frozen=True)
class Status:
    """What `STATUS` tells: the libp2p identity (0.2 only, empty later) and the streams it serves."""

    node_id: str
    manifests: tuple[str, ...]


def parse_status(body: str) -> Status:
    """Return the status.

    :raises Failed: for an empty body, which livepeer sends with 200 when it failed, or one of another form.
    """
    table = json_object(TOOL, _filled(STATUS, body))
    manifests = table.get("Manifests")
    if not isinstance(manifests, dict | None) or "Manifests" not in table:
        raise unreadable(TOOL, f"{STATUS} has no object 'Manifests'", body)
    return Status(node_id=text_at(TOOL, table, "NodeID"), manifests=tuple(manifests or ()))


def parse_eth_addr(body: str) -> str:
    """Return the account that livepeer runs with, as `transcoder.facts.address` writes it.

    :raises Failed: for an empty body (no connection to geth, or no account), or what is no address.
    """
    return parse_address(f"{TOOL}, {ETH_ADDR}", _filled(ETH_ADDR, body))


def _filled(path: str, body: str) -> str:
    if not body.strip():
        raise unreadable(TOOL, f"{path} answered with an empty body, which is how it tells that it failed")
    return body
