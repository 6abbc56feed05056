"""The HTTP control API, and the other two ports of 0.2. A failed question is 200 with an empty body, as it was."""

import http.server
import socket
import socketserver
import sys
import threading
from fractions import Fraction
from typing import Any, Callable, ClassVar, Dict, List, NamedTuple, Optional, Tuple, Union
from urllib.parse import parse_qs, urlsplit

from ..common.address import checksummed
from . import log
from .eth import EthError, LivepeerEthClient, to_json
from .services import Service
from .state import Database
from .versions import Personality

MULTISTREAM = b"\x13/multistream/1.0.0\n"
_SOURCE = "webserver.go:1"
_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"


class Facts(NamedTuple):
    """What the API tells of the node itself. `client` is None off-chain; `price`: wei, for so many pixels."""

    own: Personality
    node_id: str
    addresses: List[str]
    works: bool
    client: Optional[LivepeerEthClient]
    services: Dict[str, Service]
    ended: threading.Event
    database: Database
    price: Tuple[int, int]


Body = Union[str, bytes]
Answer = Tuple[Body, str]
Handler = Callable[[Dict[str, str]], Answer]


def routes(facts: Facts) -> Dict[str, Handler]:
    """Every path and what answers it."""
    client, own = facts.client, facts.own
    table: Dict[str, Handler] = {own.is_registered: lambda _: (_boolean(facts.works), _TEXT)}
    table.update(_peers(facts) if own.libp2p else _own_status(facts))
    on_chain = {**_questions(client, facts), **_deeds(client, facts)} if client else {}
    paths = (*_CHAIN_PATHS, own.own_record, own.chain_id)
    empty: Dict[str, Handler] = {path: (lambda _: ("", _TEXT)) for path in paths}
    return {**empty, **table, **on_chain}


def _peers(facts: Facts) -> Dict[str, Handler]:
    """What 0.2 tells of its libp2p node and its streams."""
    return {
        "/status": lambda _: (to_json({"NodeID": facts.node_id, "Manifests": {}}), _JSON),
        "/nodeID": lambda _: (facts.node_id, _TEXT),
        "/nodeAddrs": lambda _: ("[" + " ".join(facts.addresses) + "]", _TEXT),
        "/peersCount": lambda _: (to_json({"count": 0}), _JSON),
        "/localStreams": lambda _: ("[]", _JSON),
        "/streamID": lambda _: ("", _TEXT),
        "/manifestID": lambda _: ("", _TEXT),
    }


def _own_status(facts: Facts) -> Dict[str, Handler]:
    """What v0.5 tells in their place; /currentBlock is big-endian bytes of the newest block that it has noted."""
    status = {
        "Manifests": {},
        "OrchestratorPool": [],
        "Version": facts.own.shown,
        "GolangRuntimeVersion": "stand-in, Python {}.{}".format(*sys.version_info),
        "GOArch": "amd64",
        "GOOS": "linux",
        "RegisteredTranscodersNumber": 0,
        "RegisteredTranscoders": [],
        "LocalTranscoding": True,
    }
    return {
        "/status": lambda _: (to_json(status), _JSON),
        "/currentBlock": lambda _: (_big_endian(facts.database.last_block()), _TEXT),
    }


_CHAIN_PATHS = (
    "/currentRound /roundInitialized /ethAddr /ethBalance /tokenBalance /protocolParameters /contractAddresses "
    "/gasPrice /setGasPrice /reward /initializeRound"
).split()
_FAILS_WITH_500 = ("/currentRound", "/currentBlock")
"""From v0.5.0 on; every other route says 200 and nothing until v0.5.30."""


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _boolean(value: bool) -> str:
    return str(value).lower()


def _questions(client: LivepeerEthClient, facts: Facts) -> Dict[str, Handler]:
    own = facts.own
    shown: Callable[[int], Body] = _big_endian if own.round_in_bytes else str
    price = str(Fraction(*facts.price))

    def record(_: Dict[str, str]) -> Answer:
        found = client.transcoder()
        return to_json({own.own_record_key: found, "PriceInfo": price} if own.own_record_key else found), _JSON

    return {
        "/currentRound": lambda _: (shown(client.current_round()), _TEXT),
        "/roundInitialized": lambda _: (_boolean(client.round_initialized()), _TEXT),
        "/ethAddr": lambda _: (checksummed(client.address), _TEXT),
        "/ethBalance": lambda _: (str(client.eth_balance()), _TEXT),
        "/tokenBalance": lambda _: (str(client.token_balance()), _TEXT),
        own.chain_id: lambda _: (str(client.rpc("net_version")), _TEXT),
        own.own_record: record,
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

    def set_gas_price(form: Dict[str, str]) -> Answer:
        if not form.get("amount", "").isdigit():
            raise EthError("Need to set amount")
        client.gas_price = int(form["amount"])
        return "", _TEXT

    return {
        "/reward": transact("BondingManager", "reward()"),
        "/initializeRound": transact("RoundsManager", "initializeRound()"),
        "/setGasPrice": set_gas_price,
        **({"/transcoderEventSubscriptions": _subscriptions(facts)} if facts.own.libp2p else {}),
    }


def _subscriptions(facts: Facts) -> Handler:
    def handler(_: Dict[str, str]) -> Answer:
        if not facts.services:
            return "", _TEXT
        working = {name: service.is_working for name, service in facts.services.items()}
        # 0.2.4 looks for the rounds service under a name that it does not have, so it never works
        shown = {"JobService": True, "RewardService": working.get("RewardService", False), "RoundsService": False}
        return to_json(shown), _JSON

    return handler


class _Handler(http.server.BaseHTTPRequestHandler):
    routes: ClassVar[Dict[str, Handler]] = {}
    fails: ClassVar[Tuple[str, ...]] = ()
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """It logs no request."""

    def _reply(self, status: int, body: Body, kind: str, cross_origin: bool) -> None:
        data = body.encode() if isinstance(body, str) else body
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
            answer, kind = handler(form)
        except EthError as error:
            log.error(str(error), _SOURCE)
            if parts.path in self.fails:
                self._reply(500, str(error) + "\n", _TEXT, cross_origin=False)
                return
            answer, kind = "", _TEXT
        self._reply(200, answer, kind, cross_origin=parts.path == "/peersCount")

    do_POST = do_PUT = do_GET  # noqa: N815 - named by the base class


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def start_server(host: str, port: int, handler: Any) -> _Server:
    """Serve a port in threads of its own; OSError when the address is taken."""
    server = _Server((host, port), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    return server


def serve_api(host: str, port: int, table: Dict[str, Handler]) -> _Server:
    """The control API; OSError when the address is taken."""
    fails = _FAILS_WITH_500 if "/currentBlock" in table else ()
    return start_server(host, port, type("Handler", (_Handler,), {"routes": table, "fails": fails}))


class _PeerHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """libp2p: both sides name the protocol first. Nothing more is spoken here."""
        self.request.settimeout(10)
        try:
            self.request.sendall(MULTISTREAM)
            self.request.recv(4096)
        except (socket.timeout, ConnectionError):
            return  # a watcher that only wanted to see the header


class _SilentHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """RTMP: the caller speaks first, and no stream is taken."""
        self.request.settimeout(10)
        try:
            self.request.recv(4096)
        except (socket.timeout, ConnectionError):
            return


def serve_libp2p(port: int) -> _Server:
    """The port that broadcasters and outside watchers see; OSError when it is taken."""
    return start_server("0.0.0.0", port, _PeerHandler)


def serve_rtmp(host: str, port: int) -> _Server:
    """The ingest port; OSError when it is taken."""
    return start_server(host, port, _SilentHandler)
