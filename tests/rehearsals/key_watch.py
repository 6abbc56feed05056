"""What the rehearsals of keys look with: eyes inside a machine, and at the operator's own processes and files."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import commands
from lab.matrix.watch import console
from tests.rehearsals.rig import BIN, Ran, Rig
from transcoder.settings import ROOT

HERE = Path(__file__).parent
KEYSTORE_EYE, EXEC_EYE = HERE / "guest" / "keystore_eye.py", HERE / "guest" / "exec_eye.py"
LEAKS = HERE / "guest" / "leaks.py"
AUDITED = HERE / "audited"
BUDGET = 300.0
"""Seconds for a machine to say what is waited for: it has a part of one processor."""
LOOK_SECONDS = 0.02


class Eye:
    """A program inside a machine that says what it sees, a line of JSON each time. See `eye`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[dict[str, Any]] = []
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._more:
                self._lines.append(json.loads(line))
                self._more.notify_all()
        with self._more:
            self._lines.append({"ended": True})
            self._more.notify_all()

    def watches(self) -> bool:
        """Wait until it looks; False when it has ended before."""
        with self._more:
            return self._more.wait_for(lambda: bool(self._lines), BUDGET) and "watching" in self._lines.pop(0)

    def until(self, **wanted: object) -> list[dict[str, Any]]:
        """Wait until it has seen this, and return all that it has seen before."""

        def at() -> int | None:
            return next((n for n, line in enumerate(self._lines) if wanted.items() <= line.items()), None)

        with self._more:
            self._more.wait_for(lambda: at() is not None or {"ended": True} in self._lines, BUDGET)
            number, seen = at(), list(self._lines)
        assert number is not None, f"never seen: {wanted}; seen: {seen[-20:]}"
        return seen[:number]

    def await_event(self, event: str, path: str, *, hidden: bool) -> None:
        """Wait until this happens to a file, or to one with a hidden name of it."""
        directory, _, name = path.rpartition("/")
        begin = f"{directory}/.{name}." if hidden else path

        def happened(line: dict[str, Any]) -> bool:
            return line.get("event") == event and str(line.get("path")).startswith(begin)

        with self._more:
            assert self._more.wait_for(lambda: any(happened(line) for line in self._lines), BUDGET), self._lines[-20:]

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._thread.join()
        with self._process:  # closes its pipes
            self._process.wait()


@contextmanager
def eye(rig: Rig, name: str, program: Path, call: str = "") -> Iterator[Eye]:
    """Let a program look inside a machine, reached past the operator's own connections.

    :param call: what is run at its end. It goes through standard input, as the program does: no argument tells it.
    """
    text = program.read_text(encoding="utf-8") + f"\n{call}\n"
    made = rig.world.wait(f"{program.name} looks", lambda: _opened(rig, name, text), BUDGET)
    try:
        yield made
    finally:
        made.close()


def _opened(rig: Rig, name: str, text: str) -> Eye | None:
    """Return an eye that looks; None when it did not come so far, as on a machine too busy to let anybody in."""
    command, pipe = _console(rig, name, "python3", "-u", "-"), subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    made = Eye(process)
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin:
        process.stdin.write(text)
    if made.watches():
        return made
    made.close()
    return None


def on_console(rig: Rig, name: str, *command: str) -> None:
    """Run a command inside a machine in a session of its own, not in one that has been open for long."""
    line = _console(rig, name, *command)

    def done() -> bool:
        return subprocess.run(line, stdin=subprocess.DEVNULL, check=False, timeout=BUDGET).returncode == 0

    rig.world.wait(" ".join(command), done, BUDGET)


def _console(rig: Rig, name: str, *command: str) -> list[str]:
    configuration = commands.configuration_of(rig.settings)
    return console(configuration, rig.settings.ssh.user, rig.instance(name).private_ip, *command)


def looking_for(canaries: Sequence[bytes]) -> str:
    """Return the call that makes `EXEC_EYE` look for these."""
    return f"watch({[base64.b64encode(canary).decode() for canary in canaries]})"


@dataclass
class Processes:
    """Looks at the command lines and environments of all processes on this computer, again and again."""

    canaries: Sequence[bytes]
    looks: int = 0
    of_operator: int = 0
    """Looks at which an operator's process was met."""
    leaks: list[str] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)
    _closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Processes:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            self.looks += 1
            met = False
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    met = self._look(process) or met
            self.of_operator += met

    def _look(self, process: Path) -> bool:
        """Look at a process; tell whether it is an operator's."""
        for name in ("cmdline", "environ"):
            try:
                text = (process / name).read_bytes()
            except OSError:  # it has ended
                continue
            self.leaks += [f"{process.name} {name}" for canary in self.canaries if canary in text]
        return int(process.name) in self.sessions


@dataclass(frozen=True)
class Desk:
    """An operator's desk: a home of his own, and a note of each file that his programs open to write."""

    rig: Rig
    directory: Path
    watch: Processes

    @property
    def notes(self) -> Path:
        """The file with what was opened and started."""
        return self.directory / "audit.jsonl"

    def type(self, program: str, task: str, *options: str, fed: Sequence[bytes] = (), expect: int = 0) -> Ran:
        """Type a command line. ``fed``: what the descriptors read that ``{0}``, ``{1}`` in the options stand for."""
        pipes = [_pipe(content) for content in fed]
        numbers = [str(number) for number in pipes]
        argv = [str(BIN / program), task, "--env", str(self.rig.environment), *(o.format(*numbers) for o in options)]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            argv, cwd=ROOT, env=self._environment(), pass_fds=pipes, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
        ) as process:
            self.watch.sessions.add(process.pid)
            for number in pipes:
                os.close(number)
            out, err = process.communicate()
        ran = Ran(process.returncode, out.decode(), err.decode())
        assert ran.exit_code == expect, f"{' '.join(argv)} ended with {ran.exit_code}:\n{ran.said[-6000:]}"
        return ran

    def _environment(self) -> dict[str, str]:
        own = str(self.directory)
        python = {"PYTHONPATH": str(AUDITED), "PYTHONDONTWRITEBYTECODE": "1"}
        return {"PATH": os.environ["PATH"], "HOME": own, "TMPDIR": own, "REHEARSAL_AUDIT": str(self.notes), **python}

    def noted(self) -> tuple[frozenset[Path], list[Any]]:
        """Return the files that were opened to write, and the programs that were started."""
        lines = [json.loads(line) for line in self.notes.read_text(encoding="utf-8").splitlines()]
        opened = frozenset(Path(ROOT, what) for event, what in lines if event == "open")
        return opened, [what for event, what in lines if event != "open"]


def _pipe(content: bytes) -> int:
    """Return a descriptor that reads this and ends."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading
