"""What is fed to a command over SSH: every byte of it, soon, and nowhere but on its standard input."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import fabric
import paramiko
import pytest

from transcoder.errors import Failed, Unreachable
from transcoder.remote import SshHost


class _Server(paramiko.ServerInterface):  # type: ignore[misc] # paramiko has no annotations
    """Lets anybody in and runs each command for real, as sshd does: its streams are the channel's."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def check_auth_password(self, username: str, password: str) -> int:
        return int(paramiko.AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        self.commands.append(command.decode())
        threading.Thread(target=_serve, args=(channel, command.decode()), daemon=True).start()
        return True


def _serve(channel: Any, command: str) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        feeder = threading.Thread(target=_feed, args=(channel, process), daemon=True)
        feeder.start()
        while data := os.read(process.stdout.fileno(), 65536):
            channel.sendall(data)
        assert process.stderr is not None
        channel.sendall_stderr(process.stderr.read())
        channel.send_exit_status(process.wait())
        channel.shutdown_write()
        channel.close()
        feeder.join(5)


def _feed(channel: Any, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    try:
        while data := channel.recv(65536):
            os.write(process.stdin.fileno(), data)
    except OSError:
        return
    finally:
        process.stdin.close()


@pytest.fixture
def server() -> Iterator[tuple[SshHost, _Server]]:
    """Return a machine behind a real SSH connection."""
    listening = socket.create_server(("127.0.0.1", 0))
    own = _Server()
    transports: list[Any] = []

    def accept() -> None:
        try:
            while True:
                transport = paramiko.Transport(listening.accept()[0])
                transport.add_server_key(key)
                transport.start_server(server=own)
                transports.append(transport)
        except OSError:
            return

    key = paramiko.ECDSAKey.generate()
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()

    def connect() -> Any:
        secrets = {"password": "x", "allow_agent": False, "look_for_keys": False}
        config = fabric.Config(overrides={"load_ssh_configs": False})
        port = listening.getsockname()[1]
        connection = fabric.Connection("127.0.0.1", user="root", port=port, config=config, connect_kwargs=secrets)
        connection.client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        connection.open()
        return connection

    host = SshHost("a machine", connect, "root")
    yield host, own
    host.close()
    for transport in transports:
        transport.close()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


@pytest.mark.parametrize("size", [0, 1, 491, 3_000_000])
def test_every_byte_arrives(size: int, server: tuple[SshHost, _Server]) -> None:
    content = os.urandom(size) + b"\0"
    output = server[0].run("sha256sum", stdin=content, timeout=120)
    assert output.stdout.split()[0] == hashlib.sha256(content).hexdigest()


def test_text_is_fed_as_utf8(server: tuple[SshHost, _Server]) -> None:
    assert server[0].run("cat", stdin="ü\n").stdout == "ü\n"


def test_more_output_than_a_window_does_not_stall_what_is_fed(server: tuple[SshHost, _Server]) -> None:
    text = "x" * 4_000_000
    assert server[0].run("cat", stdin=text, timeout=120).stdout == text


def test_a_key_takes_a_moment_not_seconds(server: tuple[SshHost, _Server]) -> None:
    server[0].run("true", stdin="x")
    began = time.monotonic()
    server[0].run("cat", stdin="k" * 491)
    assert time.monotonic() - began < 3


def test_what_is_fed_is_in_no_command(server: tuple[SshHost, _Server]) -> None:
    host, own = server
    host.run("cat", stdin="canary-5e1f")
    assert own.commands
    assert "canary" not in " ".join(own.commands)


def test_a_command_that_fails_says_so_and_not_what_it_was_fed(server: tuple[SshHost, _Server]) -> None:
    with pytest.raises(Failed, match="no/such/place") as caught:
        server[0].run("tee", "/no/such/place/at-all", stdin="canary-5e1f", ok=(0,))
    assert "canary" not in str(caught.value)


def test_a_command_that_reads_nothing_ends_all_the_same(server: tuple[SshHost, _Server]) -> None:
    assert server[0].run("sh", "-c", "exit 7", stdin="x" * 100, ok=(7,)).exit_code == 7


def test_a_command_that_never_ends_is_given_up(server: tuple[SshHost, _Server]) -> None:
    with pytest.raises(Unreachable, match="has not ended after 1 s"):
        server[0].run("sleep", "20", stdin="x", timeout=1.0)
