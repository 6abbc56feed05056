"""livepeer's command line: which flag exists in which version, of which kind, with which default.

The flags that a node of this project can have a use for, not all of livepeer's. Known from cmd/livepeer/livepeer.go
(up to v0.8.8) and cmd/livepeer/starter (starter.go from v0.5.31, flags.go from v0.8.7) at every tag; ``since`` is the
first release that has the flag, or, where a source says "by", the first of those compared that has it. An unknown
flag ends livepeer with exit status 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from transcoder.catalog.history import Span, Version

Kind = Literal["bool", "int", "text", "duration", "secret"]
"""``secret``: a password, or the path of a file with one. Its literal value must never be an argument."""


@dataclass(frozen=True)
class Flag:
    """A flag without its dash, in the versions of ``span``. ``default`` as livepeer prints it."""

    name: str
    kind: Kind
    default: str
    span: Span
    note: str = ""


_ALL = (0, 2, 4)
_LIBP2P = Span(_ALL, (0, 3, 0))


def _flag(
    name: str, kind: Kind, default: str, since: Version = _ALL, until: Version | None = None, note: str = ""
) -> Flag:
    return Flag(name, kind, default, Span(since, until), note)


FLAGS = (
    # --- role: what -transcoder means is in livepeer.ROLE_FLAGS ---
    _flag("transcoder", "bool", "false"),
    _flag("orchestrator", "bool", "false", (0, 3, 2)),
    _flag("standaloneTranscoder", "bool", "false", (0, 3, 2), (0, 5, 0)),
    _flag("orchAddr", "text", "", (0, 4, 0), note="by 0.4.0"),
    _flag("orchSecret", "secret", "", (0, 4, 0), note="by 0.4.0; may be a file from v0.5.2"),
    _flag("redeemer", "bool", "false", (0, 5, 9)),
    _flag("redeemerAddr", "text", "", (0, 5, 9)),
    # --- network and chain ---
    _flag("rinkeby", "bool", "false", until=(0, 5, 0)),
    _flag("devenv", "bool", "false", until=(0, 5, 0)),
    _flag("offchain", "bool", "false", until=(0, 5, 0)),
    _flag("network", "text", "offchain", (0, 5, 0), note="without it the node is off-chain, and says nothing"),
    _flag("controllerAddr", "text", "", until=(0, 5, 0)),
    _flag("ethController", "text", "", (0, 5, 0)),
    _flag("ethUrl", "text", "", note="Infura up to v0.5.5; from v0.5.6 there is no default"),
    _flag("ethIpcPath", "text", "", until=(0, 5, 0), note="wins over -ethUrl"),
    _flag("blockPollingInterval", "int", "5", (0, 5, 0), note="seconds"),
    # --- account: v0.5.30 and later make a new one where the one asked for is not found ---
    _flag("ethAcctAddr", "text", ""),
    _flag("ethKeystorePath", "text", ""),
    _flag("ethPassword", "secret", "", note="may be a file from v0.5.2 (#1268)"),
    _flag("ethOrchAddr", "text", "", (0, 5, 9)),
    # --- directories ---
    _flag("datadir", "text", "~/.lpData", note="deprecated from v0.5.32, and works"),
    _flag("dataDir", "text", "~/.lpData", (0, 5, 32)),
    _flag("ipfsPath", "text", "~/.ipfs", until=(0, 5, 0)),
    _flag("noIPFSLogFiles", "bool", "false", until=(0, 5, 0)),
    _flag("config", "text", "", (0, 5, 26), note="exists from v0.5.23, which ignores an error in the file"),
    # --- addresses ---
    _flag("publicIP", "text", "", until=(0, 3, 0)),
    *(Flag(name, "text", default, _LIBP2P) for name, default in (("httpIP", "127.0.0.1"), ("rtmpIP", "127.0.0.1"))),
    *(Flag(name, "text", default, _LIBP2P) for name, default in (("http", "8935"), ("rtmp", "1935"))),
    *(Flag(name, "text", "", _LIBP2P) for name in ("bindIPs", "bootIDs", "bootAddrs")),
    Flag("p", "int", "15000", _LIBP2P),
    _flag("serviceAddr", "text", "", (0, 3, 0), note="empty: asks api.ipify.org, and compares with the chain"),
    _flag("httpAddr", "text", "", (0, 3, 0)),
    _flag("cliAddr", "text", "127.0.0.1:7935", (0, 3, 0), (0, 7, 0)),
    _flag("cliAddr", "text", "by role", (0, 7, 0), note="a node without a role of its own listens on :80 everywhere"),
    _flag("startupAvailabilityCheck", "bool", "true", (0, 7, 2), note="ends with 0 where it cannot reach itself"),
    # --- protocol and money ---
    _flag("initializeRound", "bool", "false"),
    _flag("initializeRoundMaxDelay", "duration", "30s", (0, 7, 5)),
    _flag("reward", "bool", "", (0, 5, 9), note="not given: on where the account is registered"),
    _flag("gasLimit", "int", "0"),
    _flag("gasPrice", "int", "0", until=(0, 5, 17), note="wei; 0 asks livepeer's oracle"),
    _flag("maxGasPrice", "int", "0", (0, 5, 15), note="wei; above it nothing is sent, nor tried again (#2118)"),
    _flag("minGasPrice", "int", "0", (0, 5, 19), note="wei"),
    _flag("transactionTimeout", "duration", "5m", (0, 5, 19)),
    _flag("maxTransactionReplacements", "int", "1", (0, 5, 19)),
    _flag("pricePerUnit", "int", "0", (0, 5, 0), (0, 7, 3), note="wei; a node without it panics from v0.5.11"),
    _flag("pricePerUnit", "text", "0", (0, 7, 3), note="wei, or as 0.50USD"),
    _flag("pixelsPerUnit", "int", "1", (0, 5, 0), (0, 8, 0)),
    _flag("pixelsPerUnit", "text", "1", (0, 8, 0), note="by v0.8.0"),
    # --- work ---
    _flag("nvidia", "text", "", (0, 5, 0), note="ids; `all` from v0.5.18"),
    _flag("testTranscoder", "bool", "true", (0, 5, 6), note="by v0.5.6"),
    _flag("maxSessions", "int", "10", (0, 3, 2), (0, 7, 0)),
    _flag("maxSessions", "text", "10", (0, 7, 0), note="or `auto`"),
    # --- watching ---
    _flag("monitor", "bool", "false", note="sends away what it measures up to 0.4.0, /metrics from v0.5.0"),
    _flag("monitorhost", "text", "", until=(0, 5, 0)),
    _flag("metricsPerStream", "bool", "false", (0, 5, 28)),
    _flag("metricsClientIP", "bool", "false", (0, 5, 28)),
    _flag("log_dir", "text", "", until=(0, 3, 2), note="accepted, without an effect"),
    _flag("v", "int", "0", until=(0, 4, 0)),
    _flag("v", "text", "", (0, 4, 0), (0, 7, 0)),
    _flag("v", "text", "3", (0, 7, 0)),
    _flag("version", "bool", "false"),
)


def known(version: Version) -> dict[str, Flag]:
    """Return the flags of a version by name."""
    return {flag.name: flag for flag in FLAGS if version in flag.span}


def elsewhere(name: str) -> Iterator[Flag]:
    """Return what other versions know by this name."""
    return (flag for flag in FLAGS if flag.name == name)
