"""All that a recipe may touch: a cloud, machines, a clock. Recipes get a `World`; none of them opens a connection.

The protocols are the seam: `transcoder.aws` and `transcoder.remote` stand behind them, and in tests a simulated
world does.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from transcoder.errors import Failed
from transcoder.model import ElasticIp, Image, Instance, Volume
from transcoder.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class LaunchRequest:
    """An instance to launch. ``token`` makes the request idempotent; ``zone`` picks the subnet."""

    image_id: str
    zone: str
    security_group_id: str
    user_data: str
    token: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class VolumeRequest:
    """A blank volume to create. ``token`` makes the request idempotent."""

    zone: str
    size_gib: int
    type: str
    encrypted: bool
    token: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Lock:
    """Who holds a node: a person on a machine, a process there, since when (ISO 8601, UTC), doing what."""

    who: str
    where: str
    pid: int
    when: str
    what: str


class Cloud(Protocol):
    """EC2 in our words. Every method raises `TranscoderError`s only."""

    def instances(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Instance, ...]: ...
    def volumes(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Volume, ...]: ...
    def addresses(self, *, tags: Mapping[str, str] | None = None) -> tuple[ElasticIp, ...]: ...
    def images(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Image, ...]: ...
    def stock_image(self) -> Image: ...
    def launch(self, request: LaunchRequest) -> Instance: ...
    def terminate(self, instance_id: str) -> None: ...
    def create_volume(self, request: VolumeRequest) -> Volume: ...
    def attach(self, volume_id: str, instance_id: str, device: str) -> None: ...
    def detach(self, volume_id: str, instance_id: str) -> None: ...
    def allocate_address(self, tags: Mapping[str, str]) -> ElasticIp: ...
    def associate(self, allocation_id: str, instance_id: str) -> None: ...
    def ensure_security_group(self) -> str: ...
    def tag(self, resource_id: str, tags: Mapping[str, str]) -> None: ...
    def untag(self, resource_id: str, keys: Sequence[str]) -> None: ...
    def take_lock(self, node: str, lock: Lock) -> Lock | None: ...
    def lock_holder(self, node: str) -> Lock | None: ...
    def free_lock(self, node: str, lock: Lock | None = None) -> Lock | None: ...


@dataclass(frozen=True)
class Output:
    """What a command on a machine said and how it ended."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class Host(Protocol):
    """A machine that takes commands. ``name`` is for messages."""

    name: str

    def run(
        self, *argv: str, stdin: str = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        """Run a command and return its output.

        :param argv: the command, part by part; it is quoted here.
        :param stdin: text for its standard input; secrets travel this way.
        :param ok: exit codes that are no failure.
        :param timeout: seconds.
        :raises Failed: when the command ends with another code.
        :raises Unreachable: when the machine does not answer.
        """
        ...


class Hosts(Protocol):
    """Machines by instance."""

    def __call__(self, instance: Instance) -> Host: ...

    def forget(self, instance: Instance) -> None:
        """End what is open to a machine: its address is changing, and the next command looks it up anew."""
        ...


class Clock(Protocol):
    """Time, so that tests need none."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock: `now` in Unix seconds."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True)
class World:
    """The world of one environment."""

    settings: Settings
    cloud: Cloud
    hosts: Hosts
    clock: Clock = field(default_factory=SystemClock)

    def wait(self, what: str, probe: Callable[[], T | None], budget: float) -> T:
        """Poll ``probe`` until it returns something true.

        Every 0.5 s for the first 10 s, then backing off to 5 s: an EC2 volume moves in 1-4 s, and boto3's own
        waiters would ask every 15 s.

        :param budget: seconds.
        :raises Failed: when the budget is used up, naming ``what``.
        """
        started = self.clock.monotonic()
        while True:
            if found := probe():
                return found
            waited = self.clock.monotonic() - started
            if waited >= budget:
                raise Failed(f"{what}: not so after {waited:.0f} s (budget {budget:.0f} s)")
            self.clock.sleep(pause(waited))


def pause(waited: float) -> float:
    """Return how long to wait before the next look, having waited ``waited`` seconds."""
    return 0.5 if waited < 10 else min(5.0, waited / 10)


def command_line(argv: Sequence[str]) -> str:
    """Return ``argv`` as one shell command, every part quoted."""
    return shlex.join(argv)


@contextmanager
def holding(world: World, node: str, lock: Lock, is_dead: Callable[[Lock], bool]) -> Iterator[None]:
    """Hold the node's lock for the length of a ``with`` block.

    A lock left by a process of this very machine that no longer runs is taken over.

    :param is_dead: tells whether the holder was a process here that has ended.
    :raises Refused: when somebody else holds it, naming the holder and the command that frees it.
    """
    from transcoder.errors import Refused  # noqa: PLC0415 - only for the unhappy path

    holder = world.cloud.take_lock(node, lock)
    if holder is not None and is_dead(holder):
        world.cloud.free_lock(node, holder)
        holder = world.cloud.take_lock(node, lock)
    if holder is not None:
        raise Refused(
            f"node {node} is locked: {holder.who} on {holder.where} (process {holder.pid}) runs {holder.what!r} "
            f"since {holder.when}",
            hint=f"wait for it; when you know that it no longer runs: fab unlock --node {node}",
        )
    try:
        yield
    finally:
        world.cloud.free_lock(node, lock)
