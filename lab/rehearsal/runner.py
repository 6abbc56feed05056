"""Runs a command line as an operator would type it: a process of its own, all that it says kept, its time taken."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from transcoder.errors import Failed
from transcoder.settings import ROOT, child_environment

BIN = Path(sys.executable).parent
"""Where ``invoke`` and ``fab`` of this very environment are."""
LAST_LINES = 30
END_GRACE = 120.0
"""Seconds for a command that was interrupted to put its things in order (Packer removes what it made)."""


@dataclass(frozen=True)
class Line:
    """A line that a command wrote, and when it came (``time.monotonic``)."""

    at: float
    stream: str
    text: str


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    command: tuple[str, ...]
    exit_code: int
    seconds: float
    lines: tuple[Line, ...] = field(repr=False, default=())
    log: Path = Path()

    @property
    def stdout(self) -> str:
        """Its result."""
        return self.text("stdout")

    @property
    def stderr(self) -> str:
        """Its progress."""
        return self.text("stderr")

    def text(self, *streams: str) -> str:
        """Return what it wrote to these streams."""
        return "".join(f"{line.text}\n" for line in self.lines if line.stream in streams)

    def require_success(self) -> Finished:
        """Return itself.

        :raises Failed: when it ended with another code than 0: with the command, the code and its last lines.
        """
        if self.exit_code:
            raise self.failure(f"ended with {self.exit_code}")
        return self

    def failure(self, problem: str) -> Failed:
        """Return the error that says what is wrong with how it ended, with the last of what it said to people."""
        told = self.stderr.strip() or self.stdout
        last = [line for line in told.splitlines() if line.strip()][-LAST_LINES:]
        said = "\n".join(f"    {line}" for line in last) or "    (nothing)"
        return Failed(
            f"`{shlex.join(self.command)}` {problem}; its last lines:\n{said}", hint=f"all that it said: {self.log}"
        )

    def documents(self) -> tuple[Any, ...]:
        """Return the JSON documents on its standard output, in order; text between them is left out.

        :raises Failed: when there is none.
        """
        found = parse_documents(self.stdout)
        if not found:
            raise self.failure("printed no JSON")
        return found


def parse_documents(text: str) -> tuple[Any, ...]:
    """Return the JSON objects and lists that begin at the begin of a line."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        if text[at] in "{[":
            try:
                value, end = decoder.raw_decode(text, at)
            except json.JSONDecodeError:
                value = None
            if value is not None:
                found.append(value)
        at = end
    return tuple(found)


def run(
    command: Sequence[str], log: Path, budget: float, watch: Callable[[str], None] = lambda _line: None
) -> Finished:
    """Run ``invoke`` or ``fab`` of this project and wait for its end.

    :param command: the command line as typed; its first word is looked up in the environment of this Python.
    :param log: gets all that it writes, as it comes.
    :param budget: seconds; a command that takes longer is interrupted, and killed when that does not end it.
    :param watch: gets each line as it comes.
    :raises Failed: when the budget is used up.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as file, _started(command) as process:
        file.write(f"$ {shlex.join(command)}\n")
        reader = _Reader(file, watch)
        threads = reader.follow(stdout=process.stdout, stderr=process.stderr)
        in_time = _ended(process, budget)
        for thread in threads:
            thread.join()
    finished = Finished(tuple(command), process.returncode, time.monotonic() - began, tuple(reader.lines), log)
    if not in_time:
        raise finished.failure(f"had not ended after {budget:.0f} s and was broken off")
    return finished


def _started(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        env=child_environment(PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


class _Reader:
    """Collects the lines of both streams in the order in which they come."""

    def __init__(self, log: IO[str], watch: Callable[[str], None]) -> None:
        self.lines: list[Line] = []
        self._log, self._watch = log, watch
        self._adding = threading.Lock()

    def follow(self, **streams: IO[str] | None) -> list[threading.Thread]:
        """Start to read."""
        threads = [threading.Thread(target=self._read, args=item, daemon=True) for item in streams.items()]
        for thread in threads:
            thread.start()
        return threads

    def _read(self, name: str, stream: IO[str]) -> None:
        for text in stream:
            with self._adding:
                self.lines.append(Line(time.monotonic(), name, text.rstrip("\n")))
                self._log.write(text)
                self._log.flush()
                self._watch(text.rstrip("\n"))


def _ended(process: subprocess.Popen[str], budget: float) -> bool:
    """Wait for the end; tell whether it came in time. A Ctrl-C reaches the command as well: its end is awaited."""
    try:
        process.wait(budget)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        _end(process)
        return False
    except KeyboardInterrupt:
        _end(process)
        raise
    return True


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(END_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
