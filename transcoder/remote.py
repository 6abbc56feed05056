"""Commands on machines over SSH: the only import of fabric."""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fabric
import paramiko
from invoke.exceptions import CommandTimedOut

from transcoder.batch import parse_batch, render_batch
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.model import Instance
from transcoder.settings import Settings
from transcoder.world import Command, Output, command_line

CONNECTION_LOST = -1
"""What paramiko gives as exit status of a command whose connection ended first."""


class _RememberFirst(paramiko.MissingHostKeyPolicy):  # type: ignore[misc] # paramiko has no annotations
    """Remember the host key of an instance at the first contact; a changed one is refused by paramiko.

    Keys are kept by instance id, not by address: addresses are used again by other machines.
    """

    def __init__(self, path: Path, alias: str, writing: threading.Lock) -> None:
        self._path, self._alias, self._writing = path, alias, writing

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        with self._writing:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{self._alias} {key.get_name()} {key.get_base64()}\n")


class SshHost:
    """One machine. The connection is opened at the first command, kept, and opened anew when it broke."""

    def __init__(self, name: str, connect: Callable[[], Any], user: str) -> None:
        self.name = name
        self._connect = connect
        self._user = user
        self._connection: Any = None
        self._opening = threading.Lock()

    def run(
        self, *argv: str, stdin: str = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        """Run a command; see `transcoder.world.Host`."""
        full = ("sudo", "-n", "--", *argv) if sudo and self._user != "root" else argv
        output = self._run(full, stdin, timeout)
        return self._check(Output(argv, output.exit_code, output.stdout, output.stderr), ok)

    def run_all(self, *commands: Command, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        """Run several commands in one exchange; see `transcoder.world.Host`."""
        token = secrets.token_hex(16)
        root = ("sudo", "-n", "--") if sudo and self._user != "root" else ()
        output = self._run((*root, "sh", "-c", render_batch(commands, token)), "", timeout)
        if output.exit_code != 0:
            raise Failed(f"{self.name}: no shell for a batch of commands: {output.stderr.strip()[-500:]}")
        outputs = parse_batch(commands, token, output.stdout, output.stderr)
        for command, each in zip(commands, outputs, strict=False):
            self._check(each, command.ok)
        return outputs

    def _check(self, output: Output, ok: Sequence[int]) -> Output:
        if output.exit_code not in ok:
            said = (output.stderr or output.stdout).strip()[-1500:]
            raise Failed(f"{self.name}: {command_line(output.argv)} ended with {output.exit_code}: {said}")
        return output

    def _run(self, argv: tuple[str, ...], stdin: str, timeout: float) -> Output:
        try:
            result = self._open().run(
                command_line(argv), hide=True, warn=True, pty=False, timeout=timeout, in_stream=io.StringIO(stdin)
            )
        except CommandTimedOut as error:
            raise Unreachable(f"{self.name}: {command_line(argv)} has not ended after {timeout:.0f} s") from error
        except paramiko.BadHostKeyException as error:
            raise Refused(
                f"{self.name}: the machine's SSH host key is not the one remembered for this instance",
                hint="find out why before you go on: somebody may stand between",
            ) from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._drop()
            raise Unreachable(f"{self.name}: no answer over SSH: {error or type(error).__name__}") from error
        if result.exited == CONNECTION_LOST:
            self._drop()
            raise Unreachable(f"{self.name}: the connection broke before {command_line(argv)} had ended")
        return Output(argv, result.exited, result.stdout, result.stderr)

    def _open(self) -> Any:
        with self._opening:
            if self._connection is None or not self._connection.is_connected:
                self._connection = self._connect()
            return self._connection

    def _drop(self) -> None:
        with self._opening:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    close = _drop


class SshHosts:
    """The machines of one environment, one connection each. Use as a context manager: leaving closes them all.

    :param locate: returns an instance as it is now; asked at each connect, since a public address changes with a
        stop, a start or an Elastic IP. By default the instance as it was first named.
    """

    def __init__(self, settings: Settings, locate: Callable[[Instance], Instance] = lambda instance: instance) -> None:
        self._settings = settings
        self._locate = locate
        self._hosts: dict[str, SshHost] = {}
        self._lock = threading.Lock()

    def __call__(self, instance: Instance) -> SshHost:
        """Return the machine of this instance."""
        with self._lock:
            if instance.id not in self._hosts:
                self._hosts[instance.id] = SshHost(
                    f"{instance.name} ({instance.id})", lambda: self._connected(instance), self._settings.ssh.user
                )
            return self._hosts[instance.id]

    def forget(self, instance: Instance) -> None:
        """Close the connection to a machine; the next command opens one to its address of then."""
        with self._lock:
            host = self._hosts.pop(instance.id, None)
        if host is not None:
            host.close()

    def __enter__(self) -> SshHosts:
        return self

    def __exit__(self, *_: object) -> None:
        for host in self._hosts.values():
            host.close()

    def _connected(self, named: Instance) -> Any:
        ssh, instance = self._settings.ssh, self._locate(named)
        address = instance.public_ip if ssh.address == "public" else instance.private_ip
        if not address:
            raise Unreachable(f"{instance.name} ({instance.id}, {instance.state}) has no {ssh.address} address")
        known = Path(ssh.known_hosts).expanduser()
        connection = fabric.Connection(
            address,
            user=ssh.user,
            port=ssh.port,
            config=fabric.Config(overrides={"load_ssh_configs": False}),
            connect_timeout=ssh.connect_timeout,
            connect_kwargs=self._credentials(),
        )
        _expect_host_key(connection, known, instance.id, self._lock)
        connection.open()
        connection.client.get_transport().set_keepalive(15)
        return connection

    def _credentials(self) -> dict[str, Any]:
        path = self._settings.ssh.key_file
        timeouts = {"banner_timeout": 30, "auth_timeout": 30, "channel_timeout": 30}
        if not path:
            return timeouts  # the agent and the usual files in ~/.ssh
        if not Path(path).expanduser().is_file():
            raise Refused(f"ssh.key_file {path} does not exist", hint=f"environment file: {self._settings.path}")
        return {"key_filename": str(Path(path).expanduser()), "allow_agent": False, "look_for_keys": False, **timeouts}


def _expect_host_key(connection: Any, known: Path, instance_id: str, writing: threading.Lock) -> None:
    """Make paramiko expect the key remembered for this instance, or remember the one it meets."""
    remembered = paramiko.HostKeys(str(known)) if known.is_file() else paramiko.HostKeys()
    for key_type, key in (remembered.lookup(instance_id) or {}).items():
        connection.client.get_host_keys().add(connection.host, key_type, key)
    connection.client.set_missing_host_key_policy(_RememberFirst(known, instance_id, writing))
