"""The reward watch: is the round initialised, was its reward called, how much of the round is left.

Since 2020 livepeer tries once a round and never again, so that a failed call is lost unless somebody looks.
"""

from typing import Iterator, Optional, Tuple

from . import chain, events
from .ask import Rpc
from .events import Proof
from .livepeer import current_round, expected_address, is_initialized, own_record
from .model import ALARM, OK, WARN, Gauge, Item, NoAnswer, Node, Reading

EVENTS = ("slashed", "deactivated")


def look(node: Node) -> Iterator[Item]:
    """Yield the readings of the round, from the chain where there is an RPC endpoint, else from livepeer."""
    found, proof, why = _observe(node)
    yield from _gauges(found)
    yield _round(node, found)
    yield judge(node, found, proof, why)
    if node.config["rpc"]:
        if proof is None:
            raise NoAnswer(why)
        yield from (_event(node, proof, kind) for kind in EVENTS)


def _observe(node: Node) -> Tuple[chain.Round, Optional[Proof], str]:
    """Return the round, the proof from the chain, and why there is none."""
    if not node.config["rpc"]:
        return of_livepeer(node), None, "no RPC endpoint is known to the watch"
    rpc, address = Rpc(node.config["rpc"]), expected_address(node)
    try:
        where = chain.contracts(rpc, node.config["protocol"])
        found = chain.observe(rpc, node.config["protocol"], where, address)
    except NoAnswer as error:
        return of_livepeer(node), None, str(error)
    try:
        return found, events.scan(node, rpc, where, found, address), ""
    except NoAnswer as error:
        return found, None, str(error)


def of_livepeer(node: Node) -> chain.Round:
    """Return the round as livepeer tells it.

    How much of it has gone is not in its API: it is counted from when the watch first saw the round, so that the
    real share is this one or a later one.
    """
    api = node.config["livepeer"]
    number, record = current_round(api), own_record(api)
    seen, now = node.store.value("round"), node.now()
    if seen is None or seen[0] != number or now < seen[1]:
        seen = [number, now]
        node.store.put("round", seen)
    progress = min((now - seen[1]) / node.limit("round_seconds"), 1.0)
    last, active = int(record["LastRewardRound"] or 0), record.get("Active") is True
    return chain.Round(number, is_initialized(api), active, last, progress, None, None, from_chain=False)


def _gauges(found: chain.Round) -> Iterator[Gauge]:
    yield Gauge("round_number", {}, found.number)
    yield Gauge("round_initialized", {}, 1 if found.initialized else 0)
    yield Gauge("round_last_reward", {}, found.last_reward)
    if found.progress is not None:
        yield Gauge("round_progress", {}, found.progress)
    if found.left is not None:
        yield Gauge("round_blocks_left", {}, found.left)


def _share(found: chain.Round) -> str:
    least = "" if found.from_chain else "at least "
    left = "" if found.left is None else ", {} blocks left".format(found.left)
    return "{}{:.0f} % of round {} have gone{}".format(least, 100 * (found.progress or 0.0), found.number, left)


def _level(node: Node, found: chain.Round, name: str) -> int:
    gone = found.progress or 0.0
    if gone >= node.limit(name + "_alarm_share"):
        return ALARM
    return WARN if gone >= node.limit(name + "_warn_share") else OK


def _round(node: Node, found: chain.Round) -> Reading:
    if found.initialized:
        return Reading("round", "", OK, found.number, "round {} is initialised; {}".format(found.number, _share(found)))
    message = "round {} is not initialised; {}".format(found.number, _share(found))
    return Reading("round", "", _level(node, found, "round"), found.number, message)


def judge(node: Node, found: chain.Round, proof: Optional[Proof], why: str) -> Reading:
    """Say whether the reward of the round was called.

    The event decides once all blocks of the round were read; until then, and without events, the last reward's round.
    """
    if proof is not None and proof.reward is not None:
        message = "the reward of round {} was called: {block}, {transaction}".format(
            found.number, block="block {}".format(proof.reward["block"]), transaction=proof.reward["transaction"]
        )
        return Reading("reward", "", OK, found.last_reward, message)
    proven = proof is not None and proof.complete
    if found.last_reward >= found.number and not proven:
        message = "the reward of round {} was called, not proven by its event: {}".format(
            found.number, why or "the blocks of this round are still being read"
        )
        return Reading("reward", "", OK, found.last_reward, message)
    if not found.active:
        return Reading("reward", "", OK, found.last_reward, "not active in this round: there is no reward to call")
    if not found.initialized:
        message = "round {} is not initialised: no reward can be called yet".format(found.number)
        return Reading("reward", "", OK, found.last_reward, message)
    contradiction = (
        ", though the last reward is told to be of round {}".format(found.last_reward)
        if (found.last_reward >= found.number)
        else ""
    )
    message = "the reward of round {} was not called{}; {}".format(found.number, contradiction, _share(found))
    return Reading("reward", "", _level(node, found, "reward"), found.last_reward, message)


def _event(node: Node, proof: Proof, kind: str) -> Reading:
    found = [event for event in proof.others if event["kind"] == kind]
    if not found:
        hours = node.limit("event_hours")
        return Reading(kind, "", OK, 0.0, "no such event of the node's account within {:.0f} h".format(hours))
    last = found[-1]
    message = "the node's account was {}: block {}, {}".format(kind, last["block"], last["transaction"])
    return Reading(kind, "", ALARM, float(len(found)), message)
