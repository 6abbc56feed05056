"""What a chain says of a call of ``reward()`` before it is made: price of gas, waiting transactions, a trial run.

`eth_estimateGas` runs the call on a node's own copy of the state: one that would revert is known without costing gas.
Nothing here signs or sends.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from transcoder.facts.reading import unreadable

TOOL = "JSON-RPC"
SELECTOR = "0x228cb733"
"""The first four bytes of keccak-256 of ``reward()``; the same from 2018 to livepeer v0.9.1."""
COMMAND = ("curl", "--silent", "--show-error", "--fail", "--max-time", "30", "--config", "-")
"""The address may hold a key, so it is not an argument: `stdin` has it. 30 s: a light client asks others."""
PRICE, LATEST, PENDING, ESTIMATE = range(4)
REVERTED = 3
"""The error code of a call that reverts (geth from 1.9.15); geth 1.8 has words alone."""


@dataclass(frozen=True)
class Trial:
    """``price`` of gas in wei; ``waiting`` transactions of the account that are not mined; ``gas`` that the call takes.

    ``reverts``: why the call would revert. None where the chain did not tell.
    """

    price: int | None
    waiting: int | None
    gas: int | None
    reverts: str


def stdin(url: str, account: str, contract: str) -> str:
    """Return what `COMMAND` reads: a request of all in one batch. Without a ``contract`` there is no trial run."""
    calls: list[tuple[str, list[object]]] = [
        ("eth_gasPrice", []),
        ("eth_getTransactionCount", [account, "latest"]),
        ("eth_getTransactionCount", [account, "pending"]),
    ]
    if contract:
        calls.append(("eth_estimateGas", [{"from": account, "to": contract, "data": SELECTOR}]))
    batch = [
        {"jsonrpc": "2.0", "id": number, "method": name, "params": params}
        for number, (name, params) in enumerate(calls)
    ]
    options = {"url": url, "header": "Content-Type: application/json", "data": json.dumps(batch)}
    return "".join(f'{name} = "{_escaped(value)}"\n' for name, value in options.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def parse_trial(text: str) -> Trial:
    """Return what the chain said.

    :raises Failed: for what is no answer to a batch.
    """
    answers = _answers(text)
    latest, pending = (_number(answers.get(number)) for number in (LATEST, PENDING))
    waiting = None if latest is None or pending is None else max(0, pending - latest)
    return Trial(_number(answers.get(PRICE)), waiting, _number(answers.get(ESTIMATE)), _revert(answers.get(ESTIMATE)))


def _answers(text: str) -> dict[Any, dict[str, Any]]:
    try:
        answers = json.loads(text)
    except json.JSONDecodeError as error:
        raise unreadable(TOOL, f"not valid JSON ({error.msg})", text) from error
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise unreadable(TOOL, "expected the answer to a batch, a list of objects", text)
    return {answer.get("id"): answer for answer in answers}


def _number(answer: dict[str, Any] | None) -> int | None:
    value = (answer or {}).get("result")
    return int(value, 16) if isinstance(value, str) and re.fullmatch(r"0x[0-9a-fA-F]+", value) else None


def _revert(answer: dict[str, Any] | None) -> str:
    """Return why the trial failed, if it did; an error of another kind says nothing of the call."""
    error = (answer or {}).get("error")
    if not isinstance(error, dict):
        return ""
    message = str(error.get("message", ""))
    reverted = error.get("code") == REVERTED or "revert" in message or "always failing" in message
    return (message or "it reverts") if reverted else ""
