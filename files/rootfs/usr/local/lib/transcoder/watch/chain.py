"""What the contracts say of the round and of the node, by eth_call: the same for every version of livepeer."""

from typing import Any, Dict, NamedTuple, Optional

from .ask import Rpc
from .model import NoAnswer

CURRENT_ROUND = "0x8a19c8bc"
INITIALIZED = "0x219bc76c"
START_BLOCK = "0x8fa148f2"
ROUND_LENGTH = "0x8b649b94"
BLOCK_NUMBER = "0x8ae63d6d"
"""RoundsManager.blockNum(): on Arbitrum it counts Ethereum's blocks, as rounds do."""
GET_TRANSCODER = "0x5dce9948"
"""Its first word is the round of the last reward, in 2018 and now."""
IS_ACTIVE = "0x08802374"
IS_ACTIVE_IN_ROUND = "0x7c0207cb"
"""isActiveTranscoder(address) and, in 2018, (address,uint256)."""
GET_CONTRACT = "0xe16c7d98"


class Round(NamedTuple):
    """The protocol's round and the node in it.

    ``progress``: the share of the round that has gone, None where it cannot be known; ``left`` and ``start`` in blocks
    that rounds are counted in; ``from_chain``: asked from the contracts, not from livepeer.
    """

    number: int
    initialized: bool
    active: bool
    last_reward: int
    progress: Optional[float]
    left: Optional[int]
    start: Optional[int]
    from_chain: bool


def address_word(address: str) -> str:
    """Return an address as 32 bytes in hexadecimal, without 0x."""
    return address[2:].lower().rjust(64, "0")


def contracts(rpc: Rpc, protocol: Dict[str, Any]) -> Dict[str, str]:
    """Return the addresses of the contracts as the Controller has them now: they can be exchanged."""
    return {name: _registered(rpc, protocol["controller"], key) for name, key in protocol["contracts"].items()}


def _registered(rpc: Rpc, controller: str, key: str) -> str:
    found = rpc.words(controller, GET_CONTRACT + key)[0]
    if not found:
        raise NoAnswer("the Controller {} does not know the contract {}".format(controller, key[:10]))
    return "0x{:040x}".format(found)


def observe(rpc: Rpc, protocol: Dict[str, Any], where: Dict[str, str], address: str) -> Round:
    """Return the round; raises NoAnswer when one of the questions has no answer."""
    rounds, bonding = where["RoundsManager"], where["BondingManager"]
    number = rpc.words(rounds, CURRENT_ROUND)[0]
    start, length = rpc.words(rounds, START_BLOCK)[0], rpc.words(rounds, ROUND_LENGTH)[0]
    gone = max(rpc.words(rounds, BLOCK_NUMBER)[0] - start, 0)
    own = address_word(address)
    question = IS_ACTIVE_IN_ROUND + own + "{:064x}".format(number) if protocol["active_by_round"] else IS_ACTIVE + own
    return Round(
        number=number,
        initialized=bool(rpc.words(rounds, INITIALIZED)[0]),
        active=bool(rpc.words(bonding, question)[0]),
        last_reward=rpc.words(bonding, GET_TRANSCODER + own)[0],
        progress=min(gone / length, 1.0) if length else None,
        left=max(length - gone, 0),
        start=start,
        from_chain=True,
    )
