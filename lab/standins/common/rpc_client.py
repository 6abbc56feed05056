"""A JSON-RPC client for geth's three doors: IPC socket path, http:// and ws:// addresses."""

import http.client
import itertools
import json
import socket
import threading
from typing import Any, Optional
from urllib.parse import urlsplit

from .websocket import WebSocket, connect


class RpcError(Exception):
    """The node answered with an error; the text is the node's own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unreachable(Exception):
    """The node cannot be spoken to; the text is in the words of Go's net package."""


def _go_words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


class RpcClient:
    """Calls a node; connects when it must and again after the node has been restarted. Safe for threads."""

    def __init__(self, endpoint: str, timeout: float = 15.0) -> None:
        self.endpoint = endpoint
        self._timeout = timeout
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._socket: Optional[socket.socket] = None
        self._websocket: Optional[WebSocket] = None

    def dial(self) -> None:
        """Connect now, as ethclient.Dial does: http:// addresses are not tried before the first call."""
        if self.endpoint.startswith(("wss://", "https://")):
            raise Unreachable("the stand-in speaks no TLS and cannot dial " + self.endpoint)
        with self._lock:
            if self.endpoint.startswith("ws://"):
                self._open_websocket()
            elif "://" not in self.endpoint:
                self._open_socket()

    def close(self) -> None:
        """Hang up; the next call connects again."""
        if self._socket:
            self._socket.close()
        if self._websocket:
            self._websocket.close()
        self._socket = self._websocket = None

    def call(self, method: str, *params: Any) -> Any:
        """The result of one call; RpcError or Unreachable."""
        with self._lock:
            request = json.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)})
            try:
                answer = json.loads(self._exchange(request))
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.close()
                text = _go_words(error) if isinstance(error, OSError) else str(error)
                raise Unreachable(f"{self.endpoint}: {text}") from error
        if "error" in answer:
            raise RpcError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def _exchange(self, request: str) -> str:
        if self.endpoint.startswith("http://"):
            return self._post(request)
        if self.endpoint.startswith("ws://"):
            websocket = self._websocket or self._open_websocket()
            websocket.send(request)
            answer = websocket.receive()
            if answer is None:
                raise ConnectionError("EOF")
            return answer
        return self._over_socket(self._socket or self._open_socket(), request)

    def _open_socket(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout)
        try:
            connection.connect(self.endpoint)
        except OSError as error:
            connection.close()
            raise Unreachable(f"dial unix {self.endpoint}: connect: {_go_words(error)}") from error
        self._socket = connection
        return connection

    def _open_websocket(self) -> WebSocket:
        parts = urlsplit(self.endpoint)
        origin = "http://" + socket.gethostname().lower()  # what the Go client of 2018 sends
        try:
            self._websocket = connect(parts.hostname or "", parts.port or 80, parts.path, origin, self._timeout)
        except OSError as error:
            form = "dial tcp {}:{}: connect: {}" if error.errno else "{2}"
            text = form.format(parts.hostname, parts.port, _go_words(error))
            raise Unreachable(text) from error
        return self._websocket

    def _over_socket(self, connection: socket.socket, request: str) -> str:
        connection.sendall(request.encode())
        answer = b""
        while not answer.endswith(b"\n"):
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("EOF")
            answer += data
        return answer.decode()

    def _post(self, request: str) -> str:
        parts = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=self._timeout)
        try:
            connection.request("POST", parts.path or "/", request, {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise ConnectionError(f"{response.status} {body.strip()}")
        return body
