"""What a machine prints on its console: the end of it in memory, and a log file that does not grow without bound."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import BinaryIO

TAIL_BYTES = 64 * 1024
LOG_BYTES = 1024 * 1024


class Console:
    """Collects the output of one machine over all of its runs; ``text`` is about the present run only."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._tail = b""
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Forget the run before."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._tail = b""

    def text(self) -> str:
        """Return the last 64 KiB of the run."""
        with self._lock:
            return self._tail.decode(errors="replace")

    def collect(self, stream: BinaryIO) -> None:
        """Read a stream to its end, in the caller's thread."""
        while chunk := stream.read1(TAIL_BYTES) if hasattr(stream, "read1") else stream.read(TAIL_BYTES):
            self._keep(chunk)

    def _keep(self, chunk: bytes) -> None:
        with self._lock:
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".1.log"))
        with self._log.open("ab") as log:
            log.write(chunk)
