"""The benchmark of many statuses measures what it says."""

from __future__ import annotations

from benchmarks.many_statuses import measure


def test_many_nodes_need_as_many_calls_as_one_and_less_time_than_one_after_the_other() -> None:
    one, many = measure(1, 0, 0.002, 0.05), measure(12, 3, 0.002, 0.05)
    assert one.calls == many.calls == 4
    assert (many.nodes, many.healthy) == (12, 9)
    assert many.seconds < many.serial
