"""EC2 as it was a while ago: what moto knows of instances, volumes and addresses is kept, and shown again.

A state that is kept is one that really was: it is taken under the cloud's lock. moto's own code answers from it, so
filters, ids and errors (``InvalidVolume.NotFound`` of a volume that was not there yet) are those of that moment.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
KEPT = ("reservations", "volumes", "addresses", "tags")
"""What of moto's backend is kept: containers of instances, volumes, Elastic IPs, and the tags of everything."""


class History(Generic[T]):
    """States by the time they were taken at; pure. Times are monotonic seconds.

    :param seconds: how far back it must reach.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._states: deque[tuple[float, T]] = deque()
        self._lock = threading.Lock()

    def add(self, now: float, state: T) -> None:
        """Keep a state, and forget those that nobody will ask for any more."""
        with self._lock:
            self._states.append((now, state))
            while len(self._states) > 1 and self._states[1][0] <= now - self._seconds:
                self._states.popleft()

    def at(self, time: float) -> T:
        """Return the newest state that is not younger than a time; the oldest there is, where all are younger.

        :raises LookupError: none was ever kept.
        """
        with self._lock:
            if not self._states:
                raise LookupError("no state was kept")
            return next((state for taken, state in reversed(self._states) if taken <= time), self._states[0][1])


@dataclass(frozen=True)
class BackendState:
    """What one region's backend held."""

    backend: Any
    containers: Mapping[str, Any]


def take(backend: Any) -> BackendState:
    """Copy what a backend holds, deep enough that nothing that happens later shows. The caller holds the lock."""
    return BackendState(
        backend,
        {
            "reservations": type(backend.reservations)(
                (key, _reservation(each)) for key, each in backend.reservations.items()
            ),
            "volumes": {key: _volume(each) for key, each in backend.volumes.items()},
            "addresses": [_shallow(each) for each in backend.addresses],
            "tags": _tags(backend.tags),
        },
    )


@contextmanager
def shown(states: tuple[BackendState, ...]) -> Iterator[None]:
    """Let moto see these states within the block. The caller holds the lock."""
    now = [BackendState(each.backend, {name: getattr(each.backend, name) for name in KEPT}) for each in states]
    try:
        _put(states)
        yield
    finally:
        _put(tuple(now))


def _put(states: tuple[BackendState, ...]) -> None:
    for state in states:
        for name, container in state.containers.items():
            setattr(state.backend, name, container)


def _shallow(thing: Any) -> Any:
    """Copy an object and its containers, whose elements are shared."""
    new = copy.copy(thing)
    for name, value in vars(new).items():
        if isinstance(value, (dict, list, set)):
            setattr(new, name, copy.copy(value))
    return new


def _reservation(reservation: Any) -> Any:
    new = copy.copy(reservation)
    new.instances = [_instance(each) for each in reservation.instances]
    return new


def _instance(instance: Any) -> Any:
    new = _shallow(instance)
    new._state = copy.copy(instance._state)
    new.nics = {key: _shallow(nic) for key, nic in instance.nics.items()}
    for device, mapping in instance.block_device_mapping.items():
        new.block_device_mapping[device] = copy.copy(mapping)
    return new


def _volume(volume: Any) -> Any:
    new = _shallow(volume)
    new.attachment = copy.copy(volume.attachment)
    return new


def _tags(tags: Any) -> Any:
    new = copy.copy(tags)
    for resource, values in tags.items():
        new[resource] = dict(values)
    return new
