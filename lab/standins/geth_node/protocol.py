"""The Livepeer contracts of 2018 as far as a node and its watchers ask them, at their addresses on the main net.

Calls are recognised by the first four bytes of the hash of their signature, as the EVM does; the answers are
32-byte words. Which accounts are transcoders is not modelled: every account is a registered, active one.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ..common.keccak import keccak_256

LPT = 10**18
DEFAULT_BALANCE = 10**18
GAS_USED = 180000


def _named(name: str) -> bytes:
    """A made-up address for a contract of which no more than the name matters here."""
    return keccak_256(b"stand-in contract " + name.encode())[12:]


CONTRACTS = {
    "Controller": bytes.fromhex("f96d54e490317c557a967abfa5d6e33006be69b3"),
    "BondingManager": bytes.fromhex("511bc4556d823ae99630ae8de28b9b80df90ea2e"),
    "RoundsManager": bytes.fromhex("3984fc4ceeef1739135476f625d36d6c35c40dc3"),
    "LivepeerToken": bytes.fromhex("58b6a8a3302369daec383334672404ee733ab239"),
    "JobsManager": _named("JobsManager"),
    "Minter": _named("Minter"),
    "TicketBroker": _named("TicketBroker"),
    "ServiceRegistry": _named("ServiceRegistry"),
    "LivepeerTokenFaucet": bytes(20),
}
REWARD_TOPIC = keccak_256(b"Reward(address,uint256)")
NEW_ROUND_TOPIC = keccak_256(b"NewRound(uint256)")


class Rules(NamedTuple):
    """What the network lays down. `init_blocks`: how long after its start somebody initializes a round, in blocks."""

    round_length: int = 5760
    init_blocks: int = 5


class Reverted(Exception):
    """The contract refuses the call; a transaction still costs its gas."""


def selector(signature: str) -> bytes:
    """The four bytes that name a function, such as "reward()"."""
    return keccak_256(signature.encode())[:4]


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


class Contracts:
    """Answers calls from `state` (a JSON object that the caller keeps and stores)."""

    def __init__(self, state: Dict[str, Any], rules: Rules, decree: Callable[[], Dict[str, Any]] = dict) -> None:
        """`decree`: what is so whatever the transactions were (see lab/standins/README.md, NETWORK)."""
        self.state = state
        self.rules = rules
        self._decree = decree
        self.changed = False  # by a mere question: the caller stores the state at its next opportunity
        for name in ("last_reward_round", "balances", "nonces"):
            state.setdefault(name, {})
        state.setdefault("initialized_round", 0)
        self._views: Dict[bytes, Callable[[int, bytes], bytes]] = {
            to + selector(signature): answer
            for to, table in self._tables().items()
            for signature, answer in table.items()
        }

    def _tables(self) -> Dict[bytes, Dict[str, Callable[[int, bytes], bytes]]]:
        def constant(value: int) -> Callable[[int, bytes], bytes]:
            return lambda _block, _data: _word(value)

        length = self.rules.round_length
        rounds: Dict[str, Callable[[int, bytes], bytes]] = {
            "currentRound()": lambda block, _: _word(block // length),
            "currentRoundInitialized()": lambda block, _: _word(self.is_initialized(block)),
            "currentRoundStartBlock()": lambda block, _: _word(block // length * length),
            "currentRoundLocked()": lambda block, _: _word(block % length >= length - length // 10),
            "lastInitializedRound()": lambda block, _: _word(self._last_initialized(block)),
            "roundLength()": constant(length),
            "roundLockAmount()": constant(100000),
            "blockNum()": lambda block, _: _word(block),
        }
        bonding: Dict[str, Callable[[int, bytes], bytes]] = {
            "getTranscoder(address)": self._get_transcoder,
            "transcoderStatus(address)": lambda _block, _data: _word(not self._decree().get("unregistered")),
            "isActiveTranscoder(address,uint256)": constant(1),
            "isActiveTranscoder(address)": constant(1),
            "transcoderTotalStake(address)": constant(5000 * LPT),
            "getTotalBonded()": constant(9_000_000 * LPT),
            "numActiveTranscoders()": constant(15),
            "unbondingPeriod()": constant(7),
        }
        return {
            CONTRACTS["RoundsManager"]: rounds,
            CONTRACTS["BondingManager"]: bonding,
            CONTRACTS["LivepeerToken"]: {"balanceOf(address)": constant(100 * LPT), "totalSupply()": constant(10**25)},
            CONTRACTS["Minter"]: {
                "inflation()": constant(140500),
                "inflationChange()": constant(3),
                "targetBondingRate()": constant(500000),
            },
            CONTRACTS["Controller"]: {"getContract(bytes32)": self._get_contract, "paused()": constant(0)},
        }

    def call(self, to: bytes, data: bytes, block: int) -> bytes:
        """eth_call: the answer of a view; empty for an address without code, Reverted for an unknown function."""
        answer = self._views.get(to + data[:4])
        if answer:
            return answer(block, data[4:])
        if to in CONTRACTS.values():
            raise Reverted("the stand-in's contracts have no function with the selector 0x" + data[:4].hex())
        return b""

    def transact(self, sender: bytes, to: bytes, data: bytes, block: int) -> List[Dict[str, Any]]:
        """Carry out a transaction's call and return the events (address, topics, data); Reverted if it is refused."""
        if to == CONTRACTS["BondingManager"] and data[:4] == selector("reward()"):
            return [self._reward(sender, block)]
        if to == CONTRACTS["RoundsManager"] and data[:4] == selector("initializeRound()"):
            return [self._initialize(block)]
        if to in CONTRACTS.values():
            raise Reverted("unknown function")
        return []

    def is_initialized(self, block: int) -> bool:
        """Whether the round of `block` has been initialized, by a transaction or by "somebody else" in the network."""
        if self._decree().get("uninitialized"):
            return False
        return self._last_initialized(block) == block // self.rules.round_length

    def _last_initialized(self, block: int) -> int:
        current, into = divmod(block, self.rules.round_length)
        by_others = current if into >= self.rules.init_blocks else current - 1
        return max(by_others, int(self.state["initialized_round"]))

    def last_reward_round(self, address: bytes, block: int) -> int:
        """An account first seen counts as rewarded in the round before, so that this round's reward is due."""
        seen = self.state["last_reward_round"]
        if address.hex() not in seen:
            seen[address.hex()] = max(block // self.rules.round_length - 1, 0)
            self.changed = True
        return int(seen[address.hex()])

    def balance(self, address: bytes) -> int:
        """In wei."""
        decreed = self._decree().get("balance")
        if decreed is not None:
            return int(decreed)
        return int(self.state["balances"].get(address.hex(), DEFAULT_BALANCE))

    def _get_transcoder(self, block: int, data: bytes) -> bytes:
        address = data[12:32]
        words = [self.last_reward_round(address, block), 50000, 500000, 150 * 10**9, 50000, 500000, 150 * 10**9]
        return b"".join(_word(word) for word in words)

    def _get_contract(self, _block: int, data: bytes) -> bytes:
        by_hash = {keccak_256(name.encode()): address for name, address in CONTRACTS.items()}
        found: Optional[bytes] = by_hash.get(data[:32])
        return bytes(12) + (found or bytes(20))

    def _reward(self, sender: bytes, block: int) -> Dict[str, Any]:
        current = block // self.rules.round_length
        if not self.is_initialized(block):
            raise Reverted("the current round is not initialized")
        if self.last_reward_round(sender, block) >= current:
            raise Reverted("the reward of this round was called before")
        self.state["last_reward_round"][sender.hex()] = current
        topics = [REWARD_TOPIC, bytes(12) + sender]
        return {"address": CONTRACTS["BondingManager"], "topics": topics, "data": _word(94 * LPT)}

    def _initialize(self, block: int) -> Dict[str, Any]:
        if self.is_initialized(block):
            raise Reverted("the current round is initialized")
        if self._decree().get("uninitialized"):
            raise Reverted("system is paused")
        current = block // self.rules.round_length
        self.state["initialized_round"] = current
        return {"address": CONTRACTS["RoundsManager"], "topics": [NEW_ROUND_TOPIC], "data": _word(current)}
