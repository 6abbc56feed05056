"""How a process of an operator reaches the world: every call and every command goes through one door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from tests.simulated.ec2 import READS
from tests.simulated.host import Command
from tests.simulated.keystore import WRITES
from transcoder.model import Instance
from transcoder.world import Command as WorldCommand
from transcoder.world import Host, Hosts, Output, World


@dataclass(frozen=True)
class Act:
    """A call of the API (``machine`` is empty) or a command on a machine."""

    machine: str
    what: tuple[str, ...]
    changes_something: bool


Door = Callable[[Act, Callable[[], Any]], Any]
"""Does the act, or not, or something else before or after it; its answer is the process's."""


def reached_through(world: World, door: Door) -> World:
    """Return the world as somebody reaches it for whom everything goes through ``door``. Doors can stand in a row."""
    hosts, cloud = _Hosts(world.hosts, door), cast(Any, _Cloud(world.cloud, door))
    return replace(
        world,
        cloud=cloud,
        hosts=hosts,
        keystore=lambda kind: cast(Any, _Store(world.keystore(kind), door)),
        passphrases=lambda: cast(Any, _Store(world.passphrases(), door)),
    )


class _Store:
    """A key store behind a door."""

    def __init__(self, store: Any, door: Door) -> None:
        self._store, self._door = store, door

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._door(Act("", ("store", name), name in WRITES), lambda: found(*args, **kwargs))

        return call


class _Cloud:
    """A cloud behind a door."""

    def __init__(self, cloud: Any, door: Door) -> None:
        self._cloud, self._door = cloud, door

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cloud, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._door(Act("", (name,), name not in READS), lambda: method(*args, **kwargs))

        return call


class _Hosts:
    """Machines behind a door."""

    def __init__(self, hosts: Hosts, door: Door) -> None:
        self._hosts, self._door = hosts, door

    def __call__(self, instance: Instance) -> _Host:
        return _Host(self._hosts(instance), self._door)

    def forget(self, instance: Instance) -> None:
        """End what is open to a machine."""
        self._hosts.forget(instance)


class _Host:
    """A machine behind a door. In a batch every command is an act of its own."""

    def __init__(self, host: Host, door: Door) -> None:
        self._host, self._door = host, door
        self.name = host.name

    def run(
        self, *argv: str, stdin: str | bytes = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        """Run a command; see `transcoder.world.Host`."""
        act = Act(self.name, argv, Command(self.name, argv, stdin).changes_something)
        output: Output = self._door(act, lambda: self._host.run(*argv, stdin=stdin, sudo=sudo, ok=ok, timeout=timeout))
        return output

    def run_all(self, *commands: WorldCommand, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        """Run commands one after the other; see `transcoder.world.Host`."""
        return tuple(self.run(*command.argv, sudo=sudo, ok=command.ok, timeout=timeout) for command in commands)
