"""What the baked geth and livepeer are told, and which of their versions this recipe knows how to tell it.

Every version of geth refuses configuration keys that it does not know, and every version of livepeer flags; so an
unknown version is refused before anything is baked.
"""

from __future__ import annotations

from typing import Any

from transcoder.errors import Refused
from transcoder.settings import Livepeer, Settings

OLDEST_GETH, NEWEST_GETH = (1, 8, 19), (1, 8, 27)
"""templates/rootfs/etc/geth/geth.toml: TrieCleanCache came with 1.8.19, 1.9 ignores its cache sizes."""
LIVEPEER_FAMILY = (0, 2)
"""`livepeer_flags`: 0.3 no longer knows -publicIP."""
NETWORK_IDS = {"mainnet": 1, "rinkeby": 4, "offchain": 1}
"""Of the chain that geth follows."""
NETWORK_FLAGS = {"mainnet": (), "rinkeby": ("-rinkeby",), "offchain": ("-offchain",)}
"""livepeer up to 0.4.0; without a flag it is on mainnet."""


def check_programs(settings: Settings) -> None:
    """Refuse versions whose flags and keys this recipe does not know, all reasons at once.

    :raises Refused: naming the version and the ones that are known.
    """
    reasons = []
    if not OLDEST_GETH <= _numbers(settings.geth.version) <= NEWEST_GETH:
        reasons.append(f"geth {settings.geth.version}: known are 1.8.19 to 1.8.27")
    if _numbers(settings.livepeer.version)[:2] != LIVEPEER_FAMILY:
        reasons.append(f"livepeer {settings.livepeer.version}: known is 0.2")
    if settings.livepeer.network not in NETWORK_FLAGS:
        reasons.append(
            f"livepeer.network {settings.livepeer.network}: livepeer 0.2 then needs -controllerAddr, which no setting "
            f"gives; known are {', '.join(NETWORK_FLAGS)}"
        )
    if reasons:
        hint = f"edit {settings.path}"
        raise Refused("this recipe does not know how to configure these programs", reasons=reasons, hint=hint)


def livepeer_flags(livepeer: Livepeer) -> tuple[str, ...]:
    """Return the arguments of livepeer 0.2 that are known before there is a machine.

    ``-ipfsPath /d1/livepeer`` puts its log into the ``logs`` directory of the layout, as the reference set-up has it.
    ``-gasPrice 0`` leaves the price to livepeer's oracle. The rest is added by ``run-livepeer`` on the machine.
    """
    chain = () if livepeer.network == "offchain" else ("-ethUrl", "ws://127.0.0.1:8546")
    return (
        "-transcoder",
        *NETWORK_FLAGS[livepeer.network],
        *("-datadir", "/d1/livepeer/.lpData"),
        *("-ipfsPath", "/d1/livepeer"),
        *chain,
        *(("-initializeRound",) if livepeer.initialize_round else ()),
        *("-gasPrice", str(livepeer.gas_price_wei)),
        *("-httpIP", "127.0.0.1"),
        *("-v", "4"),
    )


def geth_values(settings: Settings) -> dict[str, Any]:
    """Return what the template of geth.toml needs beside the settings."""
    cache = settings.geth.cache_mib
    return {
        "network_id": NETWORK_IDS[settings.livepeer.network],
        "cache": {"database": cache // 2, "trie_clean": cache // 4, "trie_dirty": cache // 4},
    }


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").split("."))
