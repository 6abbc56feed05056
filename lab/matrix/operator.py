"""An operator at work: a command line in a process group of its own, that can be frozen, killed and waited for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.rehearsal.runner import BIN
from transcoder.errors import Failed
from transcoder.settings import ROOT, child_environment

LOOK_SECONDS = 0.005
"""Between looks into the journal: a step's first look at the world takes longer, so it is caught before it acts."""
END_GRACE = 20.0
NOT_COPIED = ("build", "*.egg-info", "packer_cache", "__pycache__", ".*")


@dataclass(frozen=True)
class Ran:
    """A command line that has ended, or was ended (exit code -9) because its deadline was over."""

    command: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    overdue: bool = False

    @property
    def said(self) -> str:
        """All that it said."""
        return self.stdout + self.stderr


class Operator:
    """Somebody who has typed ``fab`` or ``invoke`` in a checkout of the project.

    :param command: as typed, with its ``--env``.
    :param log: what it says goes to ``LOG.out`` and ``LOG.err``.
    :param checkout: the directory in which it is typed.
    """

    def __init__(self, command: Sequence[str], log: Path, checkout: Path = ROOT) -> None:
        self.command = tuple(command)
        self._out, self._err = log.with_suffix(".out"), log.with_suffix(".err")
        log.parent.mkdir(parents=True, exist_ok=True)
        self._began = time.monotonic()
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                cwd=checkout,
                env=child_environment(PYTHONUNBUFFERED="1", COLUMNS="1000"),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process, which leads its group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does; returns when no thread of it runs any more."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + END_GRACE
        while self.running and self._state() != "T":
            if time.monotonic() > deadline:
                raise Failed(f"process {self.pid} does not stop at SIGSTOP")
            time.sleep(LOOK_SECONDS)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once: nothing of it can put anything in order."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def wait(self, budget: float) -> Ran:
        """Wait for its end.

        :param budget: seconds; then it is interrupted, and killed when that does not end it.
        """
        overdue = False
        try:
            self._process.wait(budget)
        except subprocess.TimeoutExpired:
            overdue = True
            self._signal(signal.SIGINT)
            try:
                self._process.wait(END_GRACE)
            except subprocess.TimeoutExpired:
                self.kill()
        return Ran(
            self.command,
            self._process.returncode,
            self._out.read_text(encoding="utf-8", errors="replace"),
            self._err.read_text(encoding="utf-8", errors="replace"),
            time.monotonic() - self._began,
            overdue,
        )

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # it has ended by itself: nothing is left to signal

    def _state(self) -> str:
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return status.rpartition(")")[2].split()[0]


class JournalReader:
    """Reads what operators append to their journal, from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events that have come since the last call."""
        if not self._path.exists() or self._path.stat().st_size == self._at:
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole = file.read().rpartition(b"\n")[0]
        self._at += len(whole) + 1 if whole else 0
        yield from (json.loads(line) for line in whole.splitlines())


def await_step(operator: Operator, journal: JournalReader, key: str, budget: float) -> bool:
    """Wait until an operator begins a step; False when it ends, or the budget does, before it has begun any such."""
    deadline = time.monotonic() + budget
    while time.monotonic() < deadline:
        ended = not operator.running
        for event in journal.events():
            if (event["pid"], event["step"], event["outcome"]) == (operator.pid, key, None):
                return True
        if ended:
            return False
        time.sleep(LOOK_SECONDS)
    return False


def copy_checkout(directory: Path) -> Path:
    """Make a fresh copy of the project's sources: another computer's checkout, which nobody edits meanwhile."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(ROOT, directory, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return directory
