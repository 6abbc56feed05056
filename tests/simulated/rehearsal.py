"""One migration that breaks and is typed again: what the tests with faults do in a simulated world, and check in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulated.breakages import REBOOT, Break, Breaking, heal
from tests.simulated.cut import ProcessDied
from tests.simulated.ec2 import ACTIONS
from tests.simulated.lanes import Lanes, Order, ordered
from tests.simulated.machine import BOOTED_AFTER
from tests.simulated.process import Act, reached_through
from tests.simulated.world import NODE, OTHER_ZONE, ZONE, Console, Simulation, settings, without_geth
from transcoder import operate, tags
from transcoder.errors import Refused, TranscoderError
from transcoder.layout import LIVEPEER
from transcoder.operate import OnError
from transcoder.recipes import migrate, status

TARGET = "tc001-b"
DEAD_PROCESS = 2**22 + 1
"""Beyond the kernel's largest process id."""

Ending = TranscoderError | ProcessDied | None
"""How a run ended: None is well."""


@dataclass(frozen=True)
class Scenario:
    """What one example does: in which world, with which order of the lanes, what breaks in which run."""

    to: str = TARGET
    nitro: bool = True
    order: Order = field(default_factory=Order)
    breaks: tuple[Break, ...] = ()
    pause: float = 0.0
    """Seconds between two runs."""
    elsewhere: bool = False
    """The next run is on another computer."""
    on_error: OnError = OnError.STOP
    across: bool = False
    """The target is in another zone."""
    hosted: bool = False
    """The node has no geth."""


class Rehearsal:
    """A world, and the command that is typed in it again and again."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.sim = Simulation(without_geth() if scenario.hosted else settings(), nitro=scenario.nitro)
        self.source = self.sim.node().id
        self.volumes = {data.role: self.sim.of(data).id for data in self.sim.parts}
        self.unchecked = self._unchecked_mounts()
        if scenario.to == TARGET:
            self.sim.instance(TARGET, zone=OTHER_ZONE if scenario.across else ZONE)
        self.sim.forget()

    def _unchecked_mounts(self) -> int:
        return sum(disk.unchecked_mounts for disk in self.sim.cloud.disks.values())

    @property
    def target(self) -> str:
        """The machine it goes to: with ``new`` the one that was launched. One that was left again does not count."""
        others = [i for i in self.sim.cloud.machines.values() if i.id != self.source]
        names = [i.name for i in others if self.scenario.to != migrate.NEW or tags.RETIRED not in i.tags]
        assert len(names) <= 1, "one target, however often it is run"
        return names[0] if names else ""

    @property
    def reference(self) -> str:
        """What to type: ``new`` goes on with a target for as long as it is tagged as one, then it has arrived there."""
        others = [i for i in self.sim.cloud.machines.values() if i.id != self.source]
        arrived = [i for i in others if i.tags.get(tags.NODE) == NODE and tags.TARGET_FOR not in i.tags]
        return arrived[0].name if arrived else self.scenario.to

    def request(self, **options: Any) -> migrate.Request:
        """Return the command, with options added to it."""
        zone = OTHER_ZONE if self.scenario.across and self.reference == migrate.NEW else ""
        return replace(migrate.Request(NODE, self.reference, zone=zone), **options)

    def run(self, what: Break | None = None, **options: Any) -> Ending:
        """Type the command; return how it ended when it did not end well."""
        operation = migrate.operation(self.request(**options))
        try:
            with ordered(self.sim, self.scenario.order) as lanes:
                self.perform(operation, lanes, what)
        except (TranscoderError, ProcessDied) as error:
            return error
        finally:
            assert self.sim.watcher.broken == []
        return None

    def perform(self, operation: operate.Operation, lanes: Lanes, what: Break | None = None) -> operate.Outcome:
        """Run an operation in these lanes, with what breaks in it. It makes no call that its plans do not explain."""
        door, console, calls = Breaking(self.sim, what), Console(), list[str]()

        def note(act: Act, do: Callable[[], Any]) -> Any:
            if not act.machine and act.changes_something:
                calls.extend(act.what)
            return do()

        world = lanes.world(reached_through(reached_through(self.sim.world, door.through), note))
        try:
            return operate.operate(operation, world, console, self.scenario.on_error)
        finally:
            explained = {action for plan in console.shown for step in plan.pending for action in step.calls}
            assert {ACTIONS[call] for call in calls if call in ACTIONS} <= explained

    def finish(self, ending: Ending, **options: Any) -> None:
        """Type the command once more, unless the last run has ended well and nothing is left to do."""
        if ending is None and not self.sim.cloud.locks and self._is_over():
            return
        again = self.run(**options)
        assert again is None, str(again)

    def _is_over(self) -> bool:
        """Tell whether nothing is left to do: something may have happened when the last look had been taken."""
        return migrate.plan(migrate.observe(self.sim.world, self.request())).empty

    def pick_up(self) -> None:
        """Do what stands in the way of the next run: the lock of a process that died, here or on another computer."""
        where = {"where": "another-computer"} if self.scenario.elsewhere else {}
        locks = self.sim.cloud.locks
        for node, lock in list(locks.items()):
            locks[node] = replace(lock, pid=DEAD_PROCESS, **where)
        if locks and self.scenario.elsewhere:
            refusal = self.run()
            if isinstance(refusal, Refused):  # without anything left to do nobody asks for the lock
                assert "another-computer" in str(refusal)
                assert "fab unlock" in refusal.hint
            locks.clear()

    def heal(self) -> None:
        """Set everything right; a machine that has its power back boots before anybody types anything."""
        heal(self.sim)
        self.sim.clock.advance(1.0)
        known = [self.sim.machines[instance_id] for instance_id in self.sim.cloud.machines]
        if any(machine.has_power() and not machine.booted() for machine in known):
            self.sim.clock.advance(BOOTED_AFTER + REBOOT)

    # what is asserted

    def assert_sound(self) -> None:
        """What holds at any moment, whatever broke."""
        sim = self.sim
        sim.assert_nothing_lost()
        assert sum(disk.formatted for disk in sim.cloud.disks.values()) == 0
        assert set(self.volumes.values()) <= set(sim.cloud.blocks), "nobody deletes the volumes that the node had"
        assert self.target or self.scenario.to == migrate.NEW
        known = {tags.NODE: NODE, tags.ROLE: LIVEPEER.role}
        own = [v for v in sim.cloud.blocks.values() if known.items() <= dict(v.tags).items()]
        assert own, "there is always a volume that is the node's"

    def assert_never_forced(self) -> None:
        """Nothing is forced, and no machine stopped, unless the operator said so."""
        assert [c for c in self.sim.cloud.calls if c.name in ("force_detach", "stop", "terminate")] == []

    def assert_arrived(self) -> None:
        """Served at the target, the source retired and empty, healthy, nothing left to do."""
        sim, name = self.sim, self.target
        sim.clock.advance(20.0)
        sim.assert_served_by(name)
        source = sim.cloud.machines[self.source]
        assert source.tags[tags.RETIRED] == NODE
        assert tags.NODE not in source.tags
        assert list(source.devices) == ["/dev/sda1"]
        assert [seen.problems for seen in status.observe(sim.world)] == [()]
        assert migrate.plan(migrate.observe(sim.world, migrate.Request(NODE, name))).empty
        if not any(fault.fault.startswith(("power_off", "reboot")) for fault in self.scenario.breaks):
            assert self._unchecked_mounts() == self.unchecked, "nothing is mounted at the target before it was checked"
        if self.scenario.across:
            kept = {sim.cloud.blocks[volume].tags.get(tags.RETIRED) for volume in self.volumes.values()}
            assert kept == {NODE}, "what stayed behind stays until it is confirmed"
