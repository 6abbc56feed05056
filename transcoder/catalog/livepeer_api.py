"""livepeer's HTTP API, by version: which route has what, in which form. No version has a route for all of this.

Every route is unauthenticated and accepts GET, and many spend money: it belongs on loopback (go-livepeer, server/).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transcoder.catalog.history import Entry, History, Version, at
from transcoder.catalog.livepeer import PORTS

RoundForm = Literal["decimal", "bytes"]


@dataclass(frozen=True)
class OwnRecord:
    """Where the node's own record is (last reward, status), and under which key of the answer (empty: the top)."""

    route: str
    key: str


OWN_RECORD: History[OwnRecord] = (
    Entry((0, 2, 4), OwnRecord("/transcoderInfo", ""), "0.2.4:eth/types/contracts.go; numbers beyond 2^53"),
    Entry((0, 4, 0), OwnRecord("/orchestratorInfo", ""), "by 0.4.0: the same, and ServiceURI"),
    Entry((0, 5, 0), OwnRecord("/orchestratorInfo", "Transcoder"), "v0.5.0: beside PriceInfo, a fraction as text"),
)
ROUND_FORM: History[RoundForm] = (
    Entry((0, 2, 4), "decimal", "0.2.4:server/webserver.go"),
    Entry((0, 5, 0), "bytes", "v0.5.0 to v0.6.0: /currentRound is big-endian bytes"),
    Entry((0, 7, 0), "decimal", "v0.7.0:server/handlers.go"),
)
EMPTY_IS_FAILURE: History[bool] = (
    Entry((0, 2, 4), True, "a handler that fails logs it and answers 200 with an empty body"),
    Entry((0, 5, 30), False, "v0.5.30:server/handlers.go: 400 or 500, and the reason as text"),
)
CHAIN_ID: History[str] = (
    Entry((0, 2, 4), "/EthNetworkID", "0.2.4:server/webserver.go"),
    Entry((0, 5, 0), "/EthChainID", "v0.5.0:server/webserver.go"),
)
IS_REGISTERED: History[str] = (
    Entry((0, 2, 4), "/IsTranscoder", "0.2.4:server/webserver.go"),
    Entry((0, 4, 0), "/IsOrchestrator", "0.4.0:server/webserver.go"),
)
BLOCK: History[str] = (
    Entry((0, 2, 4), "", "no route"),
    Entry((0, 3, 2), "/currentBlock", "big-endian bytes in every version; the L2's number on Arbitrum"),
)
GAS_PRICE: History[str] = (
    Entry((0, 2, 4), "/gasPrice", "0.2.4:server/webserver.go"),
    Entry((0, 5, 15), "/maxGasPrice", "v0.5.15:server/webserver.go"),
)
METRICS: History[str] = (
    Entry((0, 2, 4), "", "pushed to -monitorhost"),
    Entry((0, 5, 0), "/metrics", "with -monitor: Prometheus, names begin with livepeer_"),
)
HEALTH: History[str] = (
    Entry((0, 2, 4), "", "no route"),
    Entry((0, 7, 6), "/healthz", "#3095: on the work port, and always 200: it checks nothing"),
)


@dataclass(frozen=True)
class Api:
    """What to ask a livepeer of one version. A route that is empty does not exist there. ``base`` has no last slash."""

    base: str
    own_record: OwnRecord
    round_form: RoundForm
    empty_is_failure: bool
    chain_id: str
    is_registered: str
    block: str
    gas_price: str
    metrics: str
    health: str
    status: str = "/status"
    address: str = "/ethAddr"
    current_round: str = "/currentRound"
    round_initialized: str = "/roundInitialized"
    eth_balance: str = "/ethBalance"
    contracts: str = "/contractAddresses"
    token_balance: str = "/tokenBalance"  # noqa: S105  a route
    reward: str = "/reward"
    """Spends gas, and answers when the transaction is mined; then look at the record: 200 may have been a failure."""


def api(version: Version) -> Api:
    """Return what a version's API is."""
    return Api(
        base=f"http://127.0.0.1:{at(PORTS, version).control}",
        own_record=at(OWN_RECORD, version),
        round_form=at(ROUND_FORM, version),
        empty_is_failure=at(EMPTY_IS_FAILURE, version),
        chain_id=at(CHAIN_ID, version),
        is_registered=at(IS_REGISTERED, version),
        block=at(BLOCK, version),
        gas_price=at(GAS_PRICE, version),
        metrics=at(METRICS, version),
        health=at(HEALTH, version),
    )
