"""Two machines' worth of lab without a control plane: a network, a disk store, and a metadata service of its own."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lab.base_image import BaseImage
from lab.disk import DiskStore
from lab.machine import Disk, Machine
from lab.network import Guest, Network, NetworkState, Rule

NETWORK = "172.31.211.0/24"
ANYBODY_BY_SSH = Rule("tcp", 22, 22, "0.0.0.0/0")
SSH_OPTIONS = (
    *("BatchMode=yes", "ConnectTimeout=3", "LogLevel=ERROR", "StrictHostKeyChecking=no"),
    # A machine whose power fails says no good-bye.
    *("ServerAliveInterval=1", "ServerAliveCountMax=15"),
)


def wait_for(what: Callable[[], bool], seconds: float) -> bool:
    """Poll until it is true, or say that it did not become so in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.05)
    return what()


class Metadata:
    """What the metadata service answers, by the address of who asks; without a token it answers 401."""

    TOKEN = "a-token"

    def __init__(self, network: Network) -> None:
        self.items: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(), bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = network.listen("169.254.169.254", 80)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        metadata = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                """Say nothing: the tests look at the machines."""

            def answer(self, status: int, text: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_PUT(self) -> None:
                self.answer(200, metadata.TOKEN)

            def do_GET(self) -> None:
                if self.headers.get("X-aws-ec2-metadata-token") != metadata.TOKEN:
                    return self.answer(401)
                text = metadata.items.get(self.client_address[0], {}).get(self.path.removeprefix("/latest/"))
                return self.answer(200, text) if text is not None else self.answer(404)

        return Handler


class Host:
    """One machine of the rig, with the handles that a test wants."""

    def __init__(self, rig: Rig, instance_id: str, last: int) -> None:
        self.rig = rig
        self.ends: list[str] = []
        self.address = f"172.31.211.{last}"
        self.mac = f"02:00:ac:1f:d3:{last:02x}"
        self.tap = rig.network.create_tap(instance_id)
        self.machine = Machine(
            *(instance_id, rig.directory / "run", rig.directory / "log", last % 2, 512, rig.network.exec_prefix),
            on_exit=self.ends.append,
        )
        self.root = Disk(f"vol-root{last}", rig.disks.add(rig.image.path, f"vol-root{last}", 9), "/dev/sda1")
        self.be(instance_id, "")

    def be(self, instance_id: str, user_data: str) -> None:
        """Say who the machine is, as its metadata."""
        self.rig.metadata.items[self.address] = {
            "meta-data/instance-id": instance_id,
            "meta-data/local-hostname": f"ip-{self.address.replace('.', '-')}.ec2.internal",
            "meta-data/public-keys/0/openssh-key": self.rig.public_key,
            **({"user-data": user_data} if user_data else {}),
        }

    def switch_on(self, *disks: Disk) -> None:
        self.machine.start(self.root, disks, self.mac, self.tap, f"{self.address}/25", self.rig.network.gateway)

    def boot(self, *disks: Disk) -> float:
        """Switch on and wait for the first log-in; returns the seconds that it took."""
        begin = time.monotonic()
        self.switch_on(*disks)
        assert wait_for(lambda: self.ssh("true").returncode == 0, 60), self.machine.console()
        return time.monotonic() - begin

    def guest(self, *ingress: Rule) -> Guest:
        return Guest(self.machine.instance_id, self.address, self.mac, self.tap, ingress)

    def ssh(self, command: str, address: str = "") -> subprocess.CompletedProcess[str]:
        options = [part for option in SSH_OPTIONS for part in ("-o", option)]
        target = f"{self.rig.image.user}@{address or self.address}"
        arguments = ["ssh", "-i", str(self.rig.key), "-o", "UserKnownHostsFile=/dev/null", *options, target, command]
        return subprocess.run(arguments, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def run(self, command: str) -> str:
        """Run a command as root in the machine, which must succeed."""
        done = self.ssh(f"sudo -n bash -ec '{command}'")
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def sees(self, path: str) -> bool:
        return self.ssh(f"test -e '{path}'").returncode == 0


class Rig:
    """The lab's parts without its control plane."""

    def __init__(self, directory: Path, image: BaseImage) -> None:
        self.directory = directory
        self.image = image
        self.disks = DiskStore(directory / "disks")
        self.network = Network("h1", NETWORK, directory / "run")
        self.network.up()
        self.metadata = Metadata(self.network)
        self.key = directory / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        self.public_key = (directory / "key.pub").read_text().strip()
        self.hosts: list[Host] = []

    def host(self, instance_id: str, last: int) -> Host:
        host = Host(self, instance_id, last)
        self.hosts.append(host)
        return host

    def admit(self, *guests: Guest, elastic: tuple[tuple[str, str], ...] = ()) -> None:
        self.network.apply(NetworkState(guests, elastic))

    def blank(self, volume_id: str, device: str) -> Disk:
        return Disk(volume_id, self.disks.create(volume_id, 1), device)

    def close(self) -> None:
        for host in self.hosts:
            host.machine.kill()
        self.metadata.close()
        self.network.down()

    def host_side_listener(self) -> socket.socket:
        """A server on the host, outside the namespace."""
        return socket.create_server((self.network.plan.host_side, 0))
