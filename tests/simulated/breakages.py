"""Faults as verbs with inverses, and the door at which one of them strikes in the middle of a process's work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.simulated.cut import ProcessDied
from tests.simulated.faults import no_answer
from tests.simulated.machine import Machine
from tests.simulated.process import Act
from tests.simulated.world import NODE, Simulation
from transcoder.errors import Unreachable
from transcoder.layout import LIVEPEER, VOLUMES

Verb = Callable[[Simulation], None]
REBOOT = 2.0
"""Seconds for which a machine that reboots has no power."""


@dataclass(frozen=True)
class Fault:
    """Something that breaks in the world, and how it is set right again."""

    strike: Verb
    heal: Verb


def _machine(sim: Simulation, source: bool) -> Machine | None:
    """Return the machine that the node leaves, or another one, when there is one."""
    found = [i for i in sim.cloud.machines.values() if (i.name == NODE) == source]
    return sim.machines[found[0].id] if found else None


def _on_machine(source: bool, **values: Any) -> Fault:
    """Set fields of a machine's faults, and set them back."""

    def strike(sim: Simulation) -> None:
        machine = _machine(sim, source)
        for name, value in values.items():
            if machine is not None:
                setattr(machine.faults, name, value)

    def heal(sim: Simulation) -> None:
        machine = _machine(sim, source)
        if machine is not None:
            machine.faults = replace(machine.faults, **{name: type(value)() for name, value in values.items()})

    return Fault(strike, heal)


def _reboot(source: bool) -> Fault:
    def strike(sim: Simulation) -> None:
        machine = _machine(sim, source)
        if machine is not None and machine.has_power():
            machine.faults.powered_off = True
            machine.catch_up()
            sim.cloud.later(REBOOT, lambda: setattr(machine.faults, "powered_off", False))

    return Fault(strike, lambda _sim: None)


def _throttle(sim: Simulation) -> None:
    sim.cloud.faults.count_from_here()
    sim.cloud.faults.throttled_from = 0


def _unthrottle(sim: Simulation) -> None:
    sim.cloud.faults.throttled_from = None


def _lag(seconds: float, *pattern: bool) -> Fault:
    def strike(sim: Simulation) -> None:
        sim.cloud.faults.lag, sim.cloud.faults.flapping = seconds, pattern

    def heal(sim: Simulation) -> None:
        sim.cloud.faults.lag = 0.0

    return Fault(strike, heal)


def _stick_attaching(sim: Simulation) -> None:
    sim.cloud.faults.stuck_devices |= {"/dev/sdg"}


def _unstick_attaching(sim: Simulation) -> None:
    sim.cloud.faults.stuck_devices.clear()


def _stick_detaching(sim: Simulation) -> None:
    sim.cloud.faults.stuck_detaching |= {sim.of(data).id for data in sim.parts}


def _unstick_detaching(sim: Simulation) -> None:
    sim.cloud.faults.stuck_detaching.clear()


def _lose_address(sim: Simulation) -> None:
    for address in list(sim.cloud.elastic.values()):
        sim.cloud.elastic[address.allocation_id] = replace(address, instance_id="", association_id="")


def _hang(sim: Simulation) -> None:
    """The source neither answers nor ends when it is told to."""
    FAULTS["partition_source"].strike(sim)
    sim.cloud.faults.hanging |= {i.id for i in sim.cloud.machines.values() if i.name == NODE}


def _unhang(sim: Simulation) -> None:
    FAULTS["partition_source"].heal(sim)
    sim.cloud.faults.hanging.clear()


def _nothing(_sim: Simulation) -> None:
    """No inverse: the world rights itself, or the recipe does."""


def _corrupt(sim: Simulation) -> None:
    """Corrupt the livepeer volume where that is possible unnoticed: while no machine has it mounted."""
    disk = sim.disk(LIVEPEER)
    disk.damaged = not disk.open


def _repair(sim: Simulation) -> None:
    """Do what the operator is told to: ``e2fsck -y``, on the volume and on a copy that was made of it since."""
    for disk in sim.cloud.disks.values():
        disk.damaged = False


FAULTS: dict[str, Fault] = {
    "power_off_source": _on_machine(True, powered_off=True),
    "power_off_target": _on_machine(False, powered_off=True),
    "reboot_source": _reboot(True),
    "reboot_target": _reboot(False),
    "partition_source": _on_machine(True, unreachable=True),
    "partition_target": _on_machine(False, unreachable=True),
    "hanging_source": Fault(_hang, _unhang),
    "throttle": Fault(_throttle, _unthrottle),
    "lagging_reads": _lag(3.0, True),
    "flapping_reads": _lag(3.0, True, False, False),
    "stuck_attaching": Fault(_stick_attaching, _unstick_attaching),
    "stuck_detaching": Fault(_stick_detaching, _unstick_detaching),
    "lost_elastic_ip": Fault(_lose_address, _nothing),
    "full_disk": _on_machine(True, full={data.mount for data in VOLUMES}),
    "corrupt_filesystem": Fault(_corrupt, _repair),
    "clock_skew": _on_machine(False, clock_offset=90.0),
    "slow_stop": _on_machine(True, geth_stop_takes=170.0),
    "rpc_away": _on_machine(False, rpc_is_away=True),
    "no_peers": _on_machine(False, geth_finds_no_peers=True),
}
"""What can break in the world, by name."""
OF_GETH, OF_RPC = ("no_peers", "slow_stop"), ("rpc_away",)
"""What means nothing to a node without a geth, and to one with it."""

LINES = ("killed", "no_answer")
"""What can happen to the act itself: the process dies, or the act fails with no answer; before or after its effect."""


@dataclass(frozen=True)
class Break:
    """``fault`` strikes at the ``at``-th act of a process (0 is the first), before or after that act's effect.

    ``changes``: only acts that change something count. ``heals``: it is set right before the next run.
    """

    fault: str
    at: int
    after: bool = False
    changes: bool = True
    heals: bool = True


class Breaking:
    """The door of a process in whose work something breaks."""

    def __init__(self, sim: Simulation, what: Break | None) -> None:
        self._sim, self._what = sim, what
        self._counting = threading.Lock()
        self._acts = 0
        self.dead = False
        self.hit: Act | None = None

    def through(self, act: Act, do: Callable[[], Any]) -> Any:
        """Do it, with what breaks before or after it."""
        if self.dead:
            raise ProcessDied
        what = self._what
        if what is None or not self._is_hit(act, what):
            return do()
        self.hit = act
        if not what.after:
            self._strike(act, what.fault)
        answer = do()
        if what.after:
            self._strike(act, what.fault)
        return answer

    def _is_hit(self, act: Act, what: Break) -> bool:
        if what.changes and not act.changes_something:
            return False
        with self._counting:
            number, self._acts = self._acts, self._acts + 1
        return number == what.at

    def _strike(self, act: Act, fault: str) -> None:
        if fault == "killed":
            self.dead = True
            raise ProcessDied
        if fault == "no_answer":
            raise Unreachable(f"{act.machine}: the connection broke") if act.machine else no_answer()
        with self._sim.lock:
            FAULTS[fault].strike(self._sim)


def heal(sim: Simulation) -> None:
    """Set everything right again."""
    sim.cloud.faults.heal()
    for fault in FAULTS.values():
        fault.heal(sim)
