"""HTTP servers in threads: on an address of this machine, or on a socket that lives in the lab's namespace."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

log = logging.getLogger("lab.http")


class QuietHandler(MotoRequestHandler):  # type: ignore[misc]  # moto has no types
    """moto's handler without a line on stderr for each request: the call log has them."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Send to the log, at debug level."""
        log.debug(message, *args)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """Close what a request has ended without an answer: the client must not wait for one."""
        self.close_connection = True


class EndpointServer(ThreadedWSGIServer):
    """A WSGI server on a socket that somebody else made; TLS handshakes happen in the request's thread."""

    def __init__(self, listening: socket.socket, application: Callable[..., Any]) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(host, port, application, handler=QuietHandler, fd=listening.fileno())
        listening.close()  # the server has its own duplicate

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS. A client that connects and says nothing must not hold up the others."""
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.ssl_context = context

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log; a client that goes away is no error of the lab."""
        log.debug("request of %s ended early", client_address, exc_info=True)


class SocketServer(ThreadingMixIn, TCPServer):
    """A plain HTTP server on a socket that somebody else made."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, listening: socket.socket, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(listening.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log; a guest that goes away is no error of the lab."""
        log.debug("request of %s ended early", client_address, exc_info=True)


def listen(address: str, port: int) -> socket.socket:
    """Return a listening socket on an address of this machine.

    :raises OSError: when the port is taken.
    """
    return socket.create_server((address, port), backlog=128)


def serve(server: TCPServer, name: str) -> None:
    """Serve in a thread until ``server.shutdown()``."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name=name, daemon=True).start()
