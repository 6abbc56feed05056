"""The HTTP control API of 0.2.4 and its other two ports. A failed question is 200 with an empty body, as it was."""

import http.server
import socket
import socketserver
import threading
from typing import Any, Callable, ClassVar, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

from ..common.address import checksummed
from . import log
from .eth import EthError, LivepeerEthClient, to_json
from .services import Service

MULTISTREAM = b"\x13/multistream/1.0.0\n"
_SOURCE = "webserver.go:1"
_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"


class Facts(NamedTuple):
    """What the API tells of the node itself. `client` is None off-chain."""

    node_id: str
    addresses: List[str]
    is_transcoder: bool
    client: Optional[LivepeerEthClient]
    services: Dict[str, Service]
    ended: threading.Event


Answer = Tuple[str, str]
Handler = Callable[[Dict[str, str]], Answer]


def routes(facts: Facts) -> Dict[str, Handler]:
    """Every path and what answers it."""
    client = facts.client
    table: Dict[str, Handler] = {
        "/status": lambda _: (to_json({"NodeID": facts.node_id, "Manifests": {}}), _JSON),
        "/nodeID": lambda _: (facts.node_id, _TEXT),
        "/nodeAddrs": lambda _: ("[" + " ".join(facts.addresses) + "]", _TEXT),
        "/peersCount": lambda _: (to_json({"count": 0}), _JSON),
        "/localStreams": lambda _: ("[]", _JSON),
        "/streamID": lambda _: ("", _TEXT),
        "/manifestID": lambda _: ("", _TEXT),
        "/IsTranscoder": lambda _: (_boolean(facts.is_transcoder), _TEXT),
    }
    on_chain = {**_questions(client), **_deeds(client, facts)} if client else {}
    empty: Dict[str, Handler] = {path: (lambda _: ("", _TEXT)) for path in _CHAIN_PATHS}
    return {**empty, **table, **on_chain}


_CHAIN_PATHS = (
    "/currentRound /roundInitialized /ethAddr /ethBalance /tokenBalance /EthNetworkID /transcoderInfo "
    "/protocolParameters /contractAddresses /transcoderEventSubscriptions /gasPrice /setGasPrice /reward "
    "/initializeRound"
).split()


def _boolean(value: bool) -> str:
    return str(value).lower()


def _questions(client: LivepeerEthClient) -> Dict[str, Handler]:
    return {
        "/currentRound": lambda _: (str(client.current_round()), _TEXT),
        "/roundInitialized": lambda _: (_boolean(client.round_initialized()), _TEXT),
        "/ethAddr": lambda _: (checksummed(client.address), _TEXT),
        "/ethBalance": lambda _: (str(client.eth_balance()), _TEXT),
        "/tokenBalance": lambda _: (str(client.token_balance()), _TEXT),
        "/EthNetworkID": lambda _: (str(client.rpc("net_version")), _TEXT),
        "/transcoderInfo": lambda _: (to_json(client.transcoder()), _JSON),
        "/protocolParameters": lambda _: (to_json(client.protocol_parameters()), _JSON),
        "/contractAddresses": lambda _: (to_json(client.addresses()), _JSON),
        "/gasPrice": lambda _: (str(client.gas_price), _TEXT),
    }


def _deeds(client: LivepeerEthClient, facts: Facts) -> Dict[str, Handler]:
    def transact(contract: str, signature: str) -> Handler:
        def handler(_: Dict[str, str]) -> Answer:
            log.info("Calling " + signature, _SOURCE)
            client.transact(contract, signature, facts.ended)
            log.info(f"Call to {signature} successful", _SOURCE)
            return "", _TEXT

        return handler

    def subscriptions(_: Dict[str, str]) -> Answer:
        if not facts.services:
            return "", _TEXT
        working = {name: service.is_working for name, service in facts.services.items()}
        # 0.2.4 looks for the rounds service under a name that it does not have, so it never works
        shown = {"JobService": True, "RewardService": working.get("RewardService", False), "RoundsService": False}
        return to_json(shown), _JSON

    def set_gas_price(form: Dict[str, str]) -> Answer:
        if not form.get("amount", "").isdigit():
            raise EthError("Need to set amount")
        client.gas_price = int(form["amount"])
        return "", _TEXT

    return {
        "/reward": transact("BondingManager", "reward()"),
        "/initializeRound": transact("RoundsManager", "initializeRound()"),
        "/transcoderEventSubscriptions": subscriptions,
        "/setGasPrice": set_gas_price,
    }


class _Handler(http.server.BaseHTTPRequestHandler):
    routes: ClassVar[Dict[str, Handler]] = {}
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """No request log in 0.2.4."""

    def _reply(self, status: int, body: str, kind: str, cross_origin: bool) -> None:
        data = body.encode()
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string())
        if cross_origin:
            self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        """Every route takes every method; parameters come from the query or a form."""
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        form = {name: values[0] for name, values in {**parse_qs(parts.query), **parse_qs(body)}.items()}
        handler = self.routes.get(parts.path)
        if handler is None:
            self._reply(404, "404 page not found\n", _TEXT, cross_origin=False)
            return
        try:
            text, kind = handler(form)
        except EthError as error:
            log.error(str(error), _SOURCE)
            text, kind = "", _TEXT
        self._reply(200, text, kind, cross_origin=parts.path == "/peersCount")

    do_POST = do_PUT = do_GET  # noqa: N815 - named by the base class


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def _start(host: str, port: int, handler: Any) -> _Server:
    server = _Server((host, port), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    return server


def serve_api(host: str, port: int, table: Dict[str, Handler]) -> _Server:
    """The control API; OSError when the address is taken."""
    return _start(host, port, type("Handler", (_Handler,), {"routes": table}))


class _PeerHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """libp2p: both sides name the protocol first. Nothing more is spoken here."""
        self.request.sendall(MULTISTREAM)
        self.request.settimeout(10)
        try:
            self.request.recv(4096)
        except socket.timeout:
            return  # a watcher that only wanted to see the header


class _SilentHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """RTMP: the caller speaks first, and no stream is taken."""
        self.request.settimeout(10)
        try:
            self.request.recv(4096)
        except socket.timeout:
            return


def serve_libp2p(port: int) -> _Server:
    """The port that broadcasters and outside watchers see; OSError when it is taken."""
    return _start("0.0.0.0", port, _PeerHandler)


def serve_rtmp(host: str, port: int) -> _Server:
    """The ingest port; OSError when it is taken."""
    return _start(host, port, _SilentHandler)
