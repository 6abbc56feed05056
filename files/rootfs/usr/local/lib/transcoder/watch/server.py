"""``/health`` and ``/metrics`` over HTTP. It reads nothing but a path, and shows nothing but states."""

import socketserver
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Callable, Dict, Tuple

Page = Callable[[], Tuple[int, str, str]]
"""Returns status, content type and body."""
AT_ONCE = 16
"""Connections that are served at a time; further ones wait, so that nobody can make it start threads without end."""


class Server(socketserver.ThreadingMixIn, HTTPServer):
    """Serves pages, each request in a thread that ends with the process."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str, port: int, pages: Dict[str, Page]) -> None:
        self.pages = pages
        self._free = threading.BoundedSemaphore(AT_ONCE)
        super().__init__((address, port), _Handler)

    def start(self) -> None:
        """Serve until the process ends."""
        threading.Thread(target=self.serve_forever, name="server", daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Wait for a free place, then handle it in a thread."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle a request and free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is not worth a line."""


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "transcoder-watch", ""
    timeout = 5
    """Seconds that a caller may take to say what it wants."""

    def log_message(self, format: str, *args: Any) -> None:
        """No log of requests: a scrape every few seconds would fill the journal."""

    def do_GET(self) -> None:
        """Answer with a page, or 404."""
        page = self.server.pages.get(self.path.partition("?")[0])  # type: ignore[attr-defined]
        status, kind, body = page() if page else (404, "text/plain", "there are /health and /metrics\n")
        data = body.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_HEAD = do_GET  # noqa: N815
