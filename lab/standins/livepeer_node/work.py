"""The work port of v0.5: TLS with a certificate that livepeer signs itself, one year long, made anew at each start."""

import os
import socketserver
import ssl
import subprocess
from typing import Any, Tuple

from . import log
from .webserver import start_server

_SECONDS = 10.0
_CONFIGURATION = "[req]\ndistinguished_name = name\nx509_extensions = extensions\n[name]\n[extensions]\n"
"""Of openssl, so that it reads none of the system's, which has it write a file into the home directory (18.04)."""


def certificate(datadir: str, host: str) -> Tuple[str, str]:
    """Make cert.pem and key.pem (P-256) and return their paths; OSError when they cannot be made.

    The standard library makes no certificate: the distribution's openssl does, which every machine has for its CAs.
    """
    made, key = os.path.join(datadir, "cert.pem"), os.path.join(datadir, "key.pem")
    log.info("Private key and cert not found. Generating", "cert.go:1")
    words = ["openssl", "req", "-x509", "-config", "/dev/stdin", "-newkey", "ec", "-pkeyopt"]
    words += ["ec_paramgen_curve:P-256", "-nodes", "-days", "365", "-subj", "/CN=" + host, "-out", made, "-keyout", key]
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
    except FileNotFoundError as error:
        raise OSError("the stand-in needs openssl for its certificate (apt-get install openssl)") from error
    with process:
        said = process.communicate(_CONFIGURATION.encode())[0]
    if process.returncode:
        raise OSError("openssl: {}".format(" ".join(said.decode("utf-8", "replace").split())[-300:]))
    return made, key


def serve(host: str, port: int, pair: Tuple[str, str]) -> Any:
    """Open the port; OSError when it is taken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return start_server(host, port, type("Handler", (_Handler,), {"context": context}))


class _Handler(socketserver.BaseRequestHandler):
    context: ssl.SSLContext

    def handle(self) -> None:
        """Show the certificate, hear what is asked, and hang up: no work is taken."""
        self.request.settimeout(_SECONDS)
        try:
            with self.context.wrap_socket(self.request, server_side=True) as secure:
                secure.recv(4096)
        except OSError:
            return  # somebody who speaks no TLS, or who only looked at the certificate
