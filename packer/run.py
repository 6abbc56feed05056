"""Runs Packer: its machine-readable output, its end, and a Ctrl-C that lets it clean up."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from transcoder.errors import Failed

LAST_LINES = 25
QUIET_TIMEOUT_SECONDS = 300.0
CLEAN_UP_SECONDS = 600.0
"""How long an interrupted Packer may take to remove what it made, before it is killed."""


@dataclass(frozen=True)
class Line:
    """A line of ``-machine-readable`` output: ``timestamp,target,type,data...``."""

    target: str
    kind: str
    data: tuple[str, ...]

    @property
    def for_people(self) -> str:
        """What Packer would have printed, or nothing when the line is for machines."""
        return "\n".join(self.data[1:]) if self.kind == "ui" else ""

    @property
    def artifact_id(self) -> str:
        """The id of an artifact (``us-east-1:ami-0abc``), or nothing."""
        return self.data[2] if self.kind == "artifact" and self.data[1:2] == ("id",) else ""


def parse_line(text: str) -> Line | None:
    """Return a line of Packer's machine-readable output, None for any other text.

    Packer writes a comma in the data as ``%!(PACKER_COMMA)`` and a line break as ``\\n``.
    """
    parts = text.rstrip("\n").split(",")
    if len(parts) < 3 or not parts[0].isdigit():
        return None
    data = [part.replace("%!(PACKER_COMMA)", ",").replace("\\n", "\n").replace("\\r", "\r") for part in parts[3:]]
    return Line(parts[1], parts[2], tuple(data))


def run_quietly(command: list[str], environment: Mapping[str, str]) -> None:
    """Run a Packer command that has nothing to tell when it goes well.

    :raises Failed: with all that it printed.
    """
    result = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=QUIET_TIMEOUT_SECONDS,
        check=False,
    )
    if result.returncode:
        raise Failed(f"`{' '.join(command)}` failed (exit {result.returncode}):\n{result.stdout.strip()}")


def run_build(
    template: Path, environment: Mapping[str, str], timeout_seconds: float, on_line: Callable[[str], None]
) -> str:
    """Run ``packer build`` on a template; return the id of its artifact.

    :param timeout_seconds: after this, Packer is interrupted and has what it made removed.
    :raises Failed: when it fails, or takes too long: with its last lines.
    """
    command = ["packer", "build", "-machine-readable", "-on-error=cleanup", str(template)]
    last: deque[str] = deque(maxlen=LAST_LINES)
    artifact = ""
    with _started(command, environment, on_line) as process, _deadline(process, timeout_seconds) as timed_out:
        for line in _lines(process):
            for text in line.for_people.splitlines():
                last.append(text)
                on_line(text)
            artifact = line.artifact_id or artifact
        code = process.wait()
    if timed_out.is_set():
        raise _failure(f"the bake took longer than {timeout_seconds:.0f} s and was broken off", last)
    if code or not artifact:
        raise _failure(f"packer build failed (exit {code})" if code else "packer build made no image", last)
    return artifact


@contextmanager
def _started(
    command: list[str], environment: Mapping[str, str], on_line: Callable[[str], None]
) -> Iterator[subprocess.Popen[str]]:
    """Start Packer in a session of its own, so that a terminal's Ctrl-C reaches it once: through `interrupt`.

    Two interrupts would make it stop without removing the instance that it started.
    """
    with _taking_interrupts():
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    with process:
        try:
            yield process
        except BaseException:
            interrupt(process)
            on_line("interrupted: waiting for packer to remove what it made")
            process.communicate()
            raise


@contextmanager
def _taking_interrupts() -> Iterator[None]:
    """Let a child that is started in here take interrupts.

    A shell starts what runs in its background (``nohup invoke bake-ami &``) with SIGINT ignored, and a child inherits
    that: it could not be asked to clean up.
    """
    in_main = threading.current_thread() is threading.main_thread()
    ignored = in_main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ask Packer to stop and to remove what it made; the whole group, as a terminal would."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)


@contextmanager
def _deadline(process: subprocess.Popen[str], seconds: float) -> Iterator[threading.Event]:
    """Interrupt the process when it takes longer, kill it when it does not end even then; the event tells of either."""
    passed = threading.Event()

    def end() -> None:
        passed.set()
        interrupt(process)

    timers = [threading.Timer(seconds, end), threading.Timer(seconds + CLEAN_UP_SECONDS, _kill, (process,))]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield passed
    finally:
        for timer in timers:
            timer.cancel()


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _lines(process: subprocess.Popen[str]) -> Iterator[Line]:
    """Yield what Packer says; text that is not in its own format (a panic) is passed on as if said to people."""
    if process.stdout is None:
        return
    for text in process.stdout:
        yield parse_line(text) or Line("", "ui", ("say", text.rstrip("\n")))


def _failure(message: str, last: deque[str]) -> Failed:
    said = "\n".join(f"    {line}" for line in last if line.strip())
    return Failed(f"{message}; packer's last lines:\n{said}", hint="packer removes what it had made: bake again")
