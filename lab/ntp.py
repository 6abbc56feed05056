"""The Amazon Time Sync Service of a lab: SNTP at 169.254.169.123 from this machine's clock (RFC 5905, server mode).

`answer` is pure; the server around it is `TimeServer`.
"""

from __future__ import annotations

import logging
import math
import socket
import struct
import time
from collections.abc import Callable
from socketserver import BaseRequestHandler, UDPServer
from typing import Any

log = logging.getLogger("lab.ntp")

ADDRESS = "169.254.169.123"
PORT = 123

# RFC 5905, figure 8: leap, version and mode; stratum; poll; precision; root delay and dispersion; reference id; the
# reference, origin, receive and transmit timestamps.
PACKET = struct.Struct(">BBbbII4s8s8s8s8s")
VERSIONS = range(1, 5)
CLIENT, SERVER = 3, 4
NO_LEAP_SECOND = 0
STRATUM = 3
"""What Amazon's service says of itself; see `root_dispersion` for what the lab's means by it."""
REFERENCE_ID = bytes((127, 127, 1, 0))
"""NTP's name for a machine's own clock, whose time the lab's time is."""
EPOCH_OFFSET = 2_208_988_800
"""Seconds from NTP's epoch, 1900, to Unix's, 1970."""
NANOSECONDS = 1_000_000_000
DISPERSION_RATE = 15e-6
"""Seconds a second by which any clock may be wrong (PHI of RFC 5905, section 7.2)."""
SECONDS_BETWEEN_SETTINGS = 16
"""How old the reference is said to be: the host's clock is being kept right by whoever keeps it, all the time."""

Clock = Callable[[], int]
"""Returns nanoseconds since 1970."""


def precision(clock: Clock = time.time_ns, tries: int = 8) -> int:
    """Return the time that reading a clock takes, as NTP's power of two of seconds."""
    steps = [abs(clock() - clock()) for _ in range(tries)]
    return max(-30, math.ceil(math.log2(max(1, min(steps)) / NANOSECONDS)))


def root_dispersion(exponent: int) -> float:
    """Return the bound in seconds on the error against the lab's reference, which is the host's clock itself.

    So there is no delay to a reference. How right the host's clock is does not count: inside a lab it is right.

    :param exponent: the clock's precision.
    """
    return float(2.0**exponent) + DISPERSION_RATE * SECONDS_BETWEEN_SETTINGS


def timestamp(nanoseconds: int) -> bytes:
    """Return NTP's 64 bits of a time: seconds since 1900 modulo 2**32, and the fraction."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return struct.pack(">II", (seconds + EPOCH_OFFSET) % 2**32, (rest << 32) // NANOSECONDS)


def answer(request: bytes, received: int, clock: Clock, exponent: int) -> bytes | None:
    """Return the answer to a client's packet; None for what is no such packet.

    :param received: when it came, nanoseconds since 1970.
    :param clock: read for the transmit timestamp.
    :param exponent: the clock's precision.
    """
    if len(request) < PACKET.size:
        return None
    first, _, poll, *_, transmitted = PACKET.unpack(request[: PACKET.size])
    version, mode = (first >> 3) & 7, first & 7
    if mode != CLIENT or version not in VERSIONS:
        return None
    return PACKET.pack(
        NO_LEAP_SECOND << 6 | version << 3 | SERVER,
        STRATUM,
        poll,
        exponent,
        0,
        round(root_dispersion(exponent) * 2**16),
        REFERENCE_ID,
        timestamp(received - received % (SECONDS_BETWEEN_SETTINGS * NANOSECONDS)),
        transmitted,
        timestamp(received),
        timestamp(clock()),
    )


class TimeServer(UDPServer):
    """Answers clients on a socket that somebody else has bound.

    :param clock: in place of the host's, for a lab whose time service is wrong.
    """

    def __init__(self, bound: socket.socket, clock: Clock = time.time_ns) -> None:
        super().__init__(bound.getsockname()[:2], BaseRequestHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.clock = clock
        self._precision = precision()

    def get_request(self) -> tuple[Any, Any]:
        """Take a packet with the time at which it came: nothing else may come between."""
        packet, client = self.socket.recvfrom(self.max_packet_size)
        return (packet, self.clock()), client

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer a packet."""
        packet, received = request
        answered = answer(packet, received, self.clock, self._precision)
        if answered is not None:
            self.socket.sendto(answered, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log; a guest that goes away is no error of the lab."""
        log.debug("no answer to %s", client_address, exc_info=True)
