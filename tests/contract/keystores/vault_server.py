"""Vault's HTTP contract for KV version 2, as far as the store uses it. This is no Vault.

Vault itself can't be had from the package registries that the tests may use. Paths, bodies, status codes and error
texts are those of Vault's API documentation ("KV secrets engine - version 2 (API)", "HTTP API": status codes) and of
vault-plugin-secrets-kv (path_data.go: the text about check-and-set; 404 for a deleted version carries its metadata).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "hvs.a-token-of-the-tests"
CAS = "check-and-set parameter did not match the current version"
Answer = tuple[int, Any]


@dataclass
class VaultServer:
    """What the server holds. ``trouble`` is answered instead of anything else: a status and its errors."""

    url: str = ""
    secrets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    trouble: tuple[int, str] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    seen: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, query: dict[str, list[str]], token: str, body: bytes) -> Answer:
        """Answer one request."""
        self.seen.append(f"{method} {path}")
        if self.trouble:
            return self.trouble[0], {"errors": [self.trouble[1]]}
        if token != TOKEN:
            return 403, {"errors": ["permission denied"]}
        kind, _, name = path.removeprefix("/v1/secret/").partition("/")
        if method == "GET" and query.get("list"):
            method = "LIST"
        act = getattr(self, f"_{method.lower()}_{kind}", None)
        if act is None:
            return 405, {"errors": ["unsupported operation"]}
        with self.lock:
            answer: Answer = act(name.rstrip("/"), query, json.loads(body or b"{}"))
            return answer

    def _post_data(self, name: str, _query: object, body: dict[str, Any]) -> Answer:
        versions = self.secrets.get(name, [])
        cas = body.get("options", {}).get("cas")
        if cas is not None and cas != len(versions):
            return 400, {"errors": [CAS]}
        made = {"created_time": datetime.now(UTC).isoformat(), "deletion_time": "", "destroyed": False}
        self.secrets[name] = [*versions, {"data": body["data"], "metadata": made}]
        return 200, {"data": {**made, "version": len(versions) + 1}}

    _put_data = _post_data

    def _get_data(self, name: str, query: dict[str, list[str]], _body: object) -> Answer:
        versions = self.secrets.get(name, [])
        number = int(query.get("version", ["0"])[0]) or len(versions)
        if not 1 <= number <= len(versions):
            return 404, {"errors": []}
        return 200, {
            "data": {**versions[number - 1], "metadata": {**versions[number - 1]["metadata"], "version": number}}
        }

    def _get_metadata(self, name: str, _query: object, _body: object) -> Answer:
        if name not in self.secrets:
            return 404, {"errors": []}
        versions = {str(number): each["metadata"] for number, each in enumerate(self.secrets[name], 1)}
        return 200, {"data": {"versions": versions, "current_version": len(versions), "max_versions": 0}}

    def _list_metadata(self, name: str, _query: object, _body: object) -> Answer:
        below = [each.removeprefix(f"{name}/") for each in self.secrets if each.startswith(f"{name}/")]
        keys = sorted({rest.partition("/")[0] + ("/" if "/" in rest else "") for rest in below})
        return (200, {"data": {"keys": keys}}) if keys else (404, {"errors": []})


@contextmanager
def vault() -> Iterator[VaultServer]:
    """Serve it for the length of the block."""
    state = VaultServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            token = self.headers.get("X-Vault-Token", "")
            status, answer = state.answer(self.command, parts.path, parse_qs(parts.query), token, body)
            text = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_LIST = handle_any  # noqa: N815 - the names that http.server wants

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
