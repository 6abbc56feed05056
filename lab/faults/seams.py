"""Where faults reach into the lab's EC2. Empty when no fault is on, and asked at a few places of the control plane.

A fault puts a function into a seam under a key of its own, and takes it away when it goes off.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from lab.drivers import BootPlan, DiskPlan

Key = object
T = TypeVar("T")

OBSERVER = "lab-observer"
"""Access key id of who is to see EC2 as it is: requests signed with it meet no fault. Any secret goes with it."""


@dataclass(frozen=True)
class Asked:
    """A request: the service that it is signed for, the action, its plain fields, and whether it is a dry run."""

    service: str
    action: str
    fields: Mapping[str, str] = field(default_factory=dict)
    access_key: str = ""

    @property
    def dry_run(self) -> bool:
        """Tell whether it only asks for permission."""
        return self.fields.get("DryRun", "").lower() == "true"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a request: answered with an error instead of being done, or done with its answer lost."""

    code: str = ""
    lost: bool = False


FAIR = Verdict()
Judge = Callable[[Asked], Verdict]
Hold = Callable[[str, str, str], bool]
"""Called with volume id, instance id and device name; True as long as the change must not come about."""
Past = Callable[[Asked], AbstractContextManager[None]]
"""Makes a request see EC2 as it was, within a ``with`` block."""
Look = Callable[[str, DiskPlan], DiskPlan]
"""Called with an instance id and a disk; returns the disk as the guest is to see it."""


class Seam(Generic[T]):
    """What faults have put into one place of the control plane. Safe to use from several threads."""

    def __init__(self) -> None:
        self._values: dict[Key, T] = {}
        self._lock = threading.Lock()

    def put(self, key: Key, value: T) -> None:
        """Add."""
        with self._lock:
            self._values[key] = value

    def take(self, key: Key) -> None:
        """Remove what may be there."""
        with self._lock:
            self._values.pop(key, None)

    def __iter__(self) -> Iterator[T]:
        with self._lock:
            return iter(list(self._values.values()))


class Seams:
    """What is wrong with the lab's EC2 at the moment."""

    def __init__(self) -> None:
        self.requests = Seam[Judge]()
        self.past = Seam[Past]()
        self.attaching = Seam[Hold]()
        self.detaching = Seam[Hold]()
        self.disks = Seam[Look]()
        self.severed = Seam[str]()
        """Ids of the instances that the operator cannot reach."""

    def judge(self, asked: Asked) -> Verdict:
        """Say what becomes of a request. Every fault sees it, because some count; the first that objects decides."""
        if asked.access_key == OBSERVER:
            return FAIR
        verdicts = [judge(asked) for judge in self.requests]
        return next((verdict for verdict in verdicts if verdict != FAIR), FAIR)

    @contextmanager
    def view(self, asked: Asked) -> Iterator[None]:
        """Answer a request within this; the caller holds the cloud's lock."""
        with ExitStack() as stack:
            if asked.access_key != OBSERVER:
                for past in self.past:
                    stack.enter_context(past(asked))
            yield

    def holds_attach(self, volume_id: str, instance_id: str, device: str) -> bool:
        """Tell whether an attachment must not be completed."""
        return any(hold(volume_id, instance_id, device) for hold in self.attaching)

    def holds_detach(self, volume_id: str, instance_id: str, device: str) -> bool:
        """Tell whether a detachment must not be completed."""
        return any(hold(volume_id, instance_id, device) for hold in self.detaching)

    def disk(self, instance_id: str, disk: DiskPlan) -> DiskPlan:
        """Return the disk as the guest is to see it."""
        for look in self.disks:
            disk = look(instance_id, disk)
        return disk

    def boot(self, plan: BootPlan, detaching: frozenset[str]) -> BootPlan:
        """Return a machine as it is to come up: without the volumes that are stuck, and the others as it sees them.

        :param detaching: the volumes whose detachment has begun.
        """
        kept = [disk for disk in plan.disks if not self._is_held(plan.instance_id, disk, detaching)]
        return replace(plan, disks=tuple(self.disk(plan.instance_id, disk) for disk in kept))

    def _is_held(self, instance_id: str, disk: DiskPlan, detaching: frozenset[str]) -> bool:
        hold = self.holds_detach if disk.volume_id in detaching else self.holds_attach
        return hold(disk.volume_id, instance_id, disk.device)

    def severed_instances(self) -> frozenset[str]:
        """Return the ids of the instances that the operator cannot reach."""
        return frozenset(self.severed)


def asked_by(service: str, action: str, fields: Mapping[str, str], authorization: str) -> Asked:
    """Return a request as the faults see it.

    :param authorization: the header, from which the access key id is taken.
    """
    found = re.search(r"Credential=([^/]+)/", authorization)
    return Asked(service, action, fields, found.group(1) if found else "")
