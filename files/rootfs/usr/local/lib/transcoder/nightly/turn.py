"""The order: geth restarted, geth in sync, livepeer idle, livepeer restarted, livepeer healthy.

A service is restarted by one job of systemd, with all the time that its unit gives it to stop: should this program be
killed, systemd starts again what it has stopped.
"""

from typing import List, Optional

from watch import livepeer
from watch.model import NoAnswer, span

from . import looks
from .model import FAILED, REFUSED, Halt, Night

ORDER = ("geth", "livepeer")
GRACE = 180.0
"""Seconds that a restart may take beyond the time that the unit may take to stop: its TimeoutStartSec= and a little."""


def turn(night: Night, dry_run: bool = False) -> None:
    """Restart what was not started lately. Raises Halt when it may not be, or does not come back."""
    left = due(night)
    if not left:
        return
    check(night, left, "nothing is restarted")
    if dry_run:
        night.say("would restart {}".format(", ".join(_unit(night, role) for role in left)))
        return
    await_reward(night)
    if "geth" in left:
        restart_geth(night)
    if "livepeer" in left:
        # Also a geth that was left alone: it may have lost the chain since.
        await_sync(night)
        await_reward(night)
        await_idle(night)
        check(night, ["livepeer"], "livepeer is left as it is")
        restart_livepeer(night)


def due(night: Night) -> List[str]:
    """Return the roles that are to be restarted, in order, and tell of those that are left alone.

    What was started lately is, but not where geth has lost the chain, however young it is.
    """
    found, left, away = looks.states(night), [], looks.chain_is_away(night.node)
    for role in (role for role in ORDER if role in night.own["mounts"]):
        age = looks.age(night, found[_unit(night, role)])
        if age is not None and age < night.own["max_age_seconds"] and not away:
            night.say("{} was started {} ago: left alone".format(_unit(night, role), span(age)))
        else:
            left.append(role)
    return left


def check(night: Night, roles: List[str], otherwise: str) -> None:
    """Raise Halt when these services cannot be restarted, with every reason."""
    wrong = list(looks.reasons(night, roles, looks.states(night)))
    if wrong:
        raise Halt(REFUSED, "{}: {}".format(otherwise, "; ".join(wrong)), "fab status")


def await_reward(night: Night) -> None:
    """Wait until the reward of the round was called, within the budget. Raises Halt: the services go on as they are."""
    node, budget = night.node, float(night.own["wait_reward_seconds"])
    if looks.chain_is_away(node):
        night.say("geth has lost the chain, so no reward can be called before it is restarted")
        return
    waiting = looks.pending(node)
    if waiting is None:
        return
    told = "the reward of round {} is still to be called".format(waiting.number)
    night.say("{}: waiting up to {}".format(told, span(budget)))
    if not night.wait(lambda: looks.pending(node) is None, budget):
        raise Halt(REFUSED, "{} after {}: livepeer is left as it is".format(told, span(budget)), "fab reward")


def restart_geth(night: Night) -> None:
    """Restart geth. Raises Halt when it does not start; livepeer is not touched then."""
    _restart(night, "geth", "livepeer is left as it is")


def await_sync(night: Night) -> None:
    """Wait until geth has peers, a young head, and one that advances. Raises Halt; livepeer is not touched then."""
    if not night.node.config["geth"]:
        return
    budget = float(night.own["in_sync_seconds"])
    first: List[looks.Head] = []  # blocks are seconds apart: compare with the first look, not with the last
    wrong = ["geth does not answer"]

    def synced() -> bool:
        wrong[:] = _not_in_sync(night, first)
        return not wrong

    if not night.wait(synced, budget):
        told = "geth is not in sync after {}: {}; livepeer is left as it is".format(span(budget), "; ".join(wrong))
        raise Halt(FAILED, told, "journalctl --unit {}; docs/runbooks/geth-advancing.md".format(_unit(night, "geth")))
    night.say("geth is in sync")


def _not_in_sync(night: Night, first: List[looks.Head]) -> List[str]:
    try:
        now = looks.head(night.node)
    except NoAnswer as error:
        return [str(error)]
    wrong = looks.behind(night.node, now)
    if first and now.number <= first[0].number:
        wrong.append("block {} has not advanced from {}".format(now.number, first[0].number))
    if not first:
        first.append(now)
        wrong.append("block {} seen once, a second look must find a later one".format(now.number))
    return wrong


def await_idle(night: Night) -> None:
    """Wait until livepeer serves no session, within the budget; then those that run are cut, and that is told."""
    budget = float(night.own["wait_sessions_seconds"])
    busy = looks.sessions(night.node)
    if busy:
        night.say("{} session(s): waiting up to {} for their end".format(busy, span(budget)))
    if busy and not night.wait(lambda: not looks.sessions(night.node), budget):
        night.say("{} session(s) had not ended: they are cut".format(looks.sessions(night.node)))


def restart_livepeer(night: Night) -> None:
    """Restart livepeer, and see that it answers as the node's account. Raises Halt when it does not."""
    expected = livepeer.expected_address(night.node)
    _restart(night, "livepeer", "the node does not serve")
    found: Optional[str] = None

    def healthy() -> bool:
        nonlocal found
        found = looks.account(night.node)
        return bool(found)

    budget, hint = float(night.own["healthy_seconds"]), "journalctl --unit {}".format(_unit(night, "livepeer"))
    if not night.wait(healthy, budget):
        raise Halt(FAILED, "livepeer does not answer as {} after {}".format(expected, span(budget)), hint)
    if found != expected:
        raise Halt(FAILED, "livepeer runs as {}, not as {}".format(found, expected), "fab detach stops it; " + hint)
    night.say("livepeer answers as {}".format(expected))


def _restart(night: Night, role: str, otherwise: str) -> None:
    unit = _unit(night, role)
    night.say("restarting {}".format(unit))
    begun = night.steady()
    try:
        night.control(["systemctl", "restart", "--", unit], night.own["stop_seconds"][role] + GRACE)
    except NoAnswer as error:
        told = "{} does not restart ({}); {}".format(unit, error, otherwise)
        raise Halt(FAILED, told, "journalctl --unit " + unit) from None
    # A job of a unit whose condition is not met (it is held) is done without having started anything.
    state = looks.states(night)[unit].get("ActiveState")
    if state != "active":
        raise Halt(FAILED, "{} is {} after its restart; {}".format(unit, state, otherwise), "systemctl status " + unit)
    night.say("{} has restarted within {}".format(unit, span(night.steady() - begun)))


def _unit(night: Night, role: str) -> str:
    return str(night.node.config["units"][role])
