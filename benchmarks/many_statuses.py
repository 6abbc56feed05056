"""What `fab status` costs against the number of nodes: calls of EC2 and SSM, and seconds.

    .venv/bin/python benchmarks/many_statuses.py
    .venv/bin/python benchmarks/many_statuses.py --nodes 1,50,200 --latency 0.05 --silent 10

The machines and EC2 are simulated. Each call of EC2 and each exchange with a machine takes real time (`--latency`), a
silent machine its timeout (`--timeout`), so the seconds are those of the waits and of our own code, without the key
exchange of a real SSH connection. Ends with 1 when many nodes need more calls than one.
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
from transcoder.errors import Unreachable
from transcoder.parallel import AT_ONCE
from transcoder.recipes import status


@dataclass
class Wire:
    """The way to everything: it takes time, and counts who was asked. ``silent`` machines never answer."""

    latency: float
    timeout: float
    silent: frozenset[str] = frozenset()
    calls: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    waited: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, act: Act, do: Callable[[], Any]) -> Any:
        """Let time pass, then do the act."""
        silent = act.machine in self.silent
        seconds = self.timeout if silent else self.latency
        with self._lock:
            self.calls[act.what[0]] += not act.machine
            self.commands += bool(act.machine)
            self.waited += seconds
        time.sleep(seconds)
        if silent:
            raise Unreachable(f"{act.machine}: no answer over SSH: timed out")
        return do()


@dataclass(frozen=True)
class Row:
    """One look. ``serial``: the seconds that all waits have together."""

    nodes: int
    silent: int
    healthy: int
    calls: int
    commands: int
    seconds: float
    serial: float


def measure(nodes: int, silent: int, latency: float, timeout: float) -> Row:
    """Furnish a world, look at all of it once, and return what that took."""
    sim = Simulation()
    names = fleet.furnish(sim, nodes)
    wire = Wire(latency, timeout, frozenset(names[:silent]))
    begun = time.perf_counter()
    statuses, _ = status.survey(reached_through(sim.world, wire))
    seconds = time.perf_counter() - begun
    healthy = sum(not each.problems for each in statuses)
    calls = sum(wire.calls.values())
    return Row(nodes, silent, healthy, calls, wire.commands, seconds, wire.waited)


def main() -> int:
    """Measure, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", default="1,10,50,100,200", help="numbers of nodes, with commas")
    parser.add_argument("--silent", type=int, default=10, help="machines that do not answer, in a second row each")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds for a call or a command")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds that a silent machine costs")
    options = parser.parse_args()
    counts = [int(text) for text in options.nodes.split(",")]
    print(f"latency {options.latency} s, timeout {options.timeout} s, {AT_ONCE} machines at once")
    print(f"{'nodes':>6}{'silent':>8}{'healthy':>9}{'EC2+SSM':>9}{'commands':>10}{'seconds':>9}{'one by one':>12}")
    rows = []
    for nodes in counts:
        for silent in dict.fromkeys((0, min(options.silent, nodes - 1))):
            row = measure(nodes, silent, options.latency, options.timeout)
            rows.append(row)
            print(
                f"{row.nodes:>6}{row.silent:>8}{row.healthy:>9}{row.calls:>9}{row.commands:>10}"
                f"{row.seconds:>9.2f}{row.serial:>12.2f}",
                flush=True,
            )
    constant = len({row.calls for row in rows}) == 1
    print("as many calls for many as for one" if constant else "the calls grow with the nodes")
    return 0 if constant else 1


if __name__ == "__main__":
    sys.exit(main())
