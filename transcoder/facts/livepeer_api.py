"""livepeer's HTTP API: is it up, and with which account. The bodies are those of 0.2.4 (from its source).

0.2.4 serves API and media on one port, 8935 on 127.0.0.1. Most of its handlers log an error and answer 200 with an
empty body, so an empty body is a failure here. Every route is unauthenticated and accepts GET, and many of them spend
money: only the routes below are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcoder.facts.address import parse_address
from transcoder.facts.reading import json_object, text_at, unreadable, whole_number

TOOL = "livepeer API"
STATUS = "/status"
ETH_ADDR = "/ethAddr"
CURRENT_ROUND = "/currentRound"
ROUND_INITIALIZED = "/roundInitialized"
TRANSCODER_INFO = "/transcoderInfo"


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


@dataclass(frozen=True)
class RoundState:
    """The protocol's round and the transcoder in it. Rounds are numbers; ``last_reward`` is that of the last reward."""

    current: int
    initialized: bool
    active: bool
    last_reward: int

    @property
    def reward_pending(self) -> bool:
        """Tell whether the reward of this round is still to be called (go-livepeer eth/eventservices/rewardservice.go).

        A round that is not initialized has none yet, and a transcoder that is not active gets none.
        """
        return self.initialized and self.active and self.last_reward < self.current


def parse_round(current: str, initialized: str, info: str) -> RoundState:
    """Return the round from the bodies of `CURRENT_ROUND`, `ROUND_INITIALIZED` and `TRANSCODER_INFO` (0.2.4).

    :raises Failed: for an empty body (no connection to geth), or one of another form.
    """
    table = json_object(TOOL, _filled(TRANSCODER_INFO, info))
    if _filled(ROUND_INITIALIZED, initialized).strip() not in ("true", "false"):
        raise unreadable(TOOL, f"{ROUND_INITIALIZED}: expected true or false", initialized)
    return RoundState(
        current=whole_number(TOOL, "the round", _filled(CURRENT_ROUND, current).strip()),
        initialized=initialized.strip() == "true",
        active=table.get("Active") is True,
        last_reward=whole_number(TOOL, "LastRewardRound", table.get("LastRewardRound") or 0),
    )


def _filled(path: str, body: str) -> str:
    if not body.strip():
        raise unreadable(TOOL, f"{path} answered with an empty body, which is how it tells that it failed")
    return body
