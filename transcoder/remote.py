"""Commands on machines over SSH: the only import of fabric."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fabric
import paramiko

from transcoder.batch import parse_batch, render_batch
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.model import Instance
from transcoder.settings import Settings
from transcoder.shell import Shell, feed
from transcoder.world import Command, Output, command_line

ANY = tuple(range(256))
KEEPALIVE, SILENCE, CHANNEL_SECONDS = 5, 30, 30
"""Seconds."""
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
    """One machine. The connection is opened at the first command, kept, and opened anew when it broke.

    So are shells on it, one for each command that runs at the same time: lanes of a plan do not wait for each other.
    """

    def __init__(self, name: str, connect: Callable[[], Any], user: str) -> None:
        self.name = name
        self._connect = connect
        self._user = user
        self._connection: Any = None
        self._shells: dict[bool, list[Shell]] = {True: [], False: []}
        """Idle ones: those of root, and the user's own."""
        self._used: set[bool] = set()
        """Of which kinds there have been any on this connection."""
        self._opening = threading.Lock()

    def run(
        self, *argv: str, stdin: str | bytes = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        """Run a command; see `transcoder.world.Host`."""
        if not stdin:
            return self._check(self._batch((Command(argv, ok=ANY),), sudo, timeout)[0], ok)
        full = ("sudo", "-n", "--", *argv) if sudo and self._user != "root" else argv
        output = self._run(full, stdin.encode() if isinstance(stdin, str) else stdin, timeout)
        if output.exit_code not in ok:  # what it was fed may have come out again: only its complaint is shown
            self._check(Output(argv, output.exit_code, "", output.stderr), ok)
        return Output(argv, output.exit_code, output.stdout, output.stderr)

    def run_all(self, *commands: Command, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        """Run several commands in one exchange; see `transcoder.world.Host`."""
        outputs = self._batch(commands, sudo, timeout)
        for command, each in zip(commands, outputs, strict=False):
            self._check(each, command.ok)
        return outputs

    def _batch(self, commands: Sequence[Command], sudo: bool, timeout: float) -> tuple[Output, ...]:
        """Run commands in a shell that is open, or in a new one."""
        token, root = secrets.token_hex(16), sudo and self._user != "root"
        with self._reaching():
            shell, connection = self._borrow(root)
            try:
                out, err = shell.run(render_batch(commands, token), token, timeout)
            except BaseException as error:
                shell.close()
                if isinstance(error, TimeoutError):
                    shown = "; ".join(command_line(command.argv) for command in commands)
                    raise Unreachable(f"{self.name}: {shown} has not ended after {timeout:.0f} s") from error
                raise
            with self._opening:
                if self._connection is connection:
                    self._shells[root].append(shell)
                else:
                    shell.close()
        return parse_batch(commands, token, out, err)

    def _borrow(self, root: bool) -> tuple[Shell, Any]:
        """Return an idle shell, or a new one, and the connection that it is on."""
        connection = self._open()
        with self._opening:
            if self._connection is connection and self._shells[root]:
                return self._shells[root].pop(), connection
            first = root not in self._used
            self._used.add(root)
        if first:  # the second is for the other lane: it shall not have to wait for one while the node is down
            spare = self._new_shell(connection, root)
            with self._opening:
                self._shells[root].append(spare)
        return self._new_shell(connection, root), connection

    @staticmethod
    def _new_shell(connection: Any, root: bool) -> Shell:
        channel = connection.client.get_transport().open_session(timeout=CHANNEL_SECONDS)
        channel.exec_command(command_line(("sudo", "-n", "--", "sh") if root else ("sh",)))
        return Shell(channel)

    def _run(self, argv: tuple[str, ...], stdin: bytes, timeout: float) -> Output:
        """Run a command that something is fed to, on a channel of its own.

        Not through Invoke, which feeds a byte in 10 ms (invoke/runners.py, ``handle_stdin``): a key would take 5 s.
        """
        with self._reaching():
            channel = self._open().client.get_transport().open_session(timeout=CHANNEL_SECONDS)
            try:
                channel.exec_command(command_line(argv))
                code, out, err = feed(channel, stdin, timeout)
            except TimeoutError as error:
                raise Unreachable(f"{self.name}: {command_line(argv)} has not ended after {timeout:.0f} s") from error
            finally:
                channel.close()
            if code == CONNECTION_LOST:
                raise EOFError(f"the connection broke before {command_line(argv)} had ended")
        return Output(argv, code, out, err)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn what goes wrong between here and the machine into our errors; what broke is opened anew next time."""
        try:
            yield
        except paramiko.BadHostKeyException as error:
            raise Refused(
                f"{self.name}: the machine's SSH host key is not the one remembered for this instance",
                hint="find out why before you go on: somebody may stand between",
            ) from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            self._drop()
            raise Unreachable(f"{self.name}: no answer over SSH: {str(error) or type(error).__name__}") from error

    def _check(self, output: Output, ok: Sequence[int]) -> Output:
        if output.exit_code not in ok:
            said = (output.stderr or output.stdout).strip()[-1500:]
            raise Failed(f"{self.name}: {command_line(output.argv)} ended with {output.exit_code}: {said}")
        return output

    def _open(self) -> Any:
        with self._opening:
            if self._connection is None or not self._connection.is_connected:
                self._forget_shells()
                self._connection = self._connect()
            return self._connection

    def _drop(self) -> None:
        with self._opening:
            self._forget_shells()
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _forget_shells(self) -> None:
        for shells in self._shells.values():
            for shell in shells:
                shell.close()
            shells.clear()
        self._used.clear()

    close = _drop


class SshHosts:
    """The machines of one environment, one connection each. Use as a context manager: leaving closes them all.

    :param locate: returns an instance as it is now; asked at each connect, since a public address changes with a
        stop, a start or an Elastic IP. By default the instance as it was when somebody last asked for its machine.
    """

    def __init__(self, settings: Settings, locate: Callable[[Instance], Instance] = lambda instance: instance) -> None:
        self._settings = settings
        self._locate = locate
        self._hosts: dict[str, SshHost] = {}
        self._named: dict[str, Instance] = {}
        """Instances as they were when somebody last asked for their machine."""
        self._lock = threading.Lock()

    def __call__(self, instance: Instance) -> SshHost:
        """Return the machine of this instance."""
        with self._lock:
            self._named[instance.id] = instance
            if instance.id not in self._hosts:
                self._hosts[instance.id] = SshHost(
                    f"{instance.name} ({instance.id})",
                    lambda: self._connected(self._named[instance.id]),
                    self._settings.ssh.user,
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
        for host in list(self._hosts.values()):
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
        _notice_silence(connection.client.get_transport())
        return connection

    def _credentials(self) -> dict[str, Any]:
        path = self._settings.ssh.key_file
        timeouts = {"banner_timeout": 30, "auth_timeout": 30, "channel_timeout": 30}
        if not path:
            return timeouts  # the agent and the usual files in ~/.ssh
        if not Path(path).expanduser().is_file():
            raise Refused(f"ssh.key_file {path} does not exist", hint=f"environment file: {self._settings.path}")
        return {"key_filename": str(Path(path).expanduser()), "allow_agent": False, "look_for_keys": False, **timeouts}


def _notice_silence(transport: paramiko.Transport) -> None:
    """Have the connection end when the machine is gone without a word: no power, or nothing passes any more.

    Something is sent every `KEEPALIVE` seconds, and the kernel gives the connection up when nobody has acknowledged it
    for `SILENCE` seconds; without that it would try for a quarter of an hour.
    """
    transport.set_keepalive(KEEPALIVE)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE * 1000)


def _expect_host_key(connection: Any, known: Path, instance_id: str, writing: threading.Lock) -> None:
    """Make paramiko expect the key remembered for this instance, or remember the one it meets."""
    remembered = paramiko.HostKeys(str(known)) if known.is_file() else paramiko.HostKeys()
    for key_type, key in (remembered.lookup(instance_id) or {}).items():
        connection.client.get_host_keys().add(connection.host, key_type, key)
    connection.client.set_missing_host_key_policy(_RememberFirst(known, instance_id, writing))
