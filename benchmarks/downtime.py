"""How long the node was down: asked from outside at its Elastic IP, and on the machine for livepeer's account.

The same for any command that moves a node, so that none is measured by its own words.
"""

from __future__ import annotations

import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab import commands
from lab.rehearsal.watch import INTERVAL, Downtime
from transcoder.catalog.livepeer import OLDEST
from transcoder.catalog.livepeer_api import api
from transcoder.errors import Failed
from transcoder.settings import Settings

DEFINITION = (
    "from the last good answer before (a TCP connection from outside to livepeer's port at the Elastic IP, and "
    "libp2p's banner) to the first good answer after at which livepeer on the target answers as the node's account; "
    "other times without a good answer are added"
)
READY_BUDGET = 30.0
PROGRAM = f"""\
import http.client, select, sys
said = None
while not select.select([sys.stdin], [], [], {INTERVAL})[0]:
    connection = http.client.HTTPConnection("127.0.0.1", 8935, timeout=2)
    try:
        connection.request("GET", "{api(OLDEST).address}")
        answer = connection.getresponse()
        now = answer.read().decode("utf-8", "replace").strip() if answer.status == 200 else ""
    except (OSError, http.client.HTTPException):
        now = ""
    finally:
        connection.close()
    if now != said:
        said = now
        print(now.replace("\\n", " "), flush=True)
"""
"""Runs on the machine (Python 3.6) until its standard input ends: a line whenever livepeer answers something else."""


@dataclass(frozen=True)
class Said:
    """From ``at`` on (``time.monotonic``) livepeer answered as this account; empty: not at all."""

    at: float
    account: str


@dataclass(frozen=True)
class Down:
    """When the node was down (``time.monotonic``), and for how many seconds in all."""

    began: float
    ended: float
    seconds: float


def node_down(outside: Downtime, inside: Sequence[Said], account: str) -> Down:
    """Return the downtime of the node; see `DEFINITION`. The longest outage is the move's own.

    :param inside: what livepeer on the target said, in order.
    :raises Failed: when the node was never away, or livepeer never answered as its account.
    """
    if not outside.outages:
        raise Failed(f"all {outside.asked} answers from outside were good: the node cannot have moved")
    own = max(outside.outages, key=lambda outage: outage.seconds)
    healthy = next((said.at for said in inside if said.at >= own.began and _same(said.account, account)), None)
    if healthy is None:
        others = ", ".join(dict.fromkeys(said.account for said in inside if said.account)) or "nothing"
        raise Failed(f"livepeer on the target never answered as {account}, but as {others}")
    ended = max(own.ended, healthy)
    spans = [(outage.began, outage.ended) for outage in outside.outages]
    return Down(own.began, ended, covered([*spans, (own.began, ended)]))


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return how many seconds lie in at least one of these spans."""
    total, reached = 0.0, float("-inf")
    for began, ended in sorted(spans):
        total += max(0.0, ended - max(began, reached))
        reached = max(reached, ended)
    return total


def _same(one: str, other: str) -> bool:
    return one.strip('"').lower() == other.lower()


class AccountWatch:
    """Asks livepeer on one machine for its account, in that machine, for as long as a ``with`` block lasts.

    :param start: starts the program in the machine; its lines are the answers.
    """

    def __init__(self, start: Callable[[], subprocess.Popen[str]]) -> None:
        self._start = start
        self._said: list[Said] = []
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._read, name="account", daemon=True)

    @property
    def said(self) -> tuple[Said, ...]:
        """All answers so far that differ from the one before."""
        with self._changed:
            return tuple(self._said)

    def __enter__(self) -> AccountWatch:
        self._process = self._start()
        self._thread.start()
        try:
            self.wait(bool, READY_BUDGET, "the machine does not say whether its livepeer answers")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(READY_BUDGET)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()

    def wait_for(self, account: str, budget: float) -> None:
        """Wait until the last answer is this account.

        :raises Failed: when it is not after ``budget`` seconds.
        """
        problem = f"livepeer on the target does not answer as {account}"
        self.wait(lambda said: bool(said) and _same(said[-1].account, account), budget, problem)

    def wait(self, met: Callable[[Sequence[Said]], bool], budget: float, problem: str) -> None:
        """Wait until the answers are as wanted.

        :raises Failed: saying ``problem``, when they are not after ``budget`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: met(self._said), budget):
                raise Failed(f"{problem}: not after {budget:.0f} s")

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101 - started before
        for line in self._process.stdout:
            with self._changed:
                self._said.append(Said(time.monotonic(), line.strip()))
                self._changed.notify_all()


def asking(settings: Settings, instance_id: str) -> Callable[[], subprocess.Popen[str]]:
    """Return what starts `PROGRAM` on a machine of the lab, by the lab's own way in: no security group is between."""
    argv = commands.shell(settings, instance_id, shlex.join(("python3", "-u", "-c", PROGRAM)))
    pipe = subprocess.PIPE
    return lambda: subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
