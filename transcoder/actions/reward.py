"""Calling ``reward()``: livepeer does it, with its key, on the machine. Nothing here signs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transcoder import shape
from transcoder.actions.guest import GuestStep
from transcoder.actions.services import ANY, GETH_RPC, api_on, livepeer_round
from transcoder.catalog.livepeer_api import Api
from transcoder.catalog.reward_failures import explain
from transcoder.errors import Failed, TranscoderError
from transcoder.facts import livepeer_api, reward_rpc
from transcoder.facts.reward_rpc import Trial
from transcoder.layout import LIVEPEER
from transcoder.settings import Settings
from transcoder.world import Host, Output, World

CALL_SECONDS = 660
"""The answer comes when the transaction is mined. 0.2.4 waits 600 s for that, v0.5.19 and later 5 min, twice."""
RECORD_BUDGET = 60.0
"""Seconds until the node's record shows what was mined: its chain may be a few blocks behind."""
STATUS = "\n%{http_code}"
GONE = (403, 404)
JOURNAL = ("journalctl", "--unit", LIVEPEER.service.unit, "--lines=40", "--no-pager", "--output=cat")


def command(api: Api) -> tuple[str, ...]:
    """Return the command that has livepeer call ``reward()``: it spends gas. Its last line is the HTTP status."""
    seconds = str(CALL_SECONDS - 10)
    return ("curl", "--silent", "--show-error", "--max-time", seconds, "--write-out", STATUS, api.base + api.reward)


def rpc_address(settings: Settings) -> str:
    """Return where the machine's chain is asked; empty where only a file on the node's volume tells."""
    return GETH_RPC if shape.has_geth(settings) else settings.livepeer.eth_url


def eth_balance(host: Host, api: Api) -> int | None:
    """Ask livepeer for its account's ETH, in wei; None while it does not tell."""
    output = host.run(*livepeer_api.command(api.eth_balance, api.base), sudo=False, ok=ANY)
    text = output.stdout.strip()
    return int(text) if output.exit_code == 0 and text.isascii() and text.isdigit() else None


def trial(host: Host, settings: Settings, api: Api, account: str) -> Trial | None:
    """Try the call on the chain without making it; None where the chain cannot be asked from here."""
    url = rpc_address(settings)
    if not url or not account:
        return None
    told = host.run(*livepeer_api.command(api.contracts, api.base), sudo=False, ok=ANY)
    contract = livepeer_api.parse_contracts(told.stdout).get("BondingManager", "") if told.exit_code == 0 else ""
    answer = host.run(*reward_rpc.COMMAND, stdin=reward_rpc.stdin(url, account, contract), sudo=False, ok=ANY)
    return reward_rpc.parse_trial(answer.stdout) if answer.exit_code == 0 else None


@dataclass(frozen=True, kw_only=True)
class CallReward(GuestStep):
    """Have livepeer call ``reward()``, once. Whether it was called is read from the node's record, not believed."""

    account: str
    round: int
    verb: ClassVar[str] = "reward"

    @property
    def title(self) -> str:
        return f"call reward() of round {self.round} as {self.account} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        found = livepeer_round(self.host(world), world.settings)
        return found is not None and found.last_reward >= self.round

    def do(self, world: World) -> None:
        host = self.host(world)
        output = host.run(*command(api_on(host, world.settings)), sudo=False, ok=ANY, timeout=CALL_SECONDS)
        body, _, status = output.stdout.rpartition("\n")
        if output.exit_code != 0 or status.strip() != "200":
            raise self._failed(host, output, body.strip(), status.strip())

    def verify(self, world: World) -> None:
        """Look at the record: livepeer up to v0.5.29 answers 200 when it has failed, too."""
        try:
            world.wait(f"the record of round {self.round}", lambda: self.is_done(world) or None, RECORD_BUDGET, every=2)
        except Failed as error:
            raise self._explained(f"livepeer said yes, but {error.message}", self._log(self.host(world))) from error

    def _failed(self, host: Host, output: Output, body: str, status: str) -> Failed:
        if status.isdigit() and int(status) in GONE:
            return Failed(
                f"livepeer answers {status} to /reward on {self.instance.name}",
                hint="go-livepeer PR #4011: routes that make transactions need -enableCliTxRoutes in livepeer.options",
            )
        said = body or output.stderr.strip() or f"nothing (HTTP {status})"
        return self._explained(f"reward() was not called: livepeer says: {said[-500:]}", f"{said}\n{self._log(host)}")

    def _explained(self, message: str, evidence: str) -> Failed:
        known = explain(evidence)
        if known is None:
            return Failed(message, hint="fab logs --unit livepeer; fab reward --dry-run looks again and calls nothing")
        return Failed(f"{message}\nthat means: {known.what}", hint=known.to_do)

    def _log(self, host: Host) -> str:
        """Return the newest lines of livepeer's log that tell of a failure; the reason may stand only there."""
        try:
            lines = host.run(*JOURNAL).stdout.splitlines()
        except TranscoderError as error:
            return error.message  # it is evidence beside another error, which must be told
        return "\n".join(line for line in reversed(lines) if "rror" in line)
