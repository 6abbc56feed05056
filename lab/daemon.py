"""The long-lived process of a lab: control plane, metadata service and supervisor of the machines.

``python -m lab.daemon --env NAME_OR_PATH``. Ready when ``daemon.json`` is there. SIGTERM ends it, with all its machines
and its network, and removes its state; baked AMIs are kept in the cache for the next start.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from socketserver import TCPServer

from lab import authority, bootstrap, metadata, ntp, serving
from lab.configuration import LabConfiguration, parse
from lab.control_plane import ControlPlane
from lab.drivers import MachineDriver
from lab.drivers.none import NoMachines
from lab.hooks import ACCOUNT_ID
from lab.iam.identities import USERS, Account
from transcoder import iam, settings
from transcoder.errors import Refused, TranscoderError

log = logging.getLogger("lab")

PROGRESS_FILE = "progress"
LOG_FILE = "daemon.log"
METADATA_PORT = 80
HTTPS_PORT = 443


@dataclass(frozen=True)
class Ready:
    """What ``daemon.json`` says. ``started`` in seconds since the epoch."""

    pid: int
    port: int
    endpoint_url: str
    started: float
    mode: str
    region: str
    stock_image: str
    stock_image_id: str
    key_file: str
    key_name: str
    configuration: str
    """The configuration as JSON, so that a second start can tell whether it wants the same lab."""


class Termination:
    """SIGTERM and SIGINT as something to wait for.

    By a wake-up descriptor, because a signal that arrives just before a thread blocks on a lock does not wake it.
    Not by `signal.sigwait`: machines and helpers would inherit the blocked signals.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def wait(self) -> None:
        """Return when the process is told to end."""
        self._reader.recv(1)


class Daemon:
    """One lab, from its start to its end.

    :param account: whom its IAM knows from the start.
    """

    def __init__(self, configuration: LabConfiguration, account: Account | None = None) -> None:
        self.configuration = configuration
        self._account = account
        self._started = time.monotonic()

    def run(self) -> None:
        """Bring the lab up, serve until SIGTERM, and take it down."""
        termination = Termination()
        with self._up() as plane:
            termination.wait()
            log.info("going down")
            plane.keep_images()

    @contextmanager
    def _up(self) -> Iterator[ControlPlane]:
        configuration = self.configuration
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, configuration.state_directory, ignore_errors=True)
            endpoint = self._listen()
            driver = make_driver(configuration)
            plane = ControlPlane(configuration, driver, self._account)
            stack.callback(plane.close)
            stock = driver.prepare(self._progress)
            image_id = plane.bootstrap(stock, bootstrap.ensure_key(configuration.key_file))
            if plane.restored:
                self._progress(f"baked before and kept: {', '.join(plane.restored)}")
            self._serve(stack, serving.EndpointServer(endpoint, plane), "endpoint")
            if configuration.machines == "uml":
                self._serve_guests(stack, plane)
            self._progress(f"EC2 at {configuration.endpoint_url}")
            self._write_ready(stock.name, image_id)
            yield plane

    def _listen(self) -> socket.socket:
        try:
            return serving.listen("127.0.0.1", self.configuration.endpoint_port)
        except OSError as error:
            raise Refused(f"port {self.configuration.endpoint_port} on 127.0.0.1: {error.strerror}") from error

    def _serve_guests(self, stack: ExitStack, plane: ControlPlane) -> None:
        """Serve what only machines see, on sockets that live in their namespace."""
        from lab.drivers.uml import UmlMachines  # noqa: PLC0415 - needs the tools of a lab with machines

        configuration, driver = self.configuration, plane.cloud.driver
        assert isinstance(driver, UmlMachines)  # noqa: S101 - `make_driver` made it
        service = metadata.Metadata(metadata.finder(plane.cloud))
        listening = driver.network.listen(metadata.ADDRESS, METADATA_PORT)
        self._serve(stack, serving.SocketServer(listening, metadata.handler(service)), "metadata")
        bound = driver.network.bind_datagrams(ntp.ADDRESS, ntp.PORT)
        self._serve(stack, ntp.TimeServer(bound), "time")
        secure = serving.EndpointServer(driver.network.listen(configuration.gateway, HTTPS_PORT), plane)
        trusted = authority.ensure(configuration.cache_directory)
        secure.secure(trusted.server_context(configuration.regions, configuration.state_directory))
        self._serve(stack, secure, "endpoint-https")

    @staticmethod
    def _serve(stack: ExitStack, server: TCPServer, name: str) -> None:
        serving.serve(server, name)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)

    def _write_ready(self, stock_image: str, stock_image_id: str) -> None:
        configuration = self.configuration
        ready = Ready(
            pid=os.getpid(),
            port=configuration.endpoint_port,
            endpoint_url=configuration.endpoint_url,
            started=time.time(),
            mode=configuration.machines,
            region=configuration.region,
            stock_image=stock_image,
            stock_image_id=stock_image_id,
            key_file=str(configuration.key_file),
            key_name=configuration.key_name,
            configuration=configuration.model_dump_json(by_alias=True),
        )
        partial = configuration.daemon_file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(ready), indent=2))
        partial.rename(configuration.daemon_file)

    def _progress(self, text: str) -> None:
        """Tell whoever waits for the lab, and the log."""
        line = f"[{time.monotonic() - self._started:5.1f} s] {text}"
        log.info("%s", text)
        with (self.configuration.state_directory / PROGRESS_FILE).open("a") as file:
            file.write(line + "\n")


def make_driver(configuration: LabConfiguration) -> MachineDriver:
    """Return what carries the instances of this configuration."""
    if configuration.machines == "none":
        return NoMachines(configuration.stock_images[0])
    from lab.drivers.uml import UmlMachines  # noqa: PLC0415 - needs the tools of a lab with machines

    return UmlMachines(configuration, authority.ensure(configuration.cache_directory).certificate_pem)


def main(arguments: list[str] | None = None) -> int:
    """Run a lab in this process until it is told to end."""
    parser = argparse.ArgumentParser(prog="lab.daemon", description=__doc__)
    parser.add_argument("--env", default="", help="name or path of the environment")
    parser.add_argument("--configuration", type=Path, help="a [lab] table as JSON, in place of an environment")
    options = parser.parse_args(arguments)
    try:
        configuration, account = _configuration(options.env, options.configuration)
        configuration.state_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _log_to(configuration.state_directory / LOG_FILE)
        Daemon(configuration, account).run()
    except TranscoderError as error:
        log.error("%s", error)
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _configuration(environment: str, file: Path | None) -> tuple[LabConfiguration, Account | None]:
    """Return the lab's configuration, and whom its IAM knows: the policies are those of an environment.

    :raises Refused: policies are to be enforced, and there is no environment.
    """
    if file is None:
        chosen = settings.load(environment)
        configuration = parse(chosen.extension("lab"), str(chosen.path))
        return configuration, account_of(chosen, users=USERS if configuration.iam else ())
    configuration = parse(json.loads(file.read_text()), str(file))
    if configuration.iam:
        raise Refused(f"{file}: lab.iam needs an environment: the policies are made for one", hint="--env")
    return configuration, None


def account_of(chosen: settings.Settings, users: Iterable[str]) -> Account:
    """Return whom the IAM of an environment's lab knows: these users, and the role of its machines if it has one."""
    policies = {kind: iam.render(kind, chosen, ACCOUNT_ID) for kind in (*users, "instance")}
    instance = policies.pop("instance")
    return Account(policies, chosen.aws.instance_profile, instance)


def _log_to(path: Path) -> None:
    logging.basicConfig(
        filename=path, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(threadName)s: %(message)s"
    )


if __name__ == "__main__":
    sys.exit(main())
