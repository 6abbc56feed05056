"""Steps of a restart that no other operation has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from transcoder.actions.guest import GuestStep
from transcoder.actions.services import ANY, WaitGethInSync, api_on, livepeer_round
from transcoder.errors import Failed
from transcoder.facts import livepeer_sessions
from transcoder.facts.livepeer_api import RoundState
from transcoder.world import Command, World

IDLE_POLL, REWARD_POLL = 5.0, 30.0


@dataclass(frozen=True, kw_only=True)
class WaitIdle(GuestStep):
    """Wait until livepeer serves no session and no reward is pending.

    Sessions that have not ended within the budget are cut, and that is told. A reward that has not been called by its
    own is an error: livepeer is left as it is. With ``reward_budget`` None nobody asks for it.
    """

    budget: float
    reward_budget: float | None = None
    verb: ClassVar[str] = "idle"
    looks_first: ClassVar[bool] = False

    @property
    def title(self) -> str:
        text = f"no session is running on {self.instance.name} (waits {self.budget:.0f} s at most)"
        return text if self.reward_budget is None else f"{text}, no reward is pending ({self.reward_budget:.0f} s)"

    def do(self, world: World) -> str | None:
        began = world.clock.monotonic()
        while True:
            pending, busy = self._pending(world), self._sessions(world)
            waited = world.clock.monotonic() - began
            if pending is not None and waited >= (self.reward_budget or 0.0):
                raise self._unrewarded(pending)
            if pending is None and (not busy or waited >= self.budget):
                return f"{busy} session(s) had not ended within {self.budget:.0f} s: they are cut" if busy else None
            left = self.budget - waited
            world.clock.sleep(REWARD_POLL if pending is not None else min(IDLE_POLL, max(left, 0.1)))

    def verify(self, world: World) -> None:
        """Nothing was changed."""

    def _pending(self, world: World) -> RoundState | None:
        """Return the round if its reward is still to be called; None also when livepeer does not tell."""
        if self.reward_budget is None:
            return None
        try:
            found = livepeer_round(self.host(world), world.settings)
        except Failed:  # no number: nobody can know, and a livepeer that has lost its chain is to be restarted
            return None
        return found if found is not None and found.reward_pending else None

    def _unrewarded(self, pending: RoundState) -> Failed:
        return Failed(
            f"round {pending.current} began meanwhile, and its reward had not been called after "
            f"{self.reward_budget:.0f} s; livepeer on {self.instance.name} was left as it is",
            hint="docs/runbooks/reward.md; fab reward; then: fab restart livepeer",
        )

    def _sessions(self, world: World) -> int | None:
        host = self.host(world)
        asked = livepeer_sessions.commands(api_on(host, world.settings))
        outputs = host.run_all(*(Command(argv, ok=ANY) for argv in asked), sudo=False)
        try:
            return livepeer_sessions.parse_sessions([o.stdout if o.exit_code == 0 else "" for o in outputs])
        except Failed:  # not the answer of a livepeer that serves anybody
            return None


@dataclass(frozen=True, kw_only=True)
class GethFollows(WaitGethInSync):
    """Wait until the restarted geth is in sync; until then livepeer keeps the state that it has.

    :param ahead: by how many seconds the machine's clock is ahead of ours: a head has its age by that clock.
    """

    ahead: float = field(default=0.0, compare=False)  # measured anew with each look, so no two plans have the same

    def now(self, world: World) -> float:
        """Return the machine's time."""
        return world.clock.now() + self.ahead

    def verify(self, world: World) -> None:
        try:
            super().verify(world)
        except Failed as error:
            raise Failed(
                f"{error.message}; livepeer was left as it is",
                hint=f"docs/runbooks/geth-advancing.md; {error.hint}; when geth is in sync: fab restart livepeer",
            ) from error
