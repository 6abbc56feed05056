"""Does geth follow the chain: peers, the age of its head, a head that advances. ``eth_syncing`` decides nothing.

It is false on a fresh node and on one that has stalled, and can stay an object after a sync that is done.
"""

from typing import Iterator, Tuple

from .ask import Rpc, quantity
from .model import ALARM, OK, WARN, Gauge, Item, NoAnswer, Node, Reading, below, span


def look(node: Node) -> Iterator[Item]:
    """Yield the readings of the machine's own geth."""
    rpc = Rpc(node.config["geth"]["url"])
    try:
        name = rpc.call("web3_clientVersion")
    except NoAnswer as error:
        yield Reading("geth-rpc", "", ALARM, 0.0, str(error))
        raise
    yield Reading("geth-rpc", "", OK, 1.0, "geth answers as {}".format(name))
    peers, least = rpc.number("net_peerCount"), int(node.limit("min_peers"))
    level = ALARM if peers < least else OK
    yield Reading("geth-peers", "", level, peers, "{} peers, at least {} wanted".format(peers, least))
    syncing = rpc.call("eth_syncing")
    yield Gauge("geth_syncing", {}, 0 if syncing is False else 1)
    yield from head(node, rpc, "geth-head", "geth-advancing", node.limit("head_age_seconds"))


def look_at_hosted(node: Node) -> Iterator[Item]:
    """Yield the readings of an RPC endpoint that others run."""
    rpc = Rpc(node.config["rpc"])
    try:
        yield from head(node, rpc, "rpc", "", node.limit("head_age_seconds"))
    except NoAnswer as error:
        yield Reading("rpc", "", ALARM, None, str(error))


def newest(rpc: Rpc) -> Tuple[int, int]:
    """Return the number of the newest block, and when it was made, in Unix seconds. Raises NoAnswer."""
    block = rpc.call("eth_getBlockByNumber", "latest", False)
    if not isinstance(block, dict):
        raise NoAnswer("eth_getBlockByNumber gave no block")
    return quantity("the head's number", block.get("number")), quantity("its time", block.get("timestamp"))


def head(node: Node, rpc: Rpc, age_check: str, advance_check: str, oldest: float) -> Iterator[Item]:
    """Yield how old the newest block is, and since when there has been no newer one."""
    number, born = newest(rpc)
    age = node.now() - born
    yield Gauge("chain_head_number", {}, number)
    yield Gauge("chain_head_age_seconds", {}, age)
    # A head of the future is a clock that is wrong: another check's, and no reason for this one to be green.
    level = OK if age <= oldest and number else WARN if age <= 2 * oldest and number else ALARM
    told = "block {} is {} old, wanted at most {}".format(number, span(age), span(oldest))
    yield Reading(age_check, "", level, age, told if number else "still at the genesis block")
    if advance_check:
        yield _advancing(node, advance_check, number, oldest)


def _advancing(node: Node, check: str, number: int, oldest: float) -> Reading:
    """Compare with the head of earlier looks: for how long has it been the same, or an earlier one?"""
    now, seen = node.now(), node.store.value("head")
    if seen is None or number > seen[0] or now < seen[1]:
        seen = [number, now]
        node.store.put("head", seen)
    still = now - seen[1]
    level = below(-still, -oldest, -2 * oldest)
    return Reading(check, "", level, still, "block {}, no newer one for {}".format(number, span(still)))
