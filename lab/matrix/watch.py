"""The watcher: samples both machines, the disks that they have open, and EC2, for as long as a ``with`` block lasts.

The machines are asked through the lab's own namespace, where no security group and no partition of the operator's
stands in the way. What a machine has open is read from its process on the host, so that it is known without any
network, and also while the machine boots or does not answer.
"""

from __future__ import annotations

import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from lab import process_group
from lab.configuration import LabConfiguration
from lab.matrix.samples import Bonds, Holders, Sample, Seen, parse_sample, uptime_of
from lab.namespace import NAMESPACES
from transcoder.errors import Failed

SAMPLER = Path(__file__).with_name("guest_sampler.py")
LOOK_SECONDS = 0.1
ASK_SECONDS = 0.5
AGAIN_SECONDS = 0.5
"""Until a connection to a machine that has ended is tried again."""


class Eye(threading.Thread):
    """Looks again and again until it is closed."""

    def __init__(self, name: str, interval: float) -> None:
        super().__init__(name=name, daemon=True)
        self._interval = interval
        self._closing = threading.Event()

    def run(self) -> None:
        """Look until closed."""
        while not self._closing.is_set():
            self.look()
            self._closing.wait(self._interval)

    def look(self) -> None:
        """Look once."""
        raise NotImplementedError

    def close(self) -> None:
        """End it."""
        self._closing.set()
        self.join()


class MachineEye(Eye):
    """Reads the sampler that runs inside a machine; connects again whenever the connection has ended."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        super().__init__(f"eye-{name}", AGAIN_SECONDS)
        self._command = tuple(command)
        self._lines: list[list[tuple[float, str]]] = []
        """By connection: when a line came, and the line."""
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def look(self) -> None:
        """Read what the sampler says until its connection ends."""
        lines: list[tuple[float, str]] = []
        with SAMPLER.open(encoding="utf-8") as program, self._spawned(program) as process:
            self._lines.append(lines)
            for line in process.stdout or ():
                with self._lock:
                    lines.append((time.monotonic(), line))

    def _spawned(self, program: Any) -> subprocess.Popen[str]:
        with self._lock:
            self._process = subprocess.Popen(
                self._command, stdin=program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            if self._closing.is_set():
                self._process.terminate()
            return self._process

    def close(self) -> None:
        """End the connection, too."""
        self._closing.set()
        with self._lock:
            if self._process is not None:
                self._process.terminate()
        super().close()

    def samples(self) -> tuple[Sample, ...]:
        """Return what was seen. A line that came late (a lost network) has the time at which it was said."""
        with self._lock:
            connections = [list(lines) for lines in self._lines if lines]
        found = []
        for lines in connections:
            whole = [(at, line) for at, line in lines if line.endswith("}\n")]
            offset = min((at - uptime_of(line) for at, line in whole), default=0.0)
            found += [parse_sample(line, offset) for _, line in whole]
        return tuple(found)


class HolderEye(Eye):
    """Looks which of the volumes' files each machine's process has open, and which machines have power."""

    def __init__(self, configuration: LabConfiguration, instances: Sequence[str], files: Mapping[Path, str]) -> None:
        super().__init__("eye-holders", LOOK_SECONDS)
        self._run_directory, self._instances, self._files = configuration.run_directory, tuple(instances), dict(files)
        self.holders: list[Holders] = []
        self._off: dict[str, list[tuple[float, float]]] = {instance: [] for instance in instances}
        self._last = time.monotonic()

    def look(self) -> None:
        """Look at each machine's open files."""
        now = time.monotonic()
        found: dict[str, set[str]] = {}
        for instance in self._instances:
            opened = open_files(self._run_directory / f"{instance}{process_group.SUFFIX}")
            if opened is None:
                self._off[instance].append((self._last, now))
            for path in opened or ():
                if path in self._files:
                    found.setdefault(self._files[path], set()).add(instance)
        by_volume = {volume: frozenset(machines) for volume, machines in found.items()}
        if not self.holders or self.holders[-1].by_volume != by_volume or now - self.holders[-1].at > 1:
            self.holders.append(Holders(now, by_volume))
        self._last = now

    @property
    def off(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """The times without power, by instance."""
        return {instance: tuple(times) for instance, times in self._off.items()}


def open_files(record: Path) -> frozenset[Path] | None:
    """Return the files that a machine's process has open; None when the machine has no process."""
    try:
        directory = Path("/proc") / record.read_text().strip() / "fd"
        links = list(directory.iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return None
    found = set()
    for link in links:
        try:
            found.add(link.readlink())
        except (FileNotFoundError, ProcessLookupError):
            continue  # closed while it was being looked at
    return frozenset(found)


class CloudEye(Eye):
    """Asks EC2 where the volumes are. An answer that does not come is none: the other eyes go on.

    :param ask: DescribeVolumes for these volumes.
    """

    def __init__(self, ask: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__("eye-cloud", ASK_SECONDS)
        self._ask = ask
        self.bonds: list[Bonds] = []
        self.unanswered = 0

    def look(self) -> None:
        """Ask once."""
        try:
            volumes = self._ask()["Volumes"]
        except (ClientError, BotoCoreError):
            self.unanswered += 1
            return
        bonds = [(volume["VolumeId"], bond["InstanceId"]) for volume in volumes for bond in volume["Attachments"]]
        self.bonds.append(Bonds(time.monotonic(), dict(bonds)))


class Watch:
    """All eyes together.

    :param ec2: a boto3 client without retries of its own.
    :param addresses: the private address by instance id.
    """

    def __init__(
        self, configuration: LabConfiguration, user: str, ec2: Any, addresses: Mapping[str, str], volumes: Sequence[str]
    ) -> None:
        files = {configuration.state_directory / "disks" / f"{volume}.img": volume for volume in volumes}
        self._machines = {
            instance: MachineEye(instance, sampling(configuration, user, address))
            for instance, address in addresses.items()
        }
        self._holders = HolderEye(configuration, tuple(addresses), files)
        self._cloud = CloudEye(lambda: dict(ec2.describe_volumes(VolumeIds=list(volumes))))

    def __enter__(self) -> Self:
        for eye in self._eyes():
            eye.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for eye in self._eyes():
            eye.close()

    def _eyes(self) -> list[Eye]:
        return [*self._machines.values(), self._holders, self._cloud]

    def seen(self, since: float = 0.0) -> Seen:
        """Return all that was seen, from a ``time.monotonic`` on."""
        machines = {
            instance: tuple(sample for sample in eye.samples() if sample.at >= since)
            for instance, eye in self._machines.items()
        }
        holders = tuple(look for look in self._holders.holders if look.at >= since)
        bonds = tuple(answer for answer in self._cloud.bonds if answer.at >= since)
        return Seen(machines, holders, bonds, self._holders.off)

    def settle(self, budget: float) -> None:
        """Wait until every machine has been seen, from now on.

        :raises Failed: when one is not.
        """
        began = time.monotonic()
        while not all(self.seen(began).machines.values()):
            if time.monotonic() - began > budget:
                raise Failed(f"the watcher sees not every machine after {budget:.0f} s")
            time.sleep(LOOK_SECONDS)


def sampling(configuration: LabConfiguration, user: str, address: str) -> list[str]:
    """Return the command that runs the sampler in a machine; it is fed the program."""
    return console(configuration, user, address, "python3", "-u", "-")


def console(configuration: LabConfiguration, user: str, address: str, *command: str) -> list[str]:
    """Return the command line that runs a command as root on a machine, through the lab's own namespace."""
    options = {
        "IdentityFile": str(configuration.key_file),
        "IdentitiesOnly": "yes",
        # Machines come and go on the same few addresses, and nobody else is on this network.
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
        "ConnectTimeout": "3",
        "ServerAliveInterval": "2",
        "ServerAliveCountMax": "60",
    }
    arguments = [argument for name, value in options.items() for argument in ("-o", f"{name}={value}")]
    inside = ["nsenter", f"--net={NAMESPACES / configuration.name}", "--"]
    return [*inside, "ssh", *arguments, f"{user}@{address}", shlex.join(("sudo", "-n", *command))]
