"""Questions over HTTP: livepeer's API, JSON-RPC, the instance metadata service. Every one has an end."""

import http.client
import json
import ssl
from typing import Any, Dict, List, Optional
from urllib.parse import urlsplit

from .model import Denied, NoAnswer

SECONDS = 10.0
"""For one answer. A light geth may take this long for a read that it has to ask its peers for."""
LONGEST = 8 * 1024 * 1024
"""Bytes of an answer that are read; more is no answer to any of our questions."""
TOO_MUCH = (400, 413)
"""Statuses with which hosted RPC endpoints refuse eth_getLogs over too many blocks; 429 is for too many questions."""


def request(method: str, url: str, body: Optional[str] = None, headers: Optional[Dict[str, str]] = None) -> bytes:
    """Return the body of an answer with status 200.

    Raises NoAnswer, or Denied, naming the host but not the rest of the address: in a hosted RPC's there may be a key.
    """
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    connection = _connection(parts.scheme, parts.hostname or "", parts.port)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        content = response.read(LONGEST)
    except (OSError, http.client.HTTPException, ssl.CertificateError) as error:
        raise NoAnswer("{} does not answer ({})".format(where, error or type(error).__name__)) from None
    finally:
        connection.close()
    if response.status != 200:
        denied = Denied if response.status in TOO_MUCH else NoAnswer
        raise denied("{} answers with status {}".format(where, response.status))
    return content


def _connection(scheme: str, host: str, port: Optional[int]) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=SECONDS)
    return http.client.HTTPConnection(host, port, timeout=SECONDS)


def get(base: str, path: str) -> bytes:
    """Return what a route answers; raises NoAnswer for an empty answer, which is how old livepeers say no."""
    content = request("GET", base + path)
    if not content.strip():
        raise NoAnswer("{} answers with nothing, which is how livepeer says that it failed".format(path))
    return content


def get_json(base: str, path: str) -> Dict[str, Any]:
    """Return an object that a route answers."""
    try:
        found = json.loads(get(base, path).decode("utf-8", "replace"))
    except ValueError:
        raise NoAnswer("{} answers with something that is no JSON".format(path)) from None
    if not isinstance(found, dict):
        raise NoAnswer("{} answers with JSON that is no object".format(path))
    return found


class Rpc:
    """A JSON-RPC endpoint."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, *params: Any) -> Any:
        """Return a result; raises NoAnswer when there is none, Denied where it is an error, with the error's words."""
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        # geth answers 415 to any other type, and hosted ones refuse clients without a name.
        headers = {"Content-Type": "application/json", "User-Agent": "transcoder-watch"}
        content = request("POST", self._url, json.dumps(question), headers)
        try:
            answer = json.loads(content.decode("utf-8", "replace"))
        except ValueError:
            raise NoAnswer("{} is answered with something that is no JSON".format(method)) from None
        if not isinstance(answer, dict) or "result" not in answer:
            error = answer.get("error") if isinstance(answer, dict) else None
            told = error.get("message") if isinstance(error, dict) else answer
            denied = NoAnswer if error is None else Denied
            raise denied("{} failed: {}".format(method, str(told)[:200]))
        return answer["result"]

    def number(self, method: str, *params: Any) -> int:
        """Return a result that is a 0x number."""
        return quantity(method, self.call(method, *params))

    def words(self, contract: str, data: str) -> List[int]:
        """Return the 32-byte words of an eth_call."""
        result = self.call("eth_call", {"to": contract, "data": data}, "latest")
        text = result[2:] if isinstance(result, str) and result.startswith("0x") else ""
        if len(text) < 64:
            raise NoAnswer("there is no contract with {} at {}".format(data[:10], contract))
        return [int(text[at : at + 64], 16) for at in range(0, len(text) // 64 * 64, 64)]


def quantity(what: str, value: Any) -> int:
    """Return a 0x number."""
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise NoAnswer("{}: expected a 0x number, found {!r}".format(what, value)) from None
