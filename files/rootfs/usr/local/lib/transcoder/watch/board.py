"""All checks and their states, shared by the probes' threads and the server's."""

import threading
from typing import Any, Dict, List, NamedTuple, Tuple

from .hysteresis import Patience, Track, advance, begin
from .model import ALARM, NAMES, OK, UNKNOWN, Gauge, Item, Reading

Key = Tuple[str, str]


class Shown(NamedTuple):
    """A check as it is shown. ``since`` in Unix seconds; ``reading`` is the newest one, be it worse or better."""

    level: int
    since: float
    reading: Reading
    title: str
    runbook: str

    def to_json(self) -> Dict[str, Any]:
        """Return it as an object."""
        return {
            "check": self.reading.check,
            "subject": self.reading.subject,
            "state": NAMES[self.level],
            "since": round(self.since),
            "now": NAMES[self.reading.level],
            "value": self.reading.value,
            "message": self.reading.message,
            "title": self.title,
            "runbook": self.runbook,
        }


class _Entry(NamedTuple):
    probe: str
    track: Track
    reading: Reading


class Board:
    """The states. Durations go by a clock that nobody sets; only what is shown has the time of day."""

    def __init__(self, checks: Dict[str, Any], runbooks: str) -> None:
        self._checks, self._runbooks = checks, runbooks
        self._lock = threading.Lock()
        self._entries: Dict[Key, _Entry] = {}
        self._gauges: Dict[str, List[Gauge]] = {}

    def take(self, probe: str, items: List[Item], steady: float, failure: str = "") -> None:
        """Take what a probe has seen; ``failure`` is said of those of its checks that it has not seen this time.

        ``steady`` is the time of a clock that only goes forward.
        """
        readings = {(item.check, item.subject): item for item in items if isinstance(item, Reading)}
        with self._lock:
            self._gauges[probe] = [item for item in items if isinstance(item, Gauge)]
            for key, entry in self._entries.items():
                if entry.probe == probe and key not in readings:
                    message = failure or "not seen this time"
                    readings[key] = Reading(key[0], key[1], UNKNOWN, None, message)
            for key, reading in readings.items():
                known = self._entries.get(key)
                track = known.track if known else begin(steady)
                after = self._checks[reading.check]
                patience = Patience(after["warn"], after["alarm"], after["unknown"], after["clear"])
                self._entries[key] = _Entry(probe, advance(track, reading.level, steady, patience), reading)

    def shown(self, steady: float, now: float) -> List[Shown]:
        """Return all checks, the worst first, then by name."""
        with self._lock:
            entries = list(self._entries.items())
        found = [self._shown(entry, now - (steady - entry.track.since)) for _, entry in entries]
        return sorted(found, key=lambda item: (-item.level, item.reading.check, item.reading.subject))

    def gauges(self) -> List[Gauge]:
        """Return the newest numbers of all probes."""
        with self._lock:
            return [gauge for probe in sorted(self._gauges) for gauge in self._gauges[probe]]

    def _shown(self, entry: _Entry, since: float) -> Shown:
        name = entry.reading.check
        return Shown(
            entry.track.shown, since, entry.reading, self._checks[name]["title"], "{}{}.md".format(self._runbooks, name)
        )


def worst(shown: List[Shown]) -> int:
    """Return the level of the whole: the worst one; nothing known is not well."""
    return max([item.level for item in shown] or [UNKNOWN])


def is_healthy(shown: List[Shown]) -> bool:
    """Tell whether the node may be given work: something is known, and nothing is in alarm.

    What is bad from the very first look on is not in alarm before its time, but it was never well either.
    """
    never = [item for item in shown if item.level == UNKNOWN and item.reading.level == ALARM]
    return any(item.level == OK for item in shown) and not never and worst(shown) < ALARM
