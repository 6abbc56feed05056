"""Livepeer's contracts, by network: where they are, what they log, how long a round is.

Hashes are keccak-256 of the names and signatures beside them; a test computes them anew.
"""

from __future__ import annotations

from dataclasses import dataclass

CONTRACT_KEYS = {
    "BondingManager": "2517d59a36a86548e38734e8ab416f42afff4bca78706a66ad65750dae7f9e37",
    "RoundsManager": "e8438ea868df48e3fc21f2f087b993c9b1837dc0f6135064161ce7d7a1701fe8",
}
"""What Controller.getContract(bytes32) takes."""
EVENTS = {
    "Reward(address,uint256)": "619caafabdd75649b302ba8419e48cccf64f37f1983ac4727cfb38b57703ffc9",
    "TranscoderSlashed(address,address,uint256,uint256)": (
        "f4b71fed8e2c9a8c67c388bc6d35ad20b9368a24eed6d565459f2b277b6c0c22"
    ),
    "TranscoderDeactivated(address,uint256)": "fee3e693fc72d0a0a673805f3e606c551f4c677b9072444b90dd2d0406bc995c",
    "TranscoderEvicted(address)": "0005588101bf85a737dacb8be2233b33113aaa5c5743525cfbfe2f6a77c2f6ff",
    "TranscoderResigned(address)": "c6be59bdc33151833b6dbb6823a9bddecde3c685a1bf4d253d20b4a93fbae56c",
    "NewRound(uint256,bytes32)": "22f2fc17c5daf07db2379b3a03a8ef20a183f761097a58fce219c8a14619e786",
}
"""Events of livepeer/protocol, IBondingManager.sol and IRoundsManager.sol; the address or round comes first, indexed.

2018 had Evicted and Resigned; since 2019 (Streamflow) it is Deactivated. Reward and Slashed are the same in both.
"""
KINDS = {
    "Reward(address,uint256)": "reward",
    "TranscoderSlashed(address,address,uint256,uint256)": "slashed",
    "TranscoderDeactivated(address,uint256)": "deactivated",
    "TranscoderEvicted(address)": "deactivated",
    "TranscoderResigned(address)": "deactivated",
}
"""What an event of the node's own account means for it."""


@dataclass(frozen=True)
class Protocol:
    """The protocol on one network.

    ``round_blocks`` of ``block_seconds`` each are a round, as far as it is known (the contract is asked where it can
    be). ``blocks_per_block``: blocks of the second layer to one that rounds are counted in, 0 on Ethereum itself.
    ``active_by_round``: isActiveTranscoder takes a round.
    """

    controller: str
    round_blocks: int
    block_seconds: float
    blocks_per_block: int
    active_by_round: bool

    @property
    def round_seconds(self) -> int:
        """How long a round is."""
        return round(self.round_blocks * self.block_seconds)


PROTOCOLS = {
    # Livepeer's documentation of 2018: 5760 blocks of some 15 s.
    "mainnet": Protocol("0xf96d54e490317c557a967abfa5d6e33006be69b3", 5760, 15.0, 0, True),
    # LIP-83: 6377 of Ethereum's blocks of 12 s, which the contracts see on Arbitrum too; Arbitrum makes four blocks a
    # second (inference: it decides where reading begins, not what is a proof).
    "arbitrum-one-mainnet": Protocol("0xD8E8328501E9645d16Cf49539efC04f734606ee4", 6377, 12.0, 48, False),
}
"""Networks whose contracts are known. For others the watch goes by what livepeer tells."""
DEFAULT_ROUND_SECONDS = 76524
"""For a network that is not here."""
