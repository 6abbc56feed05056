"""Steps on a machine as a whole: reach it, hold and release its units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transcoder import guest, shape
from transcoder.errors import Failed, Unreachable
from transcoder.facts import chronyc
from transcoder.facts.chronyc import Tracking
from transcoder.model import Instance
from transcoder.step import Step
from transcoder.world import Command, Host, Output, World

GUEST_POLL = 0.1
"""Seconds between looks at a machine that is about to see or to serve something: it is the operator's own machine,
and no quota of EC2's is used up."""
CLOCK_BUDGET, WARM_BUDGET = 120.0, 600.0
MOST_CLOCK_ERROR = 1.0
"""Seconds."""


@dataclass(frozen=True, kw_only=True)
class GuestStep(Step):
    """A step on one machine."""

    instance: Instance

    def host(self, world: World) -> Host:
        """Return the machine."""
        return world.hosts(self.instance)


@dataclass(frozen=True, kw_only=True)
class WaitReachable(GuestStep):
    """Wait until the machine takes commands over SSH and has finished booting."""

    verb: ClassVar[str] = "reach"

    @property
    def title(self) -> str:
        return f"reach {self.instance.name} over SSH, booted"

    def is_done(self, world: World) -> bool:
        return has_booted(world, self.instance)

    def do(self, world: World) -> None:
        """Nothing to change: it boots by itself."""

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self.is_done(world), world.settings.instance.reachable_budget_seconds)


def has_booted(world: World, instance: Instance) -> bool:
    """Tell whether the machine answers and systemd has come to the end of its boot (``degraded`` is one)."""
    try:
        state = world.hosts(instance).run("systemctl", "is-system-running", sudo=False, ok=(0, 1, 4)).stdout.strip()
    except Unreachable:
        return False
    return state in ("running", "degraded")


@dataclass(frozen=True, kw_only=True)
class HoldUnits(GuestStep):
    """Keep units from starting by themselves when a disk appears."""

    units: tuple[str, ...]
    verb: ClassVar[str] = "hold"

    @property
    def title(self) -> str:
        return f"hold {', '.join(self.units)} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        listed = self.host(world).run("ls", "-A", guest.HOLD_DIRECTORY, sudo=False, ok=(0, 2))
        return set(self.units) <= set(listed.stdout.split())

    def do(self, world: World) -> None:
        self.host(world).run_all(
            Command(("mkdir", "-p", guest.HOLD_DIRECTORY)),
            Command(("touch", *(f"{guest.HOLD_DIRECTORY}/{unit}" for unit in self.units))),
        )


@dataclass(frozen=True, kw_only=True)
class ReleaseUnits(GuestStep):
    """Let units start by themselves again, as after a reboot."""

    units: tuple[str, ...]
    verb: ClassVar[str] = "release"

    @property
    def title(self) -> str:
        return f"release {', '.join(self.units)} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        listed = self.host(world).run("ls", "-A", guest.HOLD_DIRECTORY, sudo=False, ok=(0, 2))
        return not set(self.units) & set(listed.stdout.split())

    def do(self, world: World) -> None:
        release(self.host(world), self.units)


def release(host: Host, units: tuple[str, ...]) -> None:
    """Remove the hold of these units."""
    host.run(*release_command(units).argv)


def release_command(units: tuple[str, ...]) -> Command:
    """Return the command that removes the hold of these units."""
    return Command(("rm", "-f", *(f"{guest.HOLD_DIRECTORY}/{unit}" for unit in units)))


TOOLS = ("blkid", "wipefs", "debugfs", "e2fsck", "mount")


@dataclass(frozen=True, kw_only=True)
class WarmUp(GuestStep):
    """Read what the move runs on a machine into its memory, and so prove that it is there.

    A new instance's root volume comes from a snapshot: EBS fetches each block when it is first read, tens of
    milliseconds each, and a node that is down should not wait for that.
    """

    verb: ClassVar[str] = "warm"

    @property
    def title(self) -> str:
        return f"the programs that the move needs are on {self.instance.name}, and in its memory"

    def do(self, world: World) -> None:
        with_geth = shape.has_geth(world.settings)
        programs = [f"/usr/local/bin/{name}" for name in (*(["geth"] if with_geth else []), "livepeer")]
        checks = ("check-volume", *(["wait-for-geth"] if with_geth else []), "run-livepeer")
        self.host(world).run_all(
            Command(("sha256sum", *programs)),
            *(Command((f"/usr/local/lib/transcoder/{check}", "--help")) for check in checks),
            *(Command((tool, "-V")) for tool in TOOLS),
            timeout=WARM_BUDGET,
        )

    def verify(self, world: World) -> None:
        """Each of them has run."""


def read_clock(world: World, instance: Instance, *more: Command) -> tuple[float, tuple[Output, ...]]:
    """Return by how many seconds a machine's clock is ahead of ours, and the outputs of ``more`` commands.

    The machine's clock is read first; half of the time until its answer is the error at most.
    """
    before = world.clock.now()
    told, *outputs = world.hosts(instance).run_all(Command(("date", "+%s.%N")), *more, sudo=False)
    return float(told.stdout) - (before + world.clock.now()) / 2, tuple(outputs)


@dataclass(frozen=True, kw_only=True)
class WaitClock(GuestStep):
    """Wait until chronyd says that the machine's clock follows another one: soon after a boot it does not yet."""

    verb: ClassVar[str] = "clock"

    @property
    def title(self) -> str:
        return f"clock of {self.instance.name} in sync"

    def is_done(self, world: World) -> bool:
        return clock_is_right(self.host(world).run(*chronyc.COMMAND, sudo=False, ok=range(256)))

    def do(self, world: World) -> None:
        """Nothing to change: chronyd does it by itself."""

    def verify(self, world: World) -> None:
        try:
            world.wait(self.title, lambda: self.is_done(world), CLOCK_BUDGET, every=GUEST_POLL)
        except Failed as error:
            raise Failed(error.message, hint=f"on {self.instance.name}: chronyc sources; chronyc tracking") from error


def clock_is_right(told: Output) -> bool:
    """Tell whether chronyd says so."""
    if told.exit_code != 0:
        return False
    return is_right(chronyc.parse_chronyc(told.stdout))


def is_right(tracking: Tracking) -> bool:
    """Tell whether a clock follows another one closely enough."""
    return tracking.synchronised and tracking.worst_error < MOST_CLOCK_ERROR
