"""A way to EC2 on which answers get lost: what was asked for is done, and the connection closes without a word."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class LossyEndpoint:
    """An endpoint before another one; `lose` names the actions whose next answer does not arrive."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.url = ""
        self.lost: list[str] = []
        self.passed: list[str] = []
        self._losing: list[str] = []
        self._lock = threading.Lock()

    def lose(self, *actions: str) -> None:
        """Lose the next answer to each of these actions."""
        with self._lock:
            self._losing.extend(actions)

    def is_to_be_lost(self, action: str) -> bool:
        """Tell whether the answer to this call is lost, and note the call."""
        with self._lock:
            if action in self._losing:
                self._losing.remove(action)
                self.lost.append(action)
                return True
            self.passed.append(action)
            return False


@contextmanager
def lossy(upstream: str) -> Iterator[LossyEndpoint]:
    """Serve an endpoint before ``upstream``, a URL, for the length of the block."""
    endpoint = LossyEndpoint(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, headers, answer = forward(endpoint.upstream, self.path, dict(self.headers.items()), body)
            if endpoint.is_to_be_lost(action_of(self.headers.get("X-Amz-Target", ""), body)):
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", headers.get("Content-Type", "text/xml"))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def forward(upstream: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return the answer of the endpoint behind: status, headers, body."""
    connection = http.client.HTTPConnection(upstream, timeout=30)
    try:
        connection.request("POST", path, body, {**headers, "Connection": "close"})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def action_of(target: str, body: bytes) -> str:
    """Return the action of a call: SSM's is in a header, EC2's in the form."""
    return target.rpartition(".")[2] or parse_qs(body.decode())["Action"][0]
