"""What the watch on a node checks, and how long something must last until it is shown.

One table for the node (rendered into /etc/transcoder/watch.json), for alert rules, runbooks and whoever shows states.
Each check has a page ``docs/runbooks/NAME.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Where = Literal["everywhere", "geth", "hosted"]
RUNBOOKS = "docs/runbooks/"
"""Where the pages are, from the root of the project; an environment's ``watch.runbooks`` may name another place."""
UNKNOWN_SECONDS = 300
"""How long there may be no answer until a check that was green is shown as unknown."""
CLEAR_SECONDS = 60
"""How long all must be well until a check is green again."""


@dataclass(frozen=True)
class Check:
    """A check of the node.

    ``warn`` and ``alarm``: seconds that readings must be that bad, one after the other, until the state is shown.
    ``on_chain``: only on a node that works on a chain. ``where``: with an own geth, or with a hosted RPC endpoint.
    """

    name: str
    title: str
    warn: int
    alarm: int
    on_chain: bool = False
    where: Where = "everywhere"


CHECKS = (
    Check("unit", "services are active", 60, 60),
    Check("restarts", "services do not keep falling over", 0, 0),
    Check("mount", "the right volume is mounted, and can be written to", 60, 60),
    Check("space", "there is room on the file system", 60, 60),
    Check("filling", "it will not be full soon", 3600, 3600),
    Check("geth-rpc", "geth answers", 60, 60, where="geth"),
    Check("geth-peers", "geth has peers", 180, 180, where="geth"),
    Check("geth-head", "geth's head block is young", 60, 60, where="geth"),
    Check("geth-advancing", "geth's head advances", 60, 60, where="geth"),
    Check("rpc", "the RPC endpoint answers and follows the chain", 300, 600, on_chain=True, where="hosted"),
    Check("livepeer-api", "livepeer answers", 60, 120),
    Check("livepeer-address", "livepeer runs with the node's account", 0, 0, on_chain=True),
    Check("livepeer-registered", "it is registered and active", 300, 300, on_chain=True),
    Check("sessions", "there is room for sessions", 300, 300),
    Check("round", "the round is initialised", 60, 60, on_chain=True),
    Check("reward", "the reward of the round was called", 60, 60, on_chain=True),
    Check("slashed", "the account was not slashed", 0, 0, on_chain=True),
    Check("deactivated", "the account was not deactivated", 0, 0, on_chain=True),
    Check("eth-balance", "there is ETH for gas", 300, 300, on_chain=True),
    Check("gas-days", "the ETH lasts", 3600, 3600, on_chain=True),
    Check("tickets", "winning tickets are redeemed", 300, 300, on_chain=True),
    Check("clock", "the clock is right", 120, 120),
    Check("open-files", "there is room for open files", 120, 120),
    Check("service-port", "the work port is served", 120, 120),
    Check("certificate", "the certificate of the work port is in time", 300, 300),
    Check("service-address", "others are told this machine's address", 300, 600, on_chain=True),
    Check("reboot", "no reboot is asked for", 0, 0),
    Check("image-age", "the image is not old", 0, 0),
    Check("watch", "the watch's own looks come to an end", 60, 60),
    Check("cloudwatch", "the readings reach CloudWatch", 60, 60),
)
BY_NAME = {check.name: check for check in CHECKS}


def patience(after_seconds: Mapping[str, int], clear: int = CLEAR_SECONDS) -> dict[str, dict[str, object]]:
    """Return title and seconds of every check; ``after_seconds`` has what an environment says instead, by name.

    ``clear``: seconds until a check is green again.
    """
    return {
        check.name: {
            "title": check.title,
            "warn": after_seconds.get(check.name, check.warn),
            "alarm": max(after_seconds.get(check.name, check.alarm), after_seconds.get(check.name, check.warn)),
            "unknown": UNKNOWN_SECONDS,
            "clear": clear,
        }
        for check in CHECKS
    }
