"""All that a recipe may touch: a cloud, machines, a clock. Recipes get a `World`; none of them opens a connection.

The protocols are the seam: `transcoder.aws` and `transcoder.remote` stand behind them, and in tests a simulated
world does.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from transcoder.errors import Failed, Refused, TranscoderError, Unreachable
from transcoder.model import ElasticIp, Image, ImageUse, Instance, Snapshot, Volume
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.stacks import Stacks

T = TypeVar("T")

SILENCE = 120.0
"""Seconds for which a wait goes on without any answer: a reboot takes less, and EC2 rarely throttles for longer."""


@dataclass(frozen=True)
class LaunchRequest:
    """An instance to launch. ``token`` makes the request idempotent; ``zone`` picks the subnet.

    ``temporary``: nothing protects it from termination, and a shutdown from inside ends it for good.
    """

    image_id: str
    zone: str
    security_group_id: str
    user_data: str
    token: str
    tags: Mapping[str, str]
    temporary: bool = False


@dataclass(frozen=True)
class ImageCopy:
    """A copy of another region's AMI to make. ``kms_key_id``: empty for one as its original, or with EBS's own key."""

    image_id: str
    region: str
    name: str
    token: str
    tags: Mapping[str, str]
    encrypted: bool = False
    kms_key_id: str = ""


@dataclass(frozen=True)
class VolumeRequest:
    """A volume to create: blank, or from a snapshot. ``token`` makes the request idempotent."""

    zone: str
    size_gib: int
    type: str
    encrypted: bool
    token: str
    tags: Mapping[str, str]
    snapshot_id: str = ""


@dataclass(frozen=True)
class ApiCall:
    """A call of EC2 that somebody intends to make: EC2's name of the action, and its arguments as boto3 takes them."""

    action: str
    arguments: Mapping[str, Any]


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
    def copy_image(self, copy: ImageCopy) -> str: ...
    def deprecate_image(self, image_id: str, when: str) -> None: ...
    def deregister_image(self, image_id: str) -> None: ...
    def image_uses(self) -> tuple[ImageUse, ...]: ...
    def in_region(self, region: str) -> Cloud: ...
    def launch(self, request: LaunchRequest) -> Instance: ...
    def terminate(self, instance_id: str) -> None: ...
    def stop(self, instance_id: str, *, force: bool = False) -> None: ...
    def create_volume(self, request: VolumeRequest) -> Volume: ...
    def delete_volume(self, volume_id: str) -> None: ...
    def attach(self, volume_id: str, instance_id: str, device: str) -> None: ...
    def detach(self, volume_id: str, instance_id: str) -> None: ...
    def force_detach(self, volume_id: str, instance_id: str) -> None: ...
    def snapshots(self, *, ids: Sequence[str] = (), tags: Mapping[str, str] | None = None) -> tuple[Snapshot, ...]: ...
    def create_snapshot(self, volume_id: str, tags: Mapping[str, str]) -> Snapshot: ...
    def copy_snapshot(self, snapshot_id: str, source_region: str, tags: Mapping[str, str]) -> Snapshot: ...
    def delete_snapshot(self, snapshot_id: str) -> None: ...
    def denial(self, call: ApiCall) -> str: ...
    def allocate_address(self, tags: Mapping[str, str]) -> ElasticIp: ...
    def associate(self, allocation_id: str, instance_id: str) -> None: ...
    def ensure_security_group(self) -> str: ...
    def tag(self, resource_id: str, tags: Mapping[str, str]) -> None: ...
    def untag(self, resource_id: str, keys: Sequence[str]) -> None: ...
    def take_lock(self, node: str, lock: Lock) -> Lock | None: ...
    def lock_holder(self, node: str) -> Lock | None: ...
    def lock_holders(self) -> Mapping[str, Lock]: ...
    def free_lock(self, node: str, lock: Lock | None = None) -> Lock | None: ...
    def stacks(self) -> Stacks: ...


@dataclass(frozen=True)
class Output:
    """What a command on a machine said and how it ended."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Command:
    """One command of a batch: its parts, and the exit codes that are no failure."""

    argv: tuple[str, ...]
    ok: tuple[int, ...] = (0,)


class Host(Protocol):
    """A machine that takes commands. ``name`` is for messages."""

    name: str

    def run(
        self, *argv: str, stdin: str | bytes = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        """Run a command and return its output.

        :param argv: the command, part by part; it is quoted here.
        :param stdin: text (UTF-8) or bytes for its standard input; secrets travel this way.
        :param ok: exit codes that are no failure.
        :param timeout: seconds.
        :raises Failed: when the command ends with another code.
        :raises Unreachable: when the machine does not answer.
        """
        ...

    def run_all(self, *commands: Command, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        """Run commands one after the other in one exchange, as far as each ends well; return all their outputs.

        What takes a tenth of a second a command over a network takes it once. Nothing is fed to them.

        :param timeout: seconds for all of them together.
        :raises Failed: when a command ends with a code that is not ``ok``; those after it have not run.
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
class Version:
    """One version of a document in a key store: the store's own name of it, and when it was put there (ISO 8601)."""

    id: str
    when: str


class KeyStore(Protocol):
    """Where keys are kept: encrypted documents by name, with their earlier versions.

    A name is a path of letters, digits, dots and dashes, such as ``0x0f54.../backup``. Nothing is ever deleted here:
    who may use a store needs no permission for that. Every method raises
    `TranscoderError`s only: `Refused` for a permission that is missing, a wrong key, a document that is too large;
    `Unreachable` when the store does not answer or throttles.
    """

    kind: str
    where: str
    """For messages: what it is and where."""
    largest: int
    """Bytes that a document may have."""

    def put(self, name: str, content: Secret) -> str:
        """Store a document, as a new version where there is one; return the version's id."""
        ...

    def get(self, name: str, version: str = "") -> Secret | None:
        """Return a document, its newest version if no other is named; None when there is none."""
        ...

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return the versions of a document that the store still has, oldest first."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of all documents."""
        ...

    def create(self, name: str, content: Secret) -> bool:
        """Store a document unless there is one of that name: of two who try at the same time one wins.

        Repeated after an answer was lost: it is true again for who has stored this very content.
        """
        ...


def _no_keystore(kind: str) -> KeyStore:
    raise Refused(f"this world has no key store {kind!r}")


@dataclass(frozen=True)
class World:
    """The world of one environment. ``keystore`` opens a store by its kind; empty: the environment's own.

    ``passphrases`` opens the one from which machines fetch the passphrases of their keys.
    """

    settings: Settings
    cloud: Cloud
    hosts: Hosts
    clock: Clock = field(default_factory=SystemClock)
    keystore: Callable[[str], KeyStore] = _no_keystore
    passphrases: Callable[[], KeyStore] = lambda: _no_keystore("of passphrases")

    def wait(self, what: str, probe: Callable[[], T | None], budget: float, *, every: float = 0.5) -> T:
        """Poll ``probe`` until it returns something true.

        Every 0.5 s for the first 10 s, then backing off to 5 s: an EC2 volume moves in 1-4 s, and boto3's own
        waiters would ask every 15 s.

        A look without an answer (EC2 throttles, a machine reboots) is no failure: the next look may have one, as
        aws-ebs-csi-driver has it. Silence for `SILENCE` seconds ends the wait all the same, for some waits have
        budgets of hours, and nobody should wait for a dead machine that long.

        :param budget: seconds.
        :param every: seconds between looks in the first 10 s.
        :raises Failed: when the budget is used up, naming ``what``.
        :raises Unreachable: when it is used up without an answer to the last looks, or the silence is too long.
        """
        started = self.clock.monotonic()
        heard = started
        while True:
            silence: Unreachable | None = None
            try:
                if found := probe():
                    return found
                heard = self.clock.monotonic()
            except Unreachable as error:
                silence = error
            now = self.clock.monotonic()
            if now - started >= budget or (silence and now - heard >= SILENCE):
                raise _not_so(what, now - started, budget, silence)
            self.clock.sleep(pause(now - started, every))


def _not_so(what: str, waited: float, budget: float, silence: Unreachable | None) -> Failed | Unreachable:
    text = f"{what}: not so after {waited:.0f} s (budget {budget:.0f} s)"
    if silence is None:
        return Failed(text)
    error = Unreachable(f"{text}; the last look had no answer: {silence.message}", hint=silence.hint)
    error.__cause__ = silence
    return error


def pause(waited: float, every: float = 0.5) -> float:
    """Return how long to wait before the next look, having waited ``waited`` seconds."""
    return every if waited < 10 else min(5.0, waited / 10)


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
    holder = world.cloud.take_lock(node, lock)
    if holder is not None and is_dead(holder):
        world.cloud.free_lock(node, holder)
        holder = world.cloud.take_lock(node, lock)
    if holder is not None:
        raise locked(node, holder)
    try:
        yield
    except BaseException:
        # What went wrong is what the operator must read; a lock that could not be freed names its holder by itself.
        with suppress(TranscoderError):
            world.cloud.free_lock(node, lock)
        raise
    world.cloud.free_lock(node, lock)


def locked(node: str, holder: Lock) -> Refused:
    """Return the refusal that names the holder of a node's lock and the command that frees it."""
    return Refused(
        f"node {node} is locked: {holder.who} on {holder.where} (process {holder.pid}) runs {holder.what!r} "
        f"since {holder.when}",
        hint=f"wait for it; when you know that it no longer runs: fab unlock --node {node}",
    )
