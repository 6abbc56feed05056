"""What a service took by itself to stop and to start, as the journal of its machine says: no poll of ours in it.

The times are those at which journald got an entry, on the machine's monotonic clock, in microseconds. systemd marks its
own entries by ids that stay (``systemd.journal-fields``, ``sd-messages.h``); that a service serves, its own log says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.rehearsal.bound import SERVICE_VERBS, verb_of
from transcoder import layout
from transcoder.model import Instance
from transcoder.world import Host

STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
STARTED = "39f53479d3a045ac8e11786248231fbf"
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
STOPPED = "9d1aaa27d60140bd96365438aad20286"
SERVES: Mapping[str, re.Pattern[str]] = {
    # geth names an age where the block is older than a minute: then it is still catching up.
    layout.GETH.service.unit: re.compile(r"Imported new (block headers|chain segment)(?!.* age=)"),
    # livepeer has unlocked its account before it says this.
    layout.LIVEPEER.service.unit: re.compile(r"\*\*\*Livepeer Running in \w+ Mode\*\*\*"),
}
"""By unit the line with which a service shows that it does its work: geth has taken a young block from a peer."""
UNIT_OF = {"in-sync": layout.GETH.service.unit, "healthy": layout.LIVEPEER.service.unit}
"""Steps that wait for a service to serve name no unit."""


@dataclass(frozen=True)
class Entry:
    """An entry of the journal. ``at`` in seconds since the boot, ``kind`` is systemd's message id or empty."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class ServiceTimes:
    """The last stop and the last start of a unit, in seconds; None for what the journal does not show.

    ``stop``: from Stopping to Stopped. ``start``: from Starting to Started, which its checks come before.
    ``serve``: from Started to the line that says that it serves.
    """

    stop: float | None = None
    start: float | None = None
    serve: float | None = None


def command(unit: str) -> tuple[str, ...]:
    """Return the command whose output `parse_journal` reads."""
    fields = "--output-fields=MESSAGE,MESSAGE_ID"
    return ("journalctl", "--boot", f"--unit={unit}", "--output=json", fields, "--no-pager", "--quiet")


def parse_journal(text: str) -> tuple[Entry, ...]:
    """Return the entries of ``journalctl --output=json``; a message that is no text (bytes, or too long) is empty."""
    return tuple(_entry(json.loads(line)) for line in text.splitlines() if line.strip())


def _entry(record: Mapping[str, Any]) -> Entry:
    message = record.get("MESSAGE")
    text = message if isinstance(message, str) else ""
    return Entry(int(record["__MONOTONIC_TIMESTAMP"]) / 1e6, str(record.get("MESSAGE_ID") or ""), text)


def times(entries: Sequence[Entry], serves: re.Pattern[str] | None) -> ServiceTimes:
    """Return how long the last stop and the last start in the journal took."""
    stopping = _last(entries, lambda entry: entry.kind == STOPPING)
    starting = _last(entries, lambda entry: entry.kind == STARTING)
    started = _first_after(entries, starting, lambda entry: entry.kind == STARTED)
    stopped = _first_after(entries, stopping, lambda entry: entry.kind == STOPPED)
    serving = _first_after(entries, started, lambda entry: bool(serves and serves.search(entry.text)))
    return ServiceTimes(_between(stopping, stopped), _between(starting, started), _between(started, serving))


def _last(entries: Sequence[Entry], wanted: Callable[[Entry], bool]) -> Entry | None:
    return next((entry for entry in reversed(entries) if wanted(entry)), None)


def _first_after(entries: Sequence[Entry], begin: Entry | None, wanted: Callable[[Entry], bool]) -> Entry | None:
    if begin is None:
        return None
    return next((entry for entry in entries if entry.at >= begin.at and wanted(entry)), None)


def _between(begin: Entry | None, end: Entry | None) -> float | None:
    return None if begin is None or end is None else end.at - begin.at


def observe(host: Host, unit: str) -> ServiceTimes:
    """Read a unit's journal on a machine."""
    return times(parse_journal(host.run(*command(unit), timeout=120).stdout), SERVES.get(unit))


def observe_services(
    plan: Sequence[Mapping[str, Any]], hosts: Callable[[Instance], Host], instances: Sequence[Instance]
) -> Mapping[str, float]:
    """Return by key of a step how long its service took by itself, for all steps of which a journal tells.

    :param plan: the steps of a plan in its JSON; those that wait for a service have ``instance`` and some ``unit``.
    :param instances: the machines that the plan is about.
    """
    by_id = {instance.id: instance for instance in instances}
    seen: dict[tuple[str, str], ServiceTimes] = {}
    found: dict[str, float] = {}
    for key, unit, instance_id in _waits(plan):
        if instance_id not in by_id:
            continue
        if (unit, instance_id) not in seen:
            seen[unit, instance_id] = observe(hosts(by_id[instance_id]), unit)
        seconds = _of(verb_of(key), seen[unit, instance_id])
        if seconds is not None:
            found[key] = seconds
    return found


def _waits(plan: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield key, unit and instance id of the steps that wait for a service and will be run."""
    for step in plan:
        verb = verb_of(step["key"])
        unit = step.get("unit") or UNIT_OF.get(verb, "")
        if verb in SERVICE_VERBS and unit and not step.get("skip"):
            place = step.get("place") or {}
            yield step["key"], unit, str(step.get("instance") or place.get("instance", ""))


def _of(verb: str, service: ServiceTimes) -> float | None:
    return {"stop": service.stop, "start": service.start}.get(verb, service.serve)
