"""What geth's configuration file says, by table, as the version knows it."""

from __future__ import annotations

from transcoder.catalog.choice import Choice, GethChoice
from transcoder.catalog.geth import AUTH_SINCE
from transcoder.catalog.geth_keys import USB_IS_OFF_SINCE
from transcoder.catalog.livepeer import NETWORKS

Values = dict[str, int | str | bool | list[str]]

DATA_DIRECTORY = "/d2/geth-data/.ethereum"
MODULES = ["eth", "net", "web3"]


def geth_tables(choice: Choice, max_peers: int) -> dict[str, Values]:
    """Return the tables of geth's configuration file, keys in the order in which they are written.

    :raises LookupError: without a geth.
    """
    geth = choice.geth
    if geth is None:
        raise LookupError("this choice has no geth")
    return {
        "Eth": {
            "NetworkId": NETWORKS[choice.livepeer.network].chain_id,
            "SyncMode": geth.sync_mode,
            **_caches(geth),
        },
        "Node": {
            "DataDir": DATA_DIRECTORY,
            "IPCPath": "geth.ipc",
            **_doors(),
            **_consensus(geth),
            **({"NoUSB": True} if geth.version < USB_IS_OFF_SINCE else {}),
        },
        "Node.P2P": {
            "MaxPeers": max_peers,
            "ListenAddr": ":30303",
            # SyncMode alone does not look for light servers: they are found by discovery version 5.
            **({"NoDiscovery": True, "DiscoveryV5": True} if geth.sync_mode == "light" else {}),
        },
    }


def _caches(geth: GethChoice) -> Values:
    """Return the cache sizes in MiB: half for the database, the other half for the trie."""
    half, quarter = geth.cache_mib // 2, geth.cache_mib // 4
    if geth.version < (1, 8, 19):
        return {"DatabaseCache": half, "TrieCache": half}
    return {"DatabaseCache": half, "TrieCleanCache": quarter, "TrieDirtyCache": quarter}


def _doors() -> Values:
    """Return the ports for livepeer and for questions, on loopback only.

    livepeer sends an Origin of its host name or none, by its age: geth refuses one or the other without ``*``.
    """
    return {
        "HTTPHost": "127.0.0.1",
        "HTTPPort": 8545,
        "HTTPVirtualHosts": ["localhost"],
        "HTTPModules": MODULES,
        "WSHost": "127.0.0.1",
        "WSPort": 8546,
        "WSOrigins": ["*"],
        "WSModules": MODULES,
    }


def _consensus(geth: GethChoice) -> Values:
    if geth.version < AUTH_SINCE:
        return {}
    return {"AuthAddr": "127.0.0.1", "AuthPort": 8551, "AuthVirtualHosts": ["localhost"]}
