"""The events of the expected address, read block by block: the proof of a reward, slashing, deactivation.

An event names the transcoder whatever function was called and whoever paid for it; input data do not.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from .ask import Rpc, quantity
from .chain import Round, address_word
from .model import Denied, NoAnswer, Node

KEY = "events"
CHUNKS = 10
"""Questions in one look: after a restart the rest of the round is read over the next looks."""
SETTLED = 12
"""Blocks at the head that are read again, for another block can still take their place."""
MARGIN = 1.25
"""Of the estimate where a round began, in blocks of a second layer."""


class Proof(NamedTuple):
    """``complete``: every block of the round has been read. ``reward``: the event of this round, where there is one."""

    complete: bool
    reward: Optional[Dict[str, Any]]
    others: List[Dict[str, Any]]


def scan(node: Node, rpc: Rpc, where: Dict[str, str], found: Round, address: str) -> Proof:
    """Read the blocks since the last look, and return what is known of the round.

    Raises NoAnswer when the endpoint gives no events; what was read until then is kept.
    """
    protocol, head = node.config["protocol"], rpc.number("eth_blockNumber")
    state = _state(node, found, address, _begin(protocol, found, head))
    if state["next"] > head:
        _go_back(state, head)
    _read_on(node, state, head, lambda last: _read(node, rpc, where, found, address, state, last))
    proof = _proof(node, protocol, found, state, head)
    state["next"] = max(state["begin"], min(state["next"], head + 1 - SETTLED))
    node.store.put(KEY, state)
    return proof


def _go_back(state: Dict[str, Any], head: int) -> None:
    """Forget what was read of a chain that has become shorter, by more than what is read again in any case."""
    first = state["next"] = max(state["begin"], head + 1 - SETTLED)
    state["found"] = [event for event in state["found"] if event["block"] < first]
    if state["opened"] is not None and state["opened"] >= first:
        state["opened"] = None


def _read_on(node: Node, state: Dict[str, Any], head: int, read: Callable[[int], None]) -> None:
    """Read on to the head, in at most `CHUNKS` questions.

    How many blocks an endpoint allows in one question is its own affair, and so are its words for that: whatever it
    denies is asked for again with half of the blocks, and what worked is remembered for this round.
    """
    most = int(node.config["protocol"]["log_blocks"])
    span = min(state.get("span") or most, most)
    denied: Optional[Denied] = None
    for _ in range(CHUNKS):
        if state["next"] > head:
            return
        last = min(state["next"] + span - 1, head)
        try:
            read(last)
        except Denied as error:
            if last == state["next"]:
                raise
            denied, span = error, (last - state["next"] + 1) // 2
        else:
            denied = None
            state.update(next=last + 1, span=span)
            node.store.put(KEY, state)
    if denied is not None:
        raise denied


def _begin(protocol: Dict[str, Any], found: Round, head: int) -> int:
    """Return the block to read from: the round's first, or on a second layer one that is surely before it."""
    if not protocol["blocks_per_block"]:
        return found.start or 0
    gone = (found.progress or 0.0) * protocol["round_blocks"]
    return max(int(head - MARGIN * (gone + SETTLED) * protocol["blocks_per_block"]), 0)


def _state(node: Node, found: Round, address: str, begin: int) -> Dict[str, Any]:
    """Return how far events were read; it is begun anew for another account, and after a long absence."""
    state = node.store.value(KEY)
    fresh = {"address": address, "round": found.number, "begin": begin, "next": begin, "found": [], "opened": None}
    if state is None or state["address"] != address:
        return fresh
    if state["round"] == found.number:
        return dict(state)
    kept = [item for item in state["found"] if item["kind"] != "reward" or item["block"] >= begin]
    # What was read without a gap goes on being read; the round before it is of no interest any more.
    return dict(fresh, next=min(begin, state["next"]) if state["next"] > begin - 100000 else begin, found=kept)


def _read(
    node: Node, rpc: Rpc, where: Dict[str, str], found: Round, address: str, state: Dict[str, Any], last: int
) -> None:
    protocol, first = node.config["protocol"], state["next"]
    blocks = {"fromBlock": hex(first), "toBlock": hex(last)}
    topics = [sorted(protocol["events"]), "0x" + address_word(address)]
    logs = _logs(rpc, dict(blocks, address=where["BondingManager"], topics=topics))
    known = {item["id"]: item for item in state["found"]}
    state["found"] = [item for item in state["found"] if item["block"] < first]
    for log in logs:
        item = _event(protocol["events"], log, node.now())
        state["found"].append(known.get(item["id"], item))
    if protocol["blocks_per_block"] and state["opened"] is None:
        topics = [protocol["new_round"], "0x{:064x}".format(found.number)]
        opened = _logs(rpc, dict(blocks, address=where["RoundsManager"], topics=topics))
        state["opened"] = quantity("a block", opened[0]["blockNumber"]) if opened else None


def _logs(rpc: Rpc, question: Dict[str, Any]) -> List[Dict[str, Any]]:
    logs = rpc.call("eth_getLogs", question)
    if not isinstance(logs, list):
        raise NoAnswer("eth_getLogs gave no list")
    return [log for log in logs if isinstance(log, dict) and not log.get("removed")]


def _event(kinds: Dict[str, str], log: Dict[str, Any], now: float) -> Dict[str, Any]:
    try:
        kind, transaction = kinds[log["topics"][0]], str(log["transactionHash"])
        block, index = quantity("a block", log["blockNumber"]), str(log["logIndex"])
    except (KeyError, IndexError, TypeError):
        raise NoAnswer("eth_getLogs gave something that was not asked for") from None
    identity = "{}:{}:{}".format(block, transaction, index)
    return {"id": identity, "kind": kind, "block": block, "transaction": transaction, "seen": now}


def _proof(node: Node, protocol: Dict[str, Any], found: Round, state: Dict[str, Any], head: int) -> Proof:
    first = state["opened"] if protocol["blocks_per_block"] else found.start
    rewards = [] if first is None else [e for e in state["found"] if e["kind"] == "reward" and e["block"] >= first]
    oldest = node.now() - 3600 * node.limit("event_hours")
    others = [event for event in state["found"] if event["kind"] != "reward" and event["seen"] >= oldest]
    state["found"] = others + [event for event in state["found"] if event["kind"] == "reward"]
    return Proof(state["next"] > head and first is not None, rewards[-1] if rewards else None, others)
