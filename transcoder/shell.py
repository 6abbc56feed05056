"""A shell on a machine that stays open: what a command over SSH costs before it begins is paid once.

A command of its own needs a channel, a log-in session and, for root, sudo: 0.1 to 0.25 s in the lab, whatever it does;
in a shell that is open it needs the network's time there and back. Nothing is fed to the commands, and a shell that
did not come to the end of what it was given is thrown away.
"""

from __future__ import annotations

import select
import time
from typing import Protocol

CHUNK = 65536
LOOK = 5.0
"""Seconds after which a silent channel is looked at: it may have ended without a word."""


class Channel(Protocol):
    """What a shell needs of an SSH channel (paramiko's)."""

    @property
    def closed(self) -> bool: ...
    @property
    def eof_received(self) -> bool: ...
    def fileno(self) -> int: ...
    def sendall(self, data: bytes) -> None: ...
    def recv_ready(self) -> bool: ...
    def recv(self, size: int) -> bytes: ...
    def recv_stderr_ready(self) -> bool: ...
    def recv_stderr(self, size: int) -> bytes: ...
    def close(self) -> None: ...


class Shell:
    """One ``sh`` that reads its commands from the channel. One caller at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def run(self, script: str, token: str, timeout: float) -> tuple[str, str]:
        """Run a script in a shell below this one; return its standard output and standard error.

        :param token: letters and digits that no output contains; each stream ends with it.
        :param timeout: seconds.
        :raises TimeoutError: it has not ended by then; the shell is of no use any more.
        :raises EOFError: the shell has ended, with its last words.
        """
        mark = f"\\n{token} end\\n"
        end = f"\n{token} end\n".encode()
        self._channel.sendall(f"(\n{script}\n)\nprintf '{mark}'; printf '{mark}' >&2\n".encode())
        deadline = time.monotonic() + timeout
        out, err = bytearray(), bytearray()
        while not (out.endswith(end) and err.endswith(end)):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            select.select([self._channel], [], [], min(left, LOOK))
            ended = self._channel.closed or self._channel.eof_received
            if not self._read(out, err) and ended:
                raise EOFError(bytes(err or out).decode(errors="replace").strip()[-500:])
        return bytes(out[: -len(end)]).decode(errors="replace"), bytes(err[: -len(end)]).decode(errors="replace")

    def close(self) -> None:
        """End it."""
        self._channel.close()

    def _read(self, out: bytearray, err: bytearray) -> bool:
        """Take what has come; tell whether anything has."""
        before = len(out) + len(err)
        while self._channel.recv_ready():
            out += self._channel.recv(CHUNK)
        while self._channel.recv_stderr_ready():
            err += self._channel.recv_stderr(CHUNK)
        return len(out) + len(err) > before
