"""What `invoke nightly-restart` costs against the number of nodes: calls of EC2 and SSM, and the length of the night.

    .venv/bin/python benchmarks/many_restarts.py
    .venv/bin/python benchmarks/many_restarts.py --nodes 1,20,200 --parallel 20 --latency 0.05 --speed 5

The machines and EC2 are simulated, and their time passes `--speed` times as fast as ours: waits that lie side by side
overlap, and those that do not add up. Each call and each exchange with a machine takes `--latency` of that time, geth
needs `--stop` to stop. Ends with 1 when EC2 is asked more often for many nodes than for one, or one is not restarted.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.simulated import fleet
from tests.simulated.clock import BITE, SimulatedClock
from tests.simulated.process import Act, reached_through
from tests.simulated.world import Simulation
from transcoder.layout import LIVEPEER
from transcoder.recipes import nightly


@dataclass
class Wire:
    """The way to everything: it takes time, and counts who was asked."""

    sleep: Callable[[float], None]
    latency: float
    calls: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, act: Act, do: Callable[[], Any]) -> Any:
        """Let time pass, then do the act."""
        with self._lock:
            self.calls[act.what[0]] += not act.machine
            self.commands += bool(act.machine)
        self.sleep(self.latency)
        return do()


class Pace:
    """Lets the time of a simulated world pass by itself, ``speed`` times as fast as ours; who sleeps waits for it."""

    def __init__(self, clock: SimulatedClock, speed: float) -> None:
        self._clock, self._speed = clock, speed
        self._passed, self._over = threading.Condition(), threading.Event()

    def sleep(self, seconds: float) -> None:
        """Wait until this much of the world's time has passed; what is shorter than a step of it is waited for here."""
        if seconds < BITE:
            time.sleep(seconds / self._speed)
            return
        until = self._clock.monotonic() + seconds
        with self._passed:
            self._passed.wait_for(lambda: self._clock.monotonic() >= until)

    def __enter__(self) -> Pace:
        self._clock.sleeper = self.sleep
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._clock.sleeper = None

    def _run(self) -> None:
        following = time.perf_counter()
        while not self._over.wait(max(0.0, following - time.perf_counter())):
            self._clock.advance(BITE)
            with self._passed:
                self._passed.notify_all()
            following = max(following + BITE / self._speed, time.perf_counter())


@dataclass(frozen=True)
class Row:
    """One night. ``locks``: calls of SSM; ``night`` in seconds of the world's time, ``seconds`` of ours."""

    nodes: int
    restarted: int
    ec2: int
    locks: int
    commands: int
    night: float
    seconds: float


def measure(nodes: int, parallel: int, latency: float, speed: float, stop: float) -> Row:
    """Furnish a world, restart all of it once, and return what that took."""
    sim = Simulation()
    for name in fleet.furnish(sim, nodes):
        sim.machine(name).faults.geth_stop_takes = stop
        sim.machine(name).faults.full = {LIVEPEER.mount}  # nobody looks at what these livepeers write
    begun, began = time.perf_counter(), sim.clock.monotonic()
    with Pace(sim.clock, speed) as pace:
        wire = Wire(pace.sleep, latency)
        rows = nightly.run(reached_through(sim.world, wire), nightly.Request(parallel=parallel, keep_going=True))
    locks = sum(count for name, count in wire.calls.items() if "lock" in name)
    done = sum(row.outcome == nightly.RESTARTED for row in rows)
    ec2, night = sum(wire.calls.values()) - locks, sim.clock.monotonic() - began
    return Row(nodes, done, ec2, locks, wire.commands, night, time.perf_counter() - begun)


def main() -> int:
    """Measure, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", default="1,20,50,100,200", help="numbers of nodes, with commas")
    parser.add_argument("--parallel", type=int, default=20, help="nodes at the same time")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds for a call or a command")
    parser.add_argument("--stop", type=float, default=10.0, help="seconds that geth needs to stop")
    parser.add_argument("--speed", type=float, default=5.0, help="how much faster the world's time passes than ours")
    options = parser.parse_args()
    print(f"latency {options.latency} s, geth stops in {options.stop} s, {options.parallel} nodes at once")
    head = (("nodes", 6), ("restarted", 11), ("EC2", 6), ("SSM", 6), ("commands", 10), ("night", 8), ("a node", 8))
    print("".join(f"{name:>{width}}" for name, width in (*head, ("to one", 8), ("measured in", 13))))
    rows: list[Row] = []
    for text in options.nodes.split(","):
        row = measure(int(text), options.parallel, options.latency, options.speed, options.stop)
        rows.append(row)
        print(
            f"{row.nodes:>6}{row.restarted:>11}{row.ec2:>6}{row.locks:>6}{row.commands:>10}{row.night:>8.0f}"
            f"{row.night / row.nodes:>8.2f}{row.night / rows[0].night:>8.1f}{row.seconds:>13.1f}",
            flush=True,
        )
    constant = len({row.ec2 for row in rows}) == 1 and all(row.restarted == row.nodes for row in rows)
    print("EC2 is asked as often for many as for one" if constant else "the calls grow with the nodes, or one failed")
    return 0 if constant else 1


if __name__ == "__main__":
    sys.exit(main())
