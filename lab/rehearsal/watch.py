"""Is the node there? Asked from outside, at its Elastic IP, all the time that it moves."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transcoder.errors import Failed

PORT = 15000
"""livepeer's libp2p port (go-livepeer 0.2.4, ``-p``)."""
BANNER = b"\x13/multistream/1.0.0\n"
"""What a libp2p node says first: the length of the line, then the protocol's name (multistream-select)."""
INTERVAL = 0.05
TIMEOUT = 0.5
SETTLED = 10
"""As many good answers in a row as tell that a node is there (again)."""


@dataclass(frozen=True)
class Answer:
    """An answer, when it came (``time.monotonic``), and what was wrong with it: nothing when it was good."""

    at: float
    problem: str = ""


@dataclass(frozen=True)
class Outage:
    """From the last good answer before to the first good one after; ``problems`` in the order of their first time."""

    began: float
    ended: float
    problems: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.ended - self.began


@dataclass(frozen=True)
class Downtime:
    """All outages of a watch, added up. ``asked`` and ``good`` count the answers."""

    outages: tuple[Outage, ...]
    asked: int
    good: int
    interval: float = INTERVAL
    timeout: float = TIMEOUT

    @property
    def seconds(self) -> float:
        """How long the node was down."""
        return sum(outage.seconds for outage in self.outages)

    def describe(self) -> dict[str, Any]:
        """Return it as JSON-ready data, the outages relative to the first one's begin."""
        zero = self.outages[0].began if self.outages else 0.0
        outages = [
            {**asdict(o), "began": round(o.began - zero, 3), "ended": round(o.ended - zero, 3)} for o in self.outages
        ]
        return {**asdict(self), "outages": outages, "seconds": round(self.seconds, 3)}


def measure(answers: Sequence[Answer]) -> Downtime:
    """Return the downtime that the answers show.

    :raises Failed: when the node did not answer at the begin or at the end: then the downtime has no bounds.
    """
    good = [answer for answer in answers if not answer.problem]
    if not good or answers[0].problem or answers[-1].problem:
        raise Failed("the node was not answering at both ends of the watch: its downtime cannot be told")
    outages: list[Outage] = []
    problems: dict[str, None] = {}
    last = answers[0]
    for answer in answers:
        if answer.problem:
            problems[answer.problem] = None
            continue
        if problems:
            outages.append(Outage(last.at, answer.at, tuple(problems)))
            problems = {}
        last = answer
    return Downtime(tuple(outages), len(answers), len(good))


def probe(address: str, port: int, timeout: float = TIMEOUT) -> str:
    """Ask once; return what is wrong, nothing when libp2p answers.

    :param timeout: seconds for the connection and for the banner together.
    """
    deadline = time.monotonic() + timeout
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            said = b""
            while len(said) < len(BANNER):
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                part = connection.recv(len(BANNER) - len(said))
                if not part:
                    return "closed without a banner"
                said += part
    except TimeoutError:
        return f"no answer in {timeout:g} s"
    except OSError as error:
        return str(error.strerror or error)
    return "" if said == BANNER else f"another banner: {said!r}"


class Watcher:
    """Asks in a thread for as long as a ``with`` block lasts.

    :param ask: returns what is wrong with the node, nothing when it answers.
    """

    def __init__(self, ask: Callable[[], str], interval: float = INTERVAL) -> None:
        self._ask, self._interval = ask, interval
        self._answers: list[Answer] = []
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="downtime", daemon=True)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """All answers so far."""
        with self._changed:
            return tuple(self._answers)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def settle(self, budget: float, count: int = SETTLED) -> None:
        """Wait until the node has given ``count`` good answers in a row, from now on.

        :raises Failed: when it has not after ``budget`` seconds.
        """
        with self._changed:
            start = len(self._answers)

            def settled() -> bool:
                return len(self._answers) - start >= count and not any(a.problem for a in self._answers[-count:])

            if not self._changed.wait_for(settled, budget):
                last = self._answers[-1].problem if self._answers else "not asked yet"
                raise Failed(f"the node does not answer from outside after {budget:.0f} s: {last or 'not steadily'}")

    def downtime(self) -> Downtime:
        """Return what was seen, from the first good answer on; see `measure`."""
        answers = self.answers
        first = next((i for i, answer in enumerate(answers) if not answer.problem), 0)
        return measure(answers[first:] or (Answer(0.0, "not asked"),))

    def _watch(self) -> None:
        while not self._ending.is_set():
            began = time.monotonic()
            problem = self._ask()
            with self._changed:
                self._answers.append(Answer(time.monotonic(), problem))
                self._changed.notify_all()
            self._ending.wait(max(0.0, began + self._interval - time.monotonic()))
