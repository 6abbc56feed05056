"""A shell on a machine that stays open: what a command over SSH costs before it begins is paid once.

A command of its own needs a channel, a log-in session and, for root, sudo: 0.1 to 0.25 s in the lab, whatever it does;
in a shell that is open it needs the network's time there and back. Nothing is fed to the commands, and a shell that
did not come to the end of what it was given is thrown away. A command that something is fed to has
a channel of its own.
"""

from __future__ import annotations

import select
import time
from typing import Protocol

CHUNK = 65536
LOOK_FED = 0.05
"""Seconds between looks at a command that something is fed to: the room that it has for more is not announced."""
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
                raise EOFError(bytes(err).decode(errors="replace").strip()[-500:])  # what is on stdout may be a key
        return bytes(out[: -len(end)]).decode(errors="replace"), bytes(err[: -len(end)]).decode(errors="replace")

    def close(self) -> None:
        """End it."""
        self._channel.close()

    def _read(self, out: bytearray, err: bytearray) -> bool:
        return read_into(self._channel, out, err)


def read_into(channel: Channel, out: bytearray, err: bytearray) -> bool:
    """Take what has come; tell whether anything has."""
    before = len(out) + len(err)
    while channel.recv_ready() and (data := channel.recv(CHUNK)):
        out += data
    while channel.recv_stderr_ready() and (data := channel.recv_stderr(CHUNK)):
        err += data
    return len(out) + len(err) > before


class CommandChannel(Channel, Protocol):
    """What is needed of the channel of one command (paramiko's), beside the rest."""

    def send_ready(self) -> bool: ...
    def send(self, data: bytes) -> int: ...
    def shutdown_write(self) -> None: ...
    def exit_status_ready(self) -> bool: ...
    def recv_exit_status(self) -> int: ...


def feed(channel: CommandChannel, data: bytes, timeout: float) -> tuple[int, str, str]:
    """Give a command that has been started its standard input; return exit code, standard output, standard error.

    It is written as the command takes it while its output is read: neither side waits for the other.

    :param timeout: seconds.
    :raises TimeoutError: it has not ended by then.
    """
    deadline = time.monotonic() + timeout
    out, err, left, closed = bytearray(), bytearray(), memoryview(data), False
    while True:
        while left and channel.send_ready() and not channel.closed:
            left = left[channel.send(bytes(left[:CHUNK])) :]
        if not left and not closed:
            channel.shutdown_write()
            closed = True
        moved = read_into(channel, out, err)
        if not moved and (channel.closed or (channel.eof_received and channel.exit_status_ready())):
            return channel.recv_exit_status(), bytes(out).decode(errors="replace"), bytes(err).decode(errors="replace")
        if time.monotonic() >= deadline:
            raise TimeoutError
        if not moved:
            select.select([channel], [], [], LOOK_FED)
