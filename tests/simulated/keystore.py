"""A key store in memory."""

from __future__ import annotations

import threading

from tests.simulated.clock import SimulatedClock
from transcoder.errors import Refused, Unreachable
from transcoder.secret import Secret
from transcoder.world import Version

WRITES = frozenset({"put", "create"})


class SimulatedKeyStore:
    """Implements `transcoder.world.KeyStore`."""

    def __init__(self, kind: str, clock: SimulatedClock, largest: int = 4096) -> None:
        self.kind, self.where, self.largest = kind, f"the simulated {kind}", largest
        self.documents: dict[str, list[str]] = {}
        self.denied: set[str] = set()
        """Methods that the operator may not call."""
        self.silent = False
        self.forgets = False
        """What it has been given comes back changed."""
        self._clock, self._lock = clock, threading.Lock()

    def put(self, name: str, content: Secret) -> str:
        self._open("put", content)
        with self._lock:
            self.documents.setdefault(name, []).append(content.reveal())
            return str(len(self.documents[name]))

    def get(self, name: str, version: str = "") -> Secret | None:
        self._open("get")
        versions = self.documents.get(name, [])
        number = int(version or len(versions))
        if not 1 <= number <= len(versions):
            return None
        return Secret(versions[number - 1] + ("!" if self.forgets else ""))

    def versions(self, name: str) -> tuple[Version, ...]:
        self._open("versions")
        return tuple(
            Version(str(n), "2026-01-01T00:00:00+00:00") for n in range(1, len(self.documents.get(name, [])) + 1)
        )

    def names(self) -> tuple[str, ...]:
        self._open("names")
        return tuple(sorted(self.documents))

    def create(self, name: str, content: Secret) -> bool:
        self._open("create", content)
        with self._lock:
            return self.documents.setdefault(name, [content.reveal()]) == [content.reveal()]

    def _open(self, what: str, content: Secret | None = None) -> None:
        if self.silent:
            raise Unreachable(f"{self.where}: throttled")
        if what in self.denied:
            raise Refused(f"store:{what} is not permitted")
        if content is not None and len(content.reveal()) > self.largest:
            raise Refused(f"{len(content.reveal())} bytes are too large for {self.where}, which takes {self.largest}")
