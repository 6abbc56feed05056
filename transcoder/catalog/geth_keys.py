"""geth's configuration file: which key exists in which version. An unknown key or table ends geth with exit status 1.

The keys that this project renders, and those of the well-known file of 2018 that later versions refuse. Known from
the structs of every tag from v1.8.13 to v1.17.5 (eth/config.go or eth/ethconfig, node/config.go, p2p/server.go,
cmd/geth/config.go); for 1.8.27 and 1.9.7 from the programs themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcoder.catalog.history import Entry, History, Span, Version

OLDEST, NEWEST = (1, 8, 13), (1, 17, 5)
"""2018-07 to 2026-07-27: the tags whose keys were compared."""


@dataclass(frozen=True)
class Key:
    """A key of a table, in the versions of ``span``. After that: fatal, or a warning only."""

    table: str
    name: str
    span: Span
    note: str = ""


def _key(table: str, name: str, since: Version = OLDEST, until: Version | None = None, note: str = "") -> Key:
    return Key(table, name, Span(since, until), note)


KEYS = (
    _key("Eth", "NetworkId"),
    _key("Eth", "SyncMode"),
    _key("Eth", "DatabaseCache"),
    _key("Eth", "TrieCache", until=(1, 8, 19)),
    _key("Eth", "TrieCleanCache", (1, 8, 19)),
    _key("Eth", "TrieDirtyCache", (1, 8, 19)),
    _key("Eth", "LightPeers", until=(1, 14, 9), note="later a warning; ignored from 1.13.6"),
    _key("Eth", "MinerGasPrice", (1, 8, 15), (1, 9, 0), "then in [Eth.Miner], as the other Miner* keys"),
    _key("Eth.Ethash", "CacheDir", until=(1, 12, 0)),
    _key("Shh", "MaxMessageSize", until=(1, 9, 21), note="1.9.22 to 1.9.25 accept it again"),
    _key("Dashboard", "Host", until=(1, 9, 8)),
    _key("Node", "DataDir"),
    _key("Node", "IPCPath"),
    *(_key("Node", name) for name in ("HTTPHost", "HTTPPort", "HTTPVirtualHosts", "HTTPModules")),
    *(_key("Node", name) for name in ("WSHost", "WSPort", "WSOrigins", "WSModules")),
    _key("Node", "NoUSB", until=(1, 17, 4), note="without an effect from 1.10.0, where USB is off"),
    *(_key("Node", name, (1, 10, 17)) for name in ("AuthAddr", "AuthPort", "AuthVirtualHosts", "JWTSecret")),
    _key("Node.P2P", "MaxPeers"),
    _key("Node.P2P", "ListenAddr"),
    _key("Node.P2P", "NoDiscovery"),
    _key("Node.P2P", "DiscoveryV5", note="1.12.1 to 1.16.9 overwrite it with the flag's value"),
    _key("Metrics", "Enabled", (1, 10, 0), note="has an effect from 1.15.0"),
)
USB_IS_OFF_SINCE = (1, 10, 0)
FAMILIES: History[str] = (
    Entry((1, 8, 13), "1.8.13 to 1.8.18", "one TrieCache"),
    Entry((1, 8, 19), "1.8.19 to 1.8.27", "TrieCleanCache and TrieDirtyCache instead"),
    Entry((1, 9, 0), "1.9.0 to 1.9.25", "the same keys, but the cache sizes want --cache"),
    Entry((1, 10, 0), "1.10.0 to 1.10.16", "NoUSB is no longer needed"),
    Entry((1, 10, 17), "1.10.17 to 1.17.5", "the port of the consensus client"),
)
"""Versions that the same rendered file fits."""


def known(version: Version) -> dict[str, frozenset[str]]:
    """Return the keys of a version by table."""
    tables = {key.table for key in KEYS}
    return {t: frozenset(k.name for k in KEYS if k.table == t and version in k.span) for t in tables}
