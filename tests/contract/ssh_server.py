"""An SSH server of this machine that runs every command for real, as sshd does: its streams are the channel's."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import paramiko

CHUNK = 65536
GONE = (OSError, EOFError, paramiko.SSHException)
"""What paramiko raises when the other side has hung up, at any moment."""


class Server(paramiko.ServerInterface):  # type: ignore[misc] # paramiko has no annotations
    """Lets anybody in, and remembers the commands.

    :param environment: what the commands are told, by default what this process was told.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.commands: list[str] = []
        self._environment = environment

    def check_auth_password(self, username: str, password: str) -> int:
        return int(paramiko.AUTH_SUCCESSFUL)

    def check_auth_publickey(self, username: str, key: Any) -> int:
        return int(paramiko.AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        self.commands.append(command.decode())
        _thread(self._serve, channel, command.decode())
        return True

    def _serve(self, channel: Any, command: str) -> None:
        pipe, environment = subprocess.PIPE, self._environment
        with subprocess.Popen(["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
            feeder = _thread(_feed, channel, process.stdin)
            streams = ((process.stdout, channel.sendall), (process.stderr, channel.sendall_stderr))
            for pump in [_thread(_pump, source, send) for source, send in streams]:
                pump.join()
            code = process.wait()
            with suppress(*GONE):
                channel.send_exit_status(code)
                channel.shutdown_write()
                channel.close()
            feeder.join(5)


def _thread(target: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def _pump(source: Any, send: Callable[[bytes], None]) -> None:
    while data := os.read(source.fileno(), CHUNK):
        with suppress(*GONE):  # the program's output is read to its end all the same
            send(data)


def _feed(channel: Any, sink: Any) -> None:
    with suppress(*GONE, ValueError):  # ValueError: the program has ended, and its standard input is closed
        while data := channel.recv(CHUNK):
            os.write(sink.fileno(), data)
    with suppress(OSError):
        sink.close()


@contextmanager
def serving(server: Server, address: str = "127.0.0.1") -> Iterator[int]:
    """Serve on a free port of an address as long as the block; yield the port."""
    listening = socket.create_server((address, 0))
    key, transports = paramiko.ECDSAKey.generate(), list[Any]()

    def accept() -> None:
        with suppress(OSError):  # closed: it is the end
            while True:
                connection, _ = listening.accept()
                with suppress(*GONE):
                    transport = paramiko.Transport(connection)
                    transports.append(transport)
                    transport.add_server_key(key)
                    transport.start_server(server=server)

    thread = _thread(accept)
    try:
        yield int(listening.getsockname()[1])
    finally:
        for transport in transports:
            transport.close()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)
