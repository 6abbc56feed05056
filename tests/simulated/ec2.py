"""The ground EC2 stands on here: its tables, what happens by itself later, and the door every call goes through."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from tests.simulated.clock import SimulatedClock
from tests.simulated.disk import Disk
from tests.simulated.faults import CloudFaults
from transcoder.errors import Failed, NameTaken, NotReady, Refused
from transcoder.model import ElasticIp, Image, ImageUse, Instance, Snapshot, Volume
from transcoder.world import Lock

F = TypeVar("F", bound=Callable[..., Any])
Tags = Mapping[str, str]

ROOT = "/dev/sda1"
READS = frozenset(
    {
        *("instances", "volumes", "addresses", "images", "stock_image", "snapshots"),
        *("lock_holder", "lock_holders", "denial", "image_uses"),
    }
)
"""Calls that change nothing; ``denial`` is EC2's ``DryRun``."""
HISTORY = 60.0
"""Seconds for which earlier states are kept."""

ACTIONS = {
    **{"launch": "RunInstances", "terminate": "TerminateInstances", "stop": "StopInstances"},
    **{"create_volume": "CreateVolume", "delete_volume": "DeleteVolume", "attach": "AttachVolume"},
    **{"detach": "DetachVolume", "force_detach": "DetachVolume", "create_snapshot": "CreateSnapshot"},
    **{"copy_snapshot": "CopySnapshot", "delete_snapshot": "DeleteSnapshot", "tag": "CreateTags"},
    **{"copy_image": "CopyImage", "deregister_image": "DeregisterImage", "deprecate_image": "EnableImageDeprecation"},
    **{"untag": "DeleteTags", "allocate_address": "AllocateAddress", "associate": "AssociateAddress"},
}
"""Our word for a change -> EC2's name of the action, by which it can be denied."""


@dataclass(frozen=True)
class Call:
    """One call of the API."""

    name: str
    arguments: tuple[object, ...]

    @property
    def changes_something(self) -> bool:
        """Whether it is more than a look."""
        return self.name not in READS


class Answer(Failed):
    """EC2 says no, with its own code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class NotNow(Answer, NotReady):
    """EC2 says no in the state that things are in now."""


class NameInUse(Answer, NameTaken):
    """EC2 says that the device name is in use."""


def api(method: F) -> F:
    """Make a method a call of the API: under the world's one lock, written down, and at the mercy of the faults."""

    @functools.wraps(method)
    def call(self: Ec2, *arguments: Any, **named: Any) -> Any:
        with self.lock:
            self.calls.append(Call(method.__name__, (*arguments, *named.values())))
            self.faults.check(method.__name__)
            if ACTIONS.get(method.__name__) in self.denied:
                raise Refused(f"{method.__name__} is not permitted (UnauthorizedOperation)")
            answer = method(self, *arguments, **named)
            self.remember()
            self.faults.check_answer(method.__name__)
            return answer

    return cast(F, call)


@dataclass(frozen=True)
class _State:
    """What a read shows: the tables at a time. SSM (the lock) and images do not lag."""

    at: float
    machines: Mapping[str, Instance]
    blocks: Mapping[str, Volume]
    elastic: Mapping[str, ElasticIp]
    copies: Mapping[str, Snapshot]


class Ec2:
    """Tables by id, a diary of what is due, and the calls so far."""

    def __init__(self, clock: SimulatedClock, lock: threading.RLock) -> None:
        self.clock, self.lock = clock, lock
        self.faults = CloudFaults()
        self.denied: set[str] = set()
        """EC2 actions (``AttachVolume``) that the credentials do not permit."""
        self.numbers = itertools.count(1)
        self.regions: dict[str, Ec2] = {}
        """The clouds of other regions, by name."""
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._history: list[_State] = []
        self.tokens: dict[str, str] = {}
        self.machines: dict[str, Instance] = {}
        self.disks: dict[str, Disk] = {}
        self.blocks: dict[str, Volume] = {}
        self.elastic: dict[str, ElasticIp] = {}
        self.amis: dict[str, Image] = {}
        self.uses: list[ImageUse] = []
        self.locks: dict[str, Lock] = {}
        self.copies: dict[str, Snapshot] = {}
        self.calls: list[Call] = []
        clock.listen(self.catch_up)

    # what happens by itself

    def catch_up(self) -> None:
        """Let everything happen whose time has come."""
        with self.lock:
            now = self.clock.monotonic()
            for entry in sorted((e for e in self._due if e[0] <= now), key=lambda e: e[0]):
                self._due.remove(entry)
                entry[1]()
            self.remember()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Let something happen by itself after some time."""
        self._due.append((self.clock.monotonic() + seconds, act))

    def new_id(self, prefix: str) -> str:
        """Return an id that is not used yet."""
        return f"{prefix}-{next(self.numbers):017x}"

    # what a read shows

    def remember(self) -> None:
        """Keep the state of now for reads that lag; only while there are such."""
        if not self.faults.lag:
            self._history.clear()
            return
        now = self.clock.monotonic()
        tables = (self.machines, self.blocks, self.elastic, self.copies)
        self._history = [state for state in self._history if state.at != now and state.at > now - HISTORY]
        self._history.append(_State(now, *(dict(table) for table in tables)))  # type: ignore[arg-type]

    def shown(self) -> _State:
        """Return the tables as a read shows them: those of now, or of some seconds ago."""
        now = self.clock.monotonic()
        self.remember()
        if self._history and self.faults.this_read_lags():
            old = [state for state in self._history if state.at <= now - self.faults.lag]
            return old[-1] if old else self._history[0]
        return _State(now, self.machines, self.blocks, self.elastic, self.copies)

    # for assertions

    @property
    def mutations(self) -> list[Call]:
        """The calls that were more than looks."""
        return [call for call in self.calls if call.changes_something]

    def state(self) -> tuple[object, ...]:
        """Return all that EC2 knows, to compare before and after."""
        everything = (self.machines, self.blocks, self.elastic, self.amis, self.locks, self.copies)
        return tuple(sorted((key, repr(value)) for table in everything for key, value in table.items()))

    # changes of the tables

    def change_machine(self, instance_id: str, **changes: Any) -> None:
        """Change what EC2 knows of an instance, if it still does."""
        if instance_id in self.machines:
            self.machines[instance_id] = replace(self.machines[instance_id], **changes)

    def change_volume(self, volume_id: str, **changes: Any) -> None:
        """Change what EC2 knows of a volume, if it still does."""
        if volume_id in self.blocks:
            self.blocks[volume_id] = replace(self.blocks[volume_id], **changes)

    def needed_volume(self, volume_id: str) -> Volume:
        """Return a volume, which must be there."""
        if volume_id not in self.blocks:
            raise Answer("InvalidVolume.NotFound", volume_id)
        return self.blocks[volume_id]

    def needed_instance(self, instance_id: str) -> Instance:
        """Return an instance, which must be there."""
        if instance_id not in self.machines:
            raise Answer("InvalidInstanceID.NotFound", instance_id)
        return self.machines[instance_id]


def wanted(own_id: str, own_tags: Tags, ids: Sequence[str], tags: Tags | None) -> bool:
    """Tell whether a resource matches, as EC2's filters do."""
    return (not ids or own_id in ids) and all(own_tags.get(key) == value for key, value in (tags or {}).items())
