"""livepeer's HTTP API: is it up, with which account, in which round. How each version is asked: the catalog.

Up to v0.5.29 most handlers log an error and answer 200 with an empty body, so an empty body is a failure here. Every
route is unauthenticated and accepts GET, and many of them spend money: only what is below is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcoder.catalog.livepeer_api import Api
from transcoder.facts.address import parse_address
from transcoder.facts.reading import json_object, text_at, unreadable, whole_number

TOOL = "livepeer API"
NUMBER_IN_BYTES = (
    "import sys, urllib.request as u; o = u.build_opener(u.ProxyHandler({})); "
    "print(int.from_bytes(o.open(sys.argv[1], timeout=10).read(), 'big'))"
)
"""Python that prints the number of an answer which is big-endian bytes: those would not survive as text."""


def command(route: str, base: str) -> tuple[str, ...]:
    """Return the command that asks for a route, in the words of `transcoder.catalog.livepeer_api`."""
    return ("curl", "--silent", "--show-error", "--fail", "--max-time", "10", base + route)


def address_command(api: Api) -> tuple[str, ...]:
    """Return the command that asks for the account: `parse_eth_addr`."""
    return command(api.address, api.base)


def round_commands(api: Api) -> tuple[tuple[str, ...], ...]:
    """Return the commands that ask for round, whether it is initialized, and the node's own record: `parse_round`."""
    number = command(api.current_round, api.base)
    if api.round_form == "bytes":
        number = ("python3", "-c", NUMBER_IN_BYTES, api.base + api.current_round)
    return number, command(api.round_initialized, api.base), command(api.own_record.route, api.base)


@dataclass(frozen=True)
class Status:
    """What ``/status`` tells: the libp2p identity (0.2 only, empty later) and the streams it serves."""

    node_id: str
    manifests: tuple[str, ...]


def parse_status(body: str) -> Status:
    """Return the status.

    :raises Failed: for an empty body, which livepeer sends with 200 when it failed, or one of another form.
    """
    table = json_object(TOOL, _filled("/status", body))
    manifests = table.get("Manifests")
    if not isinstance(manifests, dict | None) or "Manifests" not in table:
        raise unreadable(TOOL, "/status has no object 'Manifests'", body)
    return Status(node_id=text_at(TOOL, table, "NodeID"), manifests=tuple(manifests or ()))


def parse_eth_addr(body: str) -> str:
    """Return the account that livepeer runs with, as `transcoder.facts.address` writes it.

    :raises Failed: for an empty body (no connection to geth, or no account), or what is no address.
    """
    return parse_address(f"{TOOL}, /ethAddr", _filled("/ethAddr", body))


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


def parse_round(api: Api, current: str, initialized: str, record: str) -> RoundState:
    """Return the round from what `round_commands` have printed.

    :raises Failed: for an empty body (no connection to its chain), or one of another form.
    """
    table = _own_record(api, record)
    if _filled(api.round_initialized, initialized).strip() not in ("true", "false"):
        raise unreadable(TOOL, f"{api.round_initialized}: expected true or false", initialized)
    return RoundState(
        current=whole_number(TOOL, "the round", _filled(api.current_round, current).strip()),
        initialized=initialized.strip() == "true",
        active=table.get("Active") is True,
        last_reward=whole_number(TOOL, "LastRewardRound", table.get("LastRewardRound") or 0),
    )


def parse_contracts(body: str) -> dict[str, str]:
    """Return the protocol's contracts that livepeer works with, by name; none of an empty body.

    :raises Failed: for one of another form.
    """
    if not body.strip():
        return {}
    table = json_object(TOOL, body)
    return {name: address for name, address in table.items() if isinstance(address, str) and address}


def _own_record(api: Api, body: str) -> dict[str, object]:
    """Return the node's own record, which stands at the top of the answer or below a key."""
    where = api.own_record
    table = json_object(TOOL, _filled(where.route, body))
    found = table.get(where.key) if where.key else table
    if not isinstance(found, dict):
        raise unreadable(TOOL, f"{where.route} has no object {where.key!r}", body)
    return found


def _filled(path: str, body: str) -> str:
    if not body.strip():
        raise unreadable(TOOL, f"{path} answered with an empty body, which is how it tells that it failed")
    return body
