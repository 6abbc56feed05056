"""Reads of EC2 lag behind what was done, and flap: one answers with the new state, the next with an old one again.

EC2 is eventually consistent, and successive reads may come from different places (EC2 API reference, "Eventual
consistency"; kubernetes/kubernetes#77389 is what came of not expecting it). An old answer is one that was true so many
seconds ago, as moto would have given it then; what happened before the fault was switched on is not known to it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab.cloud import Cloud
from lab.faults.fault import Effect, Options
from lab.faults.options import Option
from lab.faults.past import BackendState, History, shown, take
from lab.faults.seams import Asked
from lab.faults.site import Site

SUMMARY = "reads of instances, volumes and addresses answer as it was some seconds ago, and flap"
READS = frozenset({"DescribeInstances", "DescribeInstanceStatus", "DescribeVolumes", "DescribeAddresses"})
OPTIONS = (
    Option("seconds", "how old an old answer is", "number", 2.0, least=0.1, most=300),
    Option("share", "share of the reads that are old, 0 to 1", "number", 0.5, least=0, most=1),
    Option("seed", "of the dice: the same one makes the same reads old", "integer", 1),
)
SAMPLE_SECONDS = 0.05


class Lag:
    """Keeps what was, and decides for every read whether it shows that."""

    def __init__(self, cloud: Cloud, seconds: float, share: float, seed: int) -> None:
        self._cloud, self._seconds, self._share = cloud, seconds, share
        self._history = History[tuple[BackendState, ...]](seconds)
        self._chance = random.Random(seed)  # noqa: S311 - which reads are old is no secret
        self.ended = threading.Event()

    def keep(self) -> None:
        """Keep how it is now."""
        with self._cloud.lock:
            self._history.add(time.monotonic(), tuple(take(backend) for backend in self._cloud.backends))

    def run(self) -> None:
        """Keep it again and again, as a job of the lab."""
        while not self.ended.is_set() and self._cloud.wait(SAMPLE_SECONDS):
            self.keep()

    @contextmanager
    def __call__(self, asked: Asked) -> Iterator[None]:
        """Answer a request within this; the caller holds the lock."""
        if asked.service != "ec2" or asked.action not in READS or self._chance.random() >= self._share:
            yield
            return
        with shown(self._history.at(time.monotonic() - self._seconds)):
            yield


def on(site: Site, options: Options) -> Effect:
    """Begin to keep what is, and to show it later."""
    seconds, share = float(options["seconds"]), float(options["share"])
    lag = Lag(site.cloud, seconds, share, int(options["seed"]))
    lag.keep()
    site.cloud.job("lagging reads", lag.run)
    site.seams.past.put(lag, lag)
    return Effect(f"{share:.0%} of the reads answer as it was {seconds:g} s ago", lag)


def off(site: Site, _options: Options, memory: Any) -> str:
    """Answer with what is."""
    site.seams.past.take(memory)
    memory.ended.set()
    return "reads answer as it is"
