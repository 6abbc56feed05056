"""How far a download is, on the operator's terminal; one line without one."""

from __future__ import annotations

import sys
import time

EVERY_SECONDS = 0.2
MIB = 1 << 20


class Meter:
    """Prints to standard error: one line that counts on a terminal, elsewhere a line when a download begins."""

    def __init__(self) -> None:
        self._name = ""
        self._shown = 0.0

    def __call__(self, name: str, done: int, total: int) -> None:
        """Tell how many of how many bytes are here; both 0 when there is nothing to count."""
        if name != self._name or not sys.stderr.isatty():
            self._begin(name)
        if not (done and sys.stderr.isatty()):
            return
        now = time.monotonic()
        if now - self._shown >= EVERY_SECONDS or done == total:
            self._shown = now
            end = "\n" if done == total else ""
            sys.stderr.write(f"\r{name}: {describe(done, total)}\x1b[K{end}")
            sys.stderr.flush()

    def _begin(self, name: str) -> None:
        if name != self._name:
            self._name = name
            sys.stderr.write(f"fetching {name}\n")


def describe(done: int, total: int) -> str:
    """Return the counts in words."""
    if not total:
        return f"{done / MIB:.1f} MiB"
    return f"{done / MIB:.1f} of {total / MIB:.1f} MiB, {100 * done // total} %"
