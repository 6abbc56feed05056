"""An HTTP server on the loopback that serves one document, well or badly, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """``break_off_after``: the first answer ends after so many bytes; ``ranges``: whether it can send a rest."""

    content: bytes
    ranges: bool = True
    break_off_after: int = -1
    status: int = 200
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """The Range header of each request, or nothing."""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve the site while the ``with`` lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, wanted = self.site, self.headers.get("Range", "")
        site.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.ranges else 0
        if site.status != 200 or start >= len(site.content):
            self.send_error(416 if site.status == 200 else site.status)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
        rest = site.content[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        end, site.break_off_after = site.break_off_after, -1
        self.wfile.write(rest if end < 0 else rest[:end])

    def log_message(self, *_: object) -> None:
        """Say nothing."""
