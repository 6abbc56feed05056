"""What is fed to a command over SSH: every byte of it, soon, and nowhere but on its standard input."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from typing import Any

import fabric
import paramiko
import pytest

from tests.contract.ssh_server import Server, serving
from transcoder.errors import Failed, Unreachable
from transcoder.remote import SshHost


@pytest.fixture
def server() -> Iterator[tuple[SshHost, Server]]:
    """Return a machine behind a real SSH connection."""
    own = Server()
    with serving(own) as port:

        def connect() -> Any:
            secrets = {"password": "x", "allow_agent": False, "look_for_keys": False}
            config = fabric.Config(overrides={"load_ssh_configs": False})
            connection = fabric.Connection("127.0.0.1", user="root", port=port, config=config, connect_kwargs=secrets)
            connection.client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            connection.open()
            return connection

        host = SshHost("a machine", connect, "root")
        yield host, own
        host.close()


@pytest.mark.parametrize("size", [0, 1, 491, 3_000_000])
def test_every_byte_arrives(size: int, server: tuple[SshHost, Server]) -> None:
    content = os.urandom(size) + b"\0"
    output = server[0].run("sha256sum", stdin=content, timeout=120)
    assert output.stdout.split()[0] == hashlib.sha256(content).hexdigest()


def test_text_is_fed_as_utf8(server: tuple[SshHost, Server]) -> None:
    assert server[0].run("cat", stdin="ü\n").stdout == "ü\n"


def test_more_output_than_a_window_does_not_stall_what_is_fed(server: tuple[SshHost, Server]) -> None:
    text = "x" * 4_000_000
    assert server[0].run("cat", stdin=text, timeout=120).stdout == text


def test_a_key_takes_a_moment_not_seconds(server: tuple[SshHost, Server]) -> None:
    server[0].run("true", stdin="x")
    began = time.monotonic()
    server[0].run("cat", stdin="k" * 491)
    assert time.monotonic() - began < 3


def test_what_is_fed_is_in_no_command(server: tuple[SshHost, Server]) -> None:
    host, own = server
    host.run("cat", stdin="canary-5e1f")
    assert own.commands
    assert "canary" not in " ".join(own.commands)


def test_a_command_that_fails_says_so_and_not_what_it_was_fed(server: tuple[SshHost, Server]) -> None:
    with pytest.raises(Failed, match="no/such/place") as caught:
        server[0].run("tee", "/no/such/place/at-all", stdin="canary-5e1f", ok=(0,))
    assert "canary" not in str(caught.value)


def test_a_command_that_reads_nothing_ends_all_the_same(server: tuple[SshHost, Server]) -> None:
    assert server[0].run("sh", "-c", "exit 7", stdin="x" * 100, ok=(7,)).exit_code == 7


def test_a_command_that_never_ends_is_given_up(server: tuple[SshHost, Server]) -> None:
    with pytest.raises(Unreachable, match="has not ended after 1 s"):
        server[0].run("sleep", "20", stdin="x", timeout=1.0)
