"""Steps of a restart that no other operation has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transcoder.actions.guest import GuestStep
from transcoder.actions.services import ANY, WaitGethInSync, api_on
from transcoder.errors import Failed
from transcoder.facts import livepeer_sessions
from transcoder.world import Command, World

IDLE_POLL = 5.0


@dataclass(frozen=True, kw_only=True)
class WaitIdle(GuestStep):
    """Wait until livepeer serves no session, for no longer than the budget: then the restart goes on, and says so."""

    budget: float
    verb: ClassVar[str] = "idle"
    looks_first: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no session is running on {self.instance.name} (waits {self.budget:.0f} s at most)"

    def do(self, world: World) -> str | None:
        ends = world.clock.monotonic() + self.budget
        while busy := self._sessions(world):
            if world.clock.monotonic() >= ends:
                return f"{busy} session(s) had not ended within {self.budget:.0f} s: they are cut"
            world.clock.sleep(min(IDLE_POLL, max(ends - world.clock.monotonic(), 0.1)))
        return None

    def verify(self, world: World) -> None:
        """Nothing was changed."""

    def _sessions(self, world: World) -> int | None:
        host = self.host(world)
        asked = livepeer_sessions.commands(api_on(host, world.settings))
        outputs = host.run_all(*(Command(argv, ok=ANY) for argv in asked), sudo=False)
        return livepeer_sessions.parse_sessions([o.stdout if o.exit_code == 0 else "" for o in outputs])


@dataclass(frozen=True, kw_only=True)
class GethFollows(WaitGethInSync):
    """Wait until the restarted geth is in sync; until then livepeer keeps the state that it has."""

    def verify(self, world: World) -> None:
        try:
            super().verify(world)
        except Failed as error:
            raise Failed(
                f"{error.message}; livepeer was left as it is",
                hint=f"docs/runbooks/geth-advancing.md; {error.hint}; when geth is in sync: fab restart livepeer",
            ) from error
