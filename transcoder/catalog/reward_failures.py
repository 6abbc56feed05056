"""Why a call of ``reward()`` fails, in the programs' own words, and what to do about it. Issues are go-livepeer's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """``said``: parts of a message, in lower case, of which any is enough. ``what`` it means, and what ``to_do``."""

    said: tuple[str, ...]
    what: str
    to_do: str


FAILURES = (
    Failure(
        ("current round is not initialized", "current round not initialized"),
        "the round is not initialized, so reward() reverts and its gas is lost (#435)",
        "wait until somebody calls initializeRound(), or let livepeer do it (livepeer.initialize_round)",
    ),
    Failure(
        ("already called reward", "has already called", "was called before"),
        "the reward of this round was called before; a second call reverts and its gas is lost (#436)",
        "nothing: it is done",
    ),
    Failure(
        ("must be an active transcoder", "not an active transcoder", "not active"),
        "the node is not in the active set of this round, and only those get rewards",
        "look at its stake; the set is drawn anew at the begin of each round",
    ),
    Failure(
        ("insufficient funds",),
        "the account has not enough ETH for the gas",
        "send ETH to the account that fab status shows",
    ),
    Failure(
        ("nonce too low",),
        "another transaction took the number of this one: something else signs with the key, or geth counts wrongly "
        "(#471, #2718)",
        "see that no second node runs with this key, then: fab detach, fab attach, and again",
    ),
    Failure(
        ("replacement transaction underpriced", "already known"),
        "an earlier transaction of the node waits to be mined",
        "wait for it; it may well be the reward",
    ),
    Failure(
        ("max gas price", "maxgasprice", "gas price too high"),
        "gas costs more than livepeer may pay, and it does not try again in this round (#2118)",
        "call again when gas is cheaper, or raise livepeer's -maxGasPrice",
    ),
    Failure(
        ("context deadline exceeded", "timed out", "timeout", "not found within"),
        "the transaction was sent and not mined in time; it may still be",
        "do not call again before fab status shows that it was not: a second transaction costs gas, too",
    ),
    Failure(
        ("no suitable peers", "missing eth client", "connection refused", "no connection to geth"),
        "livepeer does not reach its chain",
        "fab status says whether geth, or the RPC, answers",
    ),
    Failure(
        ("always failing transaction", "revert"),
        "the contract refuses the call; sent all the same, its gas would be lost",
        "fab logs --unit livepeer; the round may have just changed: try again in a minute",
    ),
)
"""The first that matches counts, so the general ones come last."""


def explain(message: str) -> Failure | None:
    """Return the known failure that a message of livepeer, of a log or of an RPC tells of."""
    lower = message.lower()
    return next((failure for failure in FAILURES if any(part in lower for part in failure.said)), None)
