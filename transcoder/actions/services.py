"""Steps about the node's services: stop, start, in sync, healthy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transcoder import guest, layout, shape
from transcoder.actions.guest import GUEST_POLL, GuestStep, release_command
from transcoder.actions.volume import VolumeStep, is_mounted
from transcoder.catalog.livepeer_api import Api
from transcoder.errors import Failed
from transcoder.facts import geth_rpc, livepeer_api, release, systemctl
from transcoder.facts.livepeer_api import RoundState
from transcoder.layout import GETH, LIVEPEER, DataVolume
from transcoder.model import Instance, ServiceState
from transcoder.settings import Settings
from transcoder.world import Command, Host, Output, World

GETH_RPC = "http://127.0.0.1:8545"
LIVEPEER_STOP_BUDGET = 40.0
"""Seconds; the unit's own TimeoutStopSec is 30. livepeer before v0.8.9 ends 0.5 s after SIGINT and drains nothing."""
GETH_JOURNAL = Command(("journalctl", "--unit", GETH.service.unit, "--lines=500", "--no-pager", "--output=cat"))
START_BUDGET = 300.0
ANY = tuple(range(256))
STOP_GRACE = 60.0
"""Seconds on top of a unit's own stop budget before the operator is told."""


def stop_budget(settings: Settings, data: DataVolume) -> float:
    """Return for how many seconds what runs on this volume may take to stop."""
    return LIVEPEER_STOP_BUDGET if data is LIVEPEER else float(settings.geth.stop_budget_seconds)


def service_state(host: Host, unit: str) -> ServiceState:
    """Ask systemd for the state of one unit."""
    return systemctl.parse_systemctl(host.run(*systemctl.command(unit), sudo=False).stdout)[0]


@dataclass(frozen=True, kw_only=True)
class StopUnit(GuestStep):
    """Stop a unit with the patience it needs. Nothing is killed before the unit's own budget is used up."""

    unit: str
    budget: float
    verb: ClassVar[str] = "stop"
    looks_first: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"stop {self.unit} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        return _has_ended(service_state(self.host(world), self.unit))

    def do(self, world: World) -> str | None:
        _, shown = self.host(world).run_all(
            Command(("systemctl", "stop", self.unit)),
            Command(systemctl.command(self.unit)),
            timeout=self.budget + STOP_GRACE,
        )
        state = systemctl.parse_systemctl(shown.stdout)[0]
        if not _has_ended(state):
            raise Failed(f"{self.title}: told to stop, but it has not ended", hint=f"fab logs --unit {self.unit}")
        if state.result == "timeout":
            return "it did not end by itself in its own time: systemd has killed it"
        return None

    def verify(self, world: World) -> None:
        """Its state was looked at right after the stop, in the same exchange."""


@dataclass(frozen=True, kw_only=True)
class StartUnit(GuestStep):
    """Release a unit and start it."""

    unit: str
    verb: ClassVar[str] = "start"
    looks_first: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"start {self.unit} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        return service_state(self.host(world), self.unit).running

    def do(self, world: World) -> None:
        host = self.host(world)
        _, started, shown = host.run_all(
            release_command((self.unit,)), *_start_commands(self.unit), timeout=START_BUDGET
        )
        _check_started(host, self.instance, self.unit, started, shown)

    def verify(self, world: World) -> None:
        """Its state was looked at right after the start, in the same exchange."""


@dataclass(frozen=True, kw_only=True)
class MountAndStart(VolumeStep):
    """Release a volume's mount unit and its service, and start both at once: the service waits for its mount.

    One exchange instead of two, and the look at what is mounted comes while the service is starting. Its own check
    reads the volume's marker before it runs.
    """

    unit: str
    verb: ClassVar[str] = "start"
    looks_first: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"mount {self.data.label} at {self.data.mount} and start {self.unit} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        host = self.host(world)
        return service_state(host, self.unit).running and is_mounted(host, self.data)

    def do(self, world: World) -> None:
        host = self.host(world)
        _, started, shown, *seen = host.run_all(
            release_command((self.data.mount_unit, self.unit)),
            *_start_commands(self.unit),
            guest.LIST_MOUNTS,
            guest.LIST_DEVICES,
            timeout=START_BUDGET,
        )
        mounted = self.is_mounted_in(world, seen)
        _check_started(host, self.instance, self.unit, started, shown)
        if not mounted:
            raise Failed(f"{self.title}: started, but nothing is mounted there", hint=f"fab logs --unit {self.unit}")

    def verify(self, world: World) -> None:
        """Both were looked at right after the start, in the same exchange."""


def _start_commands(unit: str) -> tuple[Command, Command]:
    return Command(("systemctl", "start", unit), ok=(0, 1)), Command(systemctl.command(unit))


def _check_started(host: Host, instance: Instance, unit: str, started: Output, shown: Output) -> None:
    """Say why a unit has not started.

    :raises Failed: with the end of its log.
    """
    if started.exit_code == 0 and systemctl.parse_systemctl(shown.stdout)[0].running:
        return
    log = host.run("journalctl", "--unit", unit, "--lines=8", "--no-pager", "--output=cat").stdout
    raise Failed(f"{unit} on {instance.name} does not start:\n{log.strip()}", hint=f"fab logs --unit {unit}")


def _has_ended(state: ServiceState) -> bool:
    return state.active in ("inactive", "failed") and state.main_pid == 0


@dataclass(frozen=True, kw_only=True)
class WaitGethInSync(GuestStep):
    """Wait until geth has peers, a young head, and a head that advances. ``eth_syncing`` proves nothing."""

    budget: float
    verb: ClassVar[str] = "in-sync"

    @property
    def title(self) -> str:
        return f"geth in sync on {self.instance.name}"

    def now(self, world: World) -> float:
        """Return the time that the head's age is told by, in Unix seconds."""
        return world.clock.now()

    def do(self, world: World) -> None:
        """Nothing to change: geth synchronises by itself."""

    def verify(self, world: World) -> None:
        previous: geth_rpc.ChainState | None = None
        reason = "geth does not answer"

        def synced() -> bool:
            nonlocal previous, reason
            try:
                current, loaded = self._look(world, started=previous is None)
            except Failed as error:  # a light client has errors for answers until it finds peers
                current, loaded, reason = None, None, error.message
            if current is None:
                return False
            if previous is None and loaded is not None:
                previous = geth_rpc.has_advanced(loaded, current)
            done, reason = geth_rpc.in_sync(previous, current, self.now(world), world.settings.geth.head_age_seconds)
            previous = previous or current  # blocks are seconds apart: compare with the first look, not with the last
            return done

        try:
            world.wait(self.title, synced, self.budget, every=GUEST_POLL)
        except Failed as error:
            raise Failed(f"{error.message}: {reason}", hint="fab logs --unit geth.service") from error

    def _look(self, world: World, *, started: bool) -> tuple[geth_rpc.ChainState | None, int | None]:
        """Ask geth, and at first also its journal for the head with which it started: the first look is then geth's."""
        if not started:
            return chain_state(self.host(world)), None
        asked, journal = self.host(world).run_all(Command(geth_rpc.command(GETH_RPC), ok=ANY), GETH_JOURNAL)
        return _chain_state_in(asked), geth_rpc.loaded_head(journal.stdout)


def chain_state(host: Host) -> geth_rpc.ChainState | None:
    """Ask the machine's geth where it is; None while it does not answer."""
    return _chain_state_in(host.run(*geth_rpc.command(GETH_RPC), sudo=False, ok=ANY))


def _chain_state_in(output: Output) -> geth_rpc.ChainState | None:
    return geth_rpc.parse_geth_rpc(output.stdout) if output.exit_code == 0 else None


def livepeer_address(host: Host, settings: Settings) -> str:
    """Ask the machine's livepeer which account it runs as; empty while it does not answer."""
    asked = livepeer_api.address_command(shape.livepeer_api(settings))
    return _address_in(host.run(*asked, sudo=False, ok=ANY))


def api_on(host: Host, settings: Settings) -> Api:
    """Return how the machine's livepeer wants to be asked.

    That depends on the version of its image, which may be older than the environment's: a migration is how a node comes
    to a newer one.
    """
    told = host.run(*release.COMMAND, sudo=False, ok=(0, 1))
    runs = release.parse_release(told.stdout).livepeer if told.exit_code == 0 else None
    return shape.api_of(runs) if runs else shape.livepeer_api(settings)


def livepeer_round(host: Host, settings: Settings) -> RoundState | None:
    """Ask the machine's livepeer for the round; None where it does not tell, since then nobody can.

    It asks its chain for that, so an answer also says that its chain answers.
    """
    api = api_on(host, settings)
    commands = [Command(asked, ok=ANY) for asked in livepeer_api.round_commands(api)]
    outputs = host.run_all(*commands, sudo=False)
    answers = [output.stdout if output.exit_code == 0 else "" for output in outputs]
    if not all(answer.strip() for answer in answers):
        return None
    return livepeer_api.parse_round(api, *answers)


def _address_in(output: Output) -> str:
    if output.exit_code != 0 or not output.stdout.strip():
        return ""  # livepeer before v0.5.30 answers 200 with an empty body when something is wrong
    return livepeer_api.parse_eth_addr(output.stdout)


@dataclass(frozen=True, kw_only=True)
class WaitLivepeerHealthy(GuestStep):
    """Wait until livepeer answers as the account that is expected. Another account is an error at once."""

    address: str
    budget: float
    verb: ClassVar[str] = "healthy"

    @property
    def title(self) -> str:
        return f"livepeer healthy on {self.instance.name} as {self.address or 'any account'}"

    def do(self, world: World) -> None:
        """Nothing to change."""

    def verify(self, world: World) -> None:
        world.wait(self.title, lambda: self._healthy(world), self.budget, every=GUEST_POLL)

    def _healthy(self, world: World) -> bool:
        said, shown = self.host(world).run_all(
            Command(livepeer_api.address_command(shape.livepeer_api(world.settings)), ok=ANY),
            Command(systemctl.command(LIVEPEER.service.unit)),
            sudo=False,
        )
        address = _address_in(said)
        if address and self.address and address.lower() != self.address.lower():
            raise Failed(
                f"livepeer on {self.instance.name} runs as {address}, expected {self.address}",
                hint=f"fab detach stops it; then look at {layout.KEYSTORE}",
            )
        return bool(address) and systemctl.parse_systemctl(shown.stdout)[0].running
