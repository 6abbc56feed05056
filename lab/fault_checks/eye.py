"""Looks at the watch of one machine, for as long as a ``with`` block lasts: by the lab's own way in."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.fault_checks.looks import Look, parse

SAMPLER = Path(__file__).with_name("sampler.py")
EVERY_SECONDS = 1.0
AGAIN_SECONDS = 1.0
"""Until a connection that has ended is tried again."""


class HealthEye:
    """Reads what the sampler in a machine says; connects again when the connection has ended.

    :param command: runs Python in the machine, the program on its standard input.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._looks: list[Look] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="eye-health", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        with self._lock:
            if self._process is not None:
                self._process.terminate()
        self._thread.join()

    def since(self, begun: float) -> tuple[Look, ...]:
        """Return the looks from a ``time.monotonic`` on, and the last one before it."""
        with self._lock:
            first = next((number for number, look in enumerate(self._looks) if look.at >= begun), len(self._looks))
            return tuple(self._looks[max(first - 1, 0) :])

    def _run(self) -> None:
        while not self._closing.is_set():
            self._read()
            self._closing.wait(AGAIN_SECONDS)

    def _read(self) -> None:
        with SAMPLER.open(encoding="utf-8") as program:
            with self._lock:
                if self._closing.is_set():
                    return
                pipe, null = subprocess.PIPE, subprocess.DEVNULL
                process = subprocess.Popen(self._command, stdin=program, stdout=pipe, stderr=null, text=True)
                self._process = process
            with process:
                for line in process.stdout or ():
                    if line.endswith("}\n"):
                        with self._lock:
                            self._looks.append(parse(line, time.monotonic()))
