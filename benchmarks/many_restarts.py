"""What `invoke nightly-restart` costs against the number of nodes: calls of EC2 and of SSM, and seconds.

    .venv/bin/python benchmarks/many_restarts.py
    .venv/bin/python benchmarks/many_restarts.py --nodes 1,20,200 --parallel 20 --latency 0.05

The machines and EC2 are simulated. Each call and each exchange with a machine takes real time (`--latency`); the time
that services need passes at once. Ends with 1 when EC2 is asked more often for many nodes than for one.
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
from tests.simulated.process import Act, reached_through
from tests.simulated.world import Simulation
from transcoder.recipes import nightly


@dataclass
class Wire:
    """The way to everything: it takes time, and counts who was asked."""

    latency: float
    calls: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, act: Act, do: Callable[[], Any]) -> Any:
        """Let time pass, then do the act."""
        with self._lock:
            self.calls[act.what[0]] += not act.machine
            self.commands += bool(act.machine)
        time.sleep(self.latency)
        return do()


@dataclass(frozen=True)
class Row:
    """One night. ``ec2`` calls of EC2, ``locks`` calls of SSM, ``serial``: the seconds of all waits together."""

    nodes: int
    restarted: int
    ec2: int
    locks: int
    commands: int
    seconds: float
    serial: float


def measure(nodes: int, parallel: int, latency: float) -> Row:
    """Furnish a world, restart all of it once, and return what that took."""
    sim = Simulation()
    fleet.furnish(sim, nodes)
    wire = Wire(latency)
    begun = time.perf_counter()
    rows = nightly.run(reached_through(sim.world, wire), nightly.Request(parallel=parallel, keep_going=True))
    seconds = time.perf_counter() - begun
    locks = sum(count for name, count in wire.calls.items() if "lock" in name)
    calls = sum(wire.calls.values())
    done = sum(row.outcome == nightly.RESTARTED for row in rows)
    return Row(nodes, done, calls - locks, locks, wire.commands, seconds, (calls + wire.commands) * latency)


def main() -> int:
    """Measure, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", default="1,20,50,100,200", help="numbers of nodes, with commas")
    parser.add_argument("--parallel", type=int, default=20, help="nodes at the same time")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds for a call or a command")
    options = parser.parse_args()
    print(f"latency {options.latency} s, {options.parallel} nodes at once")
    head = (("nodes", 6), ("restarted", 11), ("EC2", 6), ("SSM", 6), ("commands", 10), ("seconds", 9), ("a node", 8))
    print("".join(f"{name:>{width}}" for name, width in (*head, ("one by one", 12))))
    rows = []
    for text in options.nodes.split(","):
        row = measure(int(text), options.parallel, options.latency)
        rows.append(row)
        print(
            f"{row.nodes:>6}{row.restarted:>11}{row.ec2:>6}{row.locks:>6}{row.commands:>10}{row.seconds:>9.2f}"
            f"{row.seconds / row.nodes:>8.2f}{row.serial:>12.2f}",
            flush=True,
        )
    constant = len({row.ec2 for row in rows}) == 1 and all(row.restarted == row.nodes for row in rows)
    print("EC2 is asked as often for many as for one" if constant else "the calls grow with the nodes, or one failed")
    return 0 if constant else 1


if __name__ == "__main__":
    sys.exit(main())
