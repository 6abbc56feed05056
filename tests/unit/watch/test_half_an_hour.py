"""Half an hour: nothing turns red on a healthy node, and one fault turns its own check red, after its time."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from watch import main
from watch.board import Board
from watch.loop import observe
from watch.model import NoAnswer

from tests.unit.watch.conftest import Rig
from tests.unit.watch.machine import ALARM, MOUNTS, NOW, OK, WARN
from tests.unit.watch.test_programs import write_counts
from transcoder.checks import BY_NAME

STEP = 30
Fault = Callable[[Rig], object]


def half_an_hour(rig: Rig, fault: Fault | None = None, begun: int = 300) -> dict[str, list[tuple[int, int]]]:
    """Look every `STEP` seconds, with a fault from ``begun`` on; return when each check showed which state."""
    machine, history = rig.machine, dict[str, list[tuple[int, int]]]()
    board = Board(machine.config["checks"], "docs/runbooks/")
    probes = main.probes_of(machine.config)
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        machine.config["livepeer"]["work_port"] = server.getsockname()[1]
        for second in range(0, 1801, STEP):
            machine.now = NOW + second
            rig.contracts.head = rig.contracts.block = 1000 + second // 15
            write_counts(rig, written=machine.now)
            rig.answers.results["eth_getBlockByNumber"] = {
                "number": hex(rig.contracts.head),
                "timestamp": hex(int(machine.now) - 5),
            }
            if fault and second >= begun:
                fault(rig)
            for name, probe in probes.items():
                items, failure = observe(probe, machine.node)
                board.take(name, items, second, failure)
            for item in board.shown(second, machine.now):
                subject = f"/{item.reading.subject}" if item.reading.subject else ""
                history.setdefault(item.reading.check + subject, []).append((second, item.level))
    return history


def red(history: dict[str, list[tuple[int, int]]]) -> dict[str, int]:
    """Return the checks that were ever red, and when they were first."""
    first = {}
    for name, states in history.items():
        bad = [second for second, level in states if level in (WARN, ALARM)]
        if bad:
            first[name] = bad[0]
    return first


def test_nothing_is_red_or_unknown_on_a_healthy_node(rig: Rig) -> None:
    history = half_an_hour(rig)

    assert len(history) >= 20
    assert {name: states for name, states in history.items() if {level for _, level in states} != {OK}} == {}


def stall(rig: Rig) -> None:
    rig.answers.results["eth_getBlockByNumber"] = {"number": hex(1020), "timestamp": hex(int(NOW) + 300)}


def full(rig: Rig) -> None:
    rig.machine.config["thresholds"] |= {"space_warn_percent": 100, "space_alarm_percent": 100}


FAULTS: dict[str, tuple[Fault, dict[str, int]]] = {
    "geth stalls": (stall, {"geth-head": 300, "geth-advancing": 300}),
    "geth loses its peers": (lambda rig: rig.answers.results.update(net_peerCount="0x0"), {"geth-peers": 0}),
    "geth is gone": (lambda rig: rig.machine.config["geth"].update(url="http://127.0.0.1:1"), {"geth-rpc": 0}),
    "livepeer is silent": (lambda rig: rig.answers.page("/status", ""), {"livepeer-api": 0}),
    "a unit ends": (lambda rig: rig.machine.units({"geth": ("failed", "failed")}), {"unit/geth": 0}),
    "the volume is gone": (
        lambda rig: rig.machine.write("/proc/1/mountinfo", MOUNTS.replace(" /d2 ", " /d3 ")),
        {"mount/geth": 0},
    ),
    "the file system is read-only": (
        lambda rig: rig.machine.write("/proc/1/mountinfo", MOUNTS.replace("/dev/sdc rw", "/dev/sdc ro")),
        {"mount/geth": 0},
    ),
    "the disk is full": (full, {"space/geth": 0, "space/livepeer": 0, "space/root": 0}),
    "the clock is off": (lambda rig: rig.machine.tracking(offset=40.0), {"clock": 0}),
    "the account is another one": (lambda rig: rig.answers.page("/ethAddr", "0x" + "ab" * 20), {"livepeer-address": 0}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_turns_its_own_checks_red_after_their_time_and_no_other(rig: Rig, name: str) -> None:
    fault, delays = FAULTS[name]

    found = red(half_an_hour(rig, fault))

    assert set(found) == set(delays)
    for check, delay in delays.items():
        wait = BY_NAME[check.partition("/")[0]].warn
        assert 300 + delay + wait <= found[check] <= 300 + delay + wait + 2 * STEP, check


def test_a_probe_without_an_answer_turns_nothing_red(rig: Rig) -> None:
    def deaf(rig: Rig) -> None:
        rig.machine.printed["systemctl"] = rig.machine.printed["chronyc"] = NoAnswer("nobody answers")

    assert red(half_an_hour(rig, deaf)) == {}
