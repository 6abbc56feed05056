"""Addresses of this machine, and addresses as livepeer's flags have them."""

import socket
from typing import List, Tuple

from . import log


def own_addresses(public: str) -> List[str]:
    """Return the addresses that 0.2 tells others."""
    own = ["127.0.0.1"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the routing table which address would be used
            own.append(probe.getsockname()[0])
        except OSError as error:
            log.info(f"No route to the outside: {log.reason(error)}")
    return own + ([public] if public else [])


def split(address: str, host: str, port: int) -> Tuple[str, int]:
    """Return host and port of HOST:PORT, :PORT or HOST; ValueError for a port that is no number."""
    given, _, number = address.partition(":")
    return given or host, int(number) if number else port
