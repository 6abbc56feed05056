"""The doors of the node: the IPC socket, HTTP, WebSocket, and the peer-to-peer port."""

import http.server
import ipaddress
import json
import os
import socket
import socketserver
import stat
import threading
from typing import Any, Callable, List, Optional, Sequence, Tuple

from ..common import logs
from ..common.websocket import WebSocket, accept_key
from .api import Api
from .config import Fatal

_LARGEST_REQUEST = 128 * 1024
_LONGEST_SOCKET_NAME = 107  # sun_path holds 108 bytes, the last of them a zero


class _Threads(socketserver.ThreadingMixIn):
    daemon_threads = True
    allow_reuse_address = True


class _TcpServer(_Threads, socketserver.TCPServer):
    request_queue_size = 128


class _UnixServer(_Threads, socketserver.UnixStreamServer):
    pass


def _in_thread(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()


def _listen(host: str, port: int, handler: Any) -> _TcpServer:
    """Listen on a TCP address; with no host on all, IPv6 and IPv4, as Go does. Fatal in Go's words when it is taken."""
    try:
        server = _TcpServer((host, port), handler, bind_and_activate=False)
        if not host:
            _every_address(server)
        server.server_bind()
        server.server_activate()
    except OSError as error:
        text = "Error starting protocol stack: listen tcp {}:{}: bind: {}"
        raise Fatal(text.format(host, port, (error.strerror or str(error)).lower())) from error
    _in_thread(server)
    return server


def _every_address(server: _TcpServer) -> None:
    try:
        both = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    except OSError:
        return  # a kernel without IPv6: all IPv4 addresses are all addresses
    server.socket.close()
    server.socket = both


class _IpcHandler(socketserver.StreamRequestHandler):
    api: Api

    def handle(self) -> None:
        """JSON values one after the other, with or without line ends between them."""
        decoder, buffer = json.JSONDecoder(), ""
        while True:
            data = self.request.recv(65536)
            if not data:
                return
            buffer = (buffer + data.decode()).lstrip()
            while buffer:
                try:
                    _, end = decoder.raw_decode(buffer)
                except ValueError:
                    break  # not all of it is here yet
                self.request.sendall((self.api.answer(buffer[:end], None) + "\n").encode())
                buffer = buffer[end:].lstrip()


def serve_ipc(path: str, api: Api) -> Callable[[], None]:
    """Listen on the socket `path` (0600; a stale one is replaced); returns what closes and removes it."""
    if len(path.encode()) > _LONGEST_SOCKET_NAME:
        logs.geth("WARN", "The ipc endpoint is longer than 108 characters.", endpoint=path)
        raise Fatal(f"Error starting protocol stack: listen unix {path}: bind: invalid argument")
    os.makedirs(os.path.dirname(path), mode=0o751, exist_ok=True)
    if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
        os.unlink(path)
    handler = type("IpcHandler", (_IpcHandler,), {"api": api})
    try:
        server = _UnixServer(path, handler)
    except OSError as error:
        text = "Error starting protocol stack: listen unix {}: bind: {}"
        raise Fatal(text.format(path, (error.strerror or str(error)).lower())) from error
    os.chmod(path, 0o600)
    _in_thread(server)
    logs.geth("INFO", "IPC endpoint opened", url=path)

    def close() -> None:
        server.shutdown()
        server.server_close()
        os.unlink(path)
        logs.geth("INFO", "IPC endpoint closed", endpoint=path)

    return close


def _host_allowed(header: str, allowed: Sequence[str]) -> bool:
    """geth's guard against DNS rebinding: addresses pass, names must be listed."""
    host = header.rsplit(":", 1)[0] if header.count(":") == 1 or "]:" in header else header
    try:
        ipaddress.ip_address(host.strip("[]"))
        return True
    except ValueError:
        return not host or "*" in allowed or host.lower() in [name.lower() for name in allowed]


class _HttpHandler(http.server.BaseHTTPRequestHandler):
    api: Api
    modules: Sequence[str] = ()
    virtual_hosts: Sequence[str] = ()
    cors: Sequence[str] = ()
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """geth logs no requests."""

    def _reply(self, status: int, body: str, kind: str) -> None:
        data = body.encode()
        self.send_response_only(status)  # Go's server does not name itself
        self.send_header("Date", self.date_time_string())
        origin = self.headers.get("Origin")
        if origin and (origin in self.cors or "*" in self.cors):
            self.send_header("Access-Control-Allow-Origin", "*" if "*" in self.cors else origin)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, text: str) -> None:
        self.close_connection = True  # the request's body is still in the connection
        self._reply(status, text + "\n", "text/plain; charset=utf-8")

    def _host_is_good(self) -> bool:
        good = _host_allowed(self.headers.get("Host", ""), self.virtual_hosts)
        if not good:
            self._refuse(403, "invalid host specified")
        return good

    def do_GET(self) -> None:
        """An empty answer, whatever the node's state: geth lets probes pass that only look for an open port."""
        if self._host_is_good():
            self._reply(200, "", "application/json")

    def do_PUT(self) -> None:
        """Refused."""
        if self._host_is_good():
            self._refuse(405, "method not allowed")

    do_DELETE = do_PUT  # noqa: N815 - named by the base class

    def do_POST(self) -> None:
        """One request or a batch."""
        if not self._host_is_good():
            return
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_REQUEST:
            self._refuse(413, f"content length too large ({length}>{_LARGEST_REQUEST})")
        elif kind not in ("application/json", "application/json-rpc", "application/jsonrequest"):
            self._refuse(415, "invalid content type, only application/json is supported")
        else:
            text = self.rfile.read(length).decode("utf-8", "replace")
            self._reply(200, self.api.answer(text, self.modules) + "\n", "application/json")


def serve_http(
    address: Tuple[str, int], api: Api, modules: Sequence[str], hosts: Sequence[str], cors: Sequence[str]
) -> Callable[[], None]:
    """Listen for JSON-RPC over HTTP; returns what closes it."""
    values = {"api": api, "modules": modules, "virtual_hosts": hosts, "cors": cors}
    server = _listen(address[0], address[1], type("HttpHandler", (_HttpHandler,), values))
    url = "http://{}:{}".format(*address)
    logs.geth("INFO", "HTTP endpoint opened", url=url, cors=",".join(cors), vhosts=",".join(hosts))
    return _closer(server, "HTTP endpoint closed", url)


class _WsHandler(socketserver.StreamRequestHandler):
    api: Api
    modules: Optional[Sequence[str]] = None
    origins: Sequence[str] = ()

    def handle(self) -> None:
        """The handshake, then one JSON value a message."""
        headers = self._read_headers()
        key = headers.get("sec-websocket-key")
        if not key:
            self._refuse("400 Bad Request")
        elif not self._origin_allowed(headers.get("origin", "")):
            self._refuse("403 Forbidden")
        else:
            lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
            lines += ["Sec-WebSocket-Accept: " + accept_key(key), "", ""]
            self.request.sendall("\r\n".join(lines).encode())
            self._converse(WebSocket(self.rfile, self.request, is_client=False))

    def _read_headers(self) -> Any:
        headers = {}
        self.rfile.readline(_LARGEST_REQUEST)
        for raw in iter(lambda: self.rfile.readline(_LARGEST_REQUEST).strip(), b""):
            name, _, value = raw.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return headers

    def _origin_allowed(self, origin: str) -> bool:
        """Nothing configured means localhost and this host; a missing Origin passes only when all may (1.8.27)."""
        own = ("http://localhost", "http://" + socket.gethostname().lower())
        allowed = [item.lower() for item in self.origins] or own
        return "*" in allowed or (bool(origin) and origin.lower() in allowed)

    def _refuse(self, status: str) -> None:
        self.request.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    def _converse(self, connection: WebSocket) -> None:
        try:
            for text in iter(connection.receive, None):
                connection.send(self.api.answer(text, self.modules))
        except ConnectionError as error:
            logs.geth("DEBUG", "WebSocket connection lost", err=error)


def serve_websocket(
    address: Tuple[str, int], api: Api, modules: Optional[Sequence[str]], origins: Sequence[str]
) -> Callable[[], None]:
    """Listen for JSON-RPC over WebSocket; returns what closes it."""
    values = {"api": api, "modules": modules, "origins": origins}
    server = _listen(address[0], address[1], type("WsHandler", (_WsHandler,), values))
    url = "ws://{}:{}".format(*address)
    logs.geth("INFO", "WebSocket endpoint opened", url=url)
    return _closer(server, "WebSocket endpoint closed", url)


class _PeerHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        """RLPx: the caller speaks first; what it says here cannot be a handshake for us, so it is hung up on."""
        self.request.settimeout(5)
        try:
            self.request.recv(4096)
        except socket.timeout:
            logs.geth("DEBUG", "Failed RLPx handshake", err="i/o timeout")


def serve_peers(listen_address: str, discovery: bool) -> Callable[[], None]:
    """Listen on the peer-to-peer port, TCP and (for discovery) UDP; returns what closes both."""
    host, _, port = listen_address.rpartition(":")
    server = _listen(host.strip("[]"), int(port), _PeerHandler)
    closers: List[Callable[[], None]] = [_closer(server, "P2P networking stopped", listen_address)]
    if discovery:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind((host.strip("[]"), int(port)))
        except OSError as error:
            text = "Error starting protocol stack: listen udp {}: bind: {}"
            raise Fatal(text.format(listen_address, (error.strerror or str(error)).lower())) from error
        closers.append(datagrams.close)
    logs.geth("INFO", "Started P2P networking", listen=listen_address)

    def close() -> None:
        for closer in closers:
            closer()

    return close


def serve_metrics(address: Tuple[str, int], read: Callable[[], Any]) -> Callable[[], None]:
    """--pprof with --metrics: JSON under /debug/metrics, 404 elsewhere (there is no /prometheus in 1.8)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            """The numbers now."""
            known = self.path.partition("?")[0] == "/debug/metrics"
            data = json.dumps(read()).encode() if known else b"404 page not found\n"
            self.send_response_only(200 if known else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = _listen(address[0], address[1], Handler)
    logs.geth("INFO", "Starting pprof server", addr="http://{}:{}/debug/pprof".format(*address))
    return _closer(server, "pprof server stopped", "http://{}:{}".format(*address))


def _closer(server: _TcpServer, message: str, url: str) -> Callable[[], None]:
    def close() -> None:
        server.shutdown()
        server.server_close()
        logs.geth("INFO", message, url=url)

    return close
