"""geth's JSON-RPC: what the node sees of the chain. Answers of geth 1.8.27; the four methods exist up to 1.17.

``eth_syncing`` is wrong in both directions: false on a fresh node and on a stalled one without peers, an object for
ever after a finished fast sync. So it is kept as information, and `in_sync` goes by peers and by the head block.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from transcoder.facts.reading import unreadable

TOOL = "geth JSON-RPC"
PATH = "/"
CONTENT_TYPE = "application/json"
"""geth answers 415 to anything else."""
METHODS: tuple[tuple[str, list[object]], ...] = (
    ("net_peerCount", []),
    ("eth_getBlockByNumber", ["latest", False]),
    ("eth_syncing", []),
    ("eth_chainId", []),
)
BODY = json.dumps(
    [
        {"jsonrpc": "2.0", "id": number, "method": name, "params": params}
        for number, (name, params) in enumerate(METHODS)
    ]
)
"""The request: one batch, so that the four answers belong to one moment."""


def command(url: str = "http://127.0.0.1:8545") -> tuple[str, ...]:
    """Return the command that posts `BODY`.

    15 s is what a light client may take for one answer. ``url`` must name localhost or an address: geth answers 403 to
    other names.
    """
    header = f"Content-Type: {CONTENT_TYPE}"
    return ("curl", "--silent", "--show-error", "--fail", "--max-time", "15", "--header", header, "--data", BODY, url)


@dataclass(frozen=True)
class ChainState:
    """One look at the chain. ``head_timestamp`` in Unix seconds, 0 for the genesis block."""

    peers: int
    head: int
    head_timestamp: int
    syncing: bool
    chain_id: int


def parse_geth_rpc(text: str) -> ChainState:
    """Return the state of the chain from the answer to `BODY`.

    :raises Failed: when an answer is missing, is an error (``-32000 no suitable peers available``) or has another form.
    """
    results = _results(text)
    block = results["eth_getBlockByNumber"]
    if not isinstance(block, dict):
        raise unreadable(TOOL, "eth_getBlockByNumber gave no block", json.dumps(block))
    syncing = results["eth_syncing"]
    if syncing is not False and not isinstance(syncing, dict):
        raise unreadable(TOOL, "eth_syncing gave neither false nor an object", json.dumps(syncing))
    return ChainState(
        peers=_quantity("net_peerCount", results["net_peerCount"]),
        head=_quantity("the head's number", block.get("number")),
        head_timestamp=_quantity("the head's timestamp", block.get("timestamp")),
        syncing=syncing is not False,
        chain_id=_quantity("eth_chainId", results["eth_chainId"]),
    )


def in_sync(
    previous: ChainState | None, current: ChainState, now: float, max_head_age: float, *, min_peers: int = 1
) -> tuple[bool, str]:
    """Tell whether the node follows the chain, and why (not).

    :param previous: an earlier look; blocks are seconds apart, so keep the first one and compare each later look
        with it. None while there is only one look.
    :param now: the machine's own clock, in Unix seconds.
    :param max_head_age: seconds; the head block may be this old.
    :param min_peers: 1 for a light client; 3 is sensible for a full node.
    """
    reasons = _reasons_against(current, now, max_head_age, min_peers) or _reasons_of_two(previous, current)
    if reasons:
        return False, "; ".join(reasons)
    return True, f"block {current.head}, {now - current.head_timestamp:.0f} s old, {current.peers} peers"


LOADED = re.compile(r"Loaded most recent local (?:header|block|full block)\s+number=([\d,]+)")
"""What geth logs when it opens its chain (core/blockchain.go loadLastState, light/lightchain.go): where it goes on."""


def loaded_head(journal: str) -> int | None:
    """Return the head that geth had on disk when it last started, from its journal; None where it does not say.

    Of several such lines of one start (header, block) the highest counts; of several starts the last.
    """
    starts = re.split(r"Starting (?:peer-to-peer node|Geth)|Maximum peer count", journal)
    found = [int(number.replace(",", "")) for number in LOADED.findall(starts[-1])]
    return max(found, default=None)


def has_advanced(loaded: int, current: ChainState) -> ChainState:
    """Return the look that geth itself has taken when it started, to compare ``current`` with."""
    return ChainState(current.peers, loaded, 0, current.syncing, current.chain_id)


def _reasons_against(current: ChainState, now: float, max_head_age: float, min_peers: int) -> list[str]:
    age = now - current.head_timestamp
    checks = (
        (current.peers < min_peers, f"{current.peers} peers, at least {min_peers} wanted"),
        (current.head == 0, "still at the genesis block"),
        (
            current.head > 0 and age > max_head_age,
            f"block {current.head} is {age:.0f} s old, wanted {max_head_age:.0f}",
        ),
    )
    return [reason for bad, reason in checks if bad]


def _reasons_of_two(previous: ChainState | None, current: ChainState) -> list[str]:
    if previous is None:
        return [f"block {current.head} seen once, a second look must find a later one"]
    checks = (
        (current.chain_id != previous.chain_id, f"chain {current.chain_id} now, {previous.chain_id} before"),
        (current.head <= previous.head, f"block {current.head} has not advanced from {previous.head}"),
    )
    return [reason for bad, reason in checks if bad]


def _results(text: str) -> dict[str, Any]:
    """Return method name -> result; a batch may be answered in any order, the ids tell."""
    answers = {answer.get("id"): answer for answer in _batch(text)}
    results = {}
    for number, (name, _) in enumerate(METHODS):
        answer = answers.get(number)
        if answer is None:
            raise unreadable(TOOL, f"no answer to {name}", text)
        if "result" not in answer:
            raise unreadable(TOOL, f"{name} failed", json.dumps(answer.get("error", answer)))
        results[name] = answer["result"]
    return results


def _batch(text: str) -> list[dict[str, Any]]:
    try:
        answers = json.loads(text)
    except json.JSONDecodeError as error:
        raise unreadable(TOOL, f"not valid JSON ({error.msg})", text) from error
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise unreadable(TOOL, "expected the answer to a batch, a list of objects", text)
    return answers


def _quantity(what: str, value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"0x[0-9a-fA-F]+", value):
        raise unreadable(TOOL, f"expected a 0x number for {what}", json.dumps(value))
    return int(value, 16)
