"""What a machine's own programs call: an instance's metadata service (IMDSv2) and, under POST, a service of AWS."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "a-token"
ROLE = "transcoder-node"
CREDENTIALS = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t"}


def items(role: Mapping[str, str] = CREDENTIALS, zone: str = "eu-central-1b") -> dict[str, str]:
    """Return what a machine with a role is told, by path below ``/latest/meta-data/``."""
    return {
        "iam/security-credentials/": ROLE,
        f"iam/security-credentials/{ROLE}": json.dumps(dict(role)),
        "placement/availability-zone": zone,
    }


@dataclass
class Service:
    """Both at one address. ``answer`` is what every POST gets; ``posted`` has headers, in lower case, and body."""

    address: str = ""
    items: dict[str, str] = field(default_factory=dict)
    answer: tuple[int, bytes] = (200, b"{}")
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def serving(given: Mapping[str, str] | None = None) -> Iterator[Service]:
    """Serve on this computer while the block runs."""
    service = Service(items=dict(given or {}))

    class Answers(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._say(200, TOKEN.encode())

        def do_GET(self) -> None:
            name = self.path.removeprefix("/latest/meta-data/")
            known = self.headers["X-aws-ec2-metadata-token"] == TOKEN and name in service.items
            self._say(200 if known else 404, service.items.get(name, "").encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self._say(*service.answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        service.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield service
        server.shutdown()
        thread.join()
