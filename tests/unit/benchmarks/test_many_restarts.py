"""What the benchmark of a night counts, with few nodes and no latency worth naming."""

from __future__ import annotations

from benchmarks.many_restarts import measure


def test_a_night_is_measured_with_every_node_restarted_and_three_calls_of_ec2() -> None:
    few, more = (measure(nodes, parallel=2, latency=0.0, speed=20.0, stop=5.0) for nodes in (1, 4))
    assert (few.restarted, more.restarted) == (1, 4)
    assert few.ec2 == more.ec2 == 3
    assert more.locks == 4 * few.locks
    assert more.night > 2 * 5.0
