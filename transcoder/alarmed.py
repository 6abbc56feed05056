"""Which checks of a node become metrics and alarms of CloudWatch: each of them costs money every month.

One table for the node (what it sends), the template (what alarms), and the permission of the node's role.
"""

from __future__ import annotations

NAMESPACE = "Transcoder"
"""Of all metrics; ``templates/iam/instance.json`` lets a node write into this one alone."""
HEARTBEAT = "heartbeat"
"""The metric that is 1 in every minute in which a node has sent."""
OTHERS = "others"
"""The metric that has the worst state of all checks that have no metric of their own."""
DIMENSIONS = ("environment", "node")

ALARMED = (
    *("unit", "mount", "space", "geth-advancing", "rpc", "livepeer-api", "livepeer-address"),
    *("reward", "slashed", "deactivated", "eth-balance", "service-port"),
)
"""The checks with a metric and an alarm of their own, where an environment does not choose others: what loses work,
rewards or money within hours."""
FROM_EVENTS = frozenset({"slashed", "deactivated"})
"""Checks that a node has only where its watch can read events from the chain."""

UNSENT = "cloudwatch"
"""The check of the sending itself."""
EXCLUDED = {
    "restarts": "a service that falls over again and again is soon not active either: unit",
    "filling": "tells days before; space tells when it is late",
    "geth-rpc": "a geth that does not answer does not advance: geth-advancing",
    "geth-peers": "without peers the head stands still soon: geth-advancing",
    "geth-head": "an old head that advances is a sync that goes on; one that stands still is geth-advancing",
    "livepeer-registered": "changes by the node's own owner; losing the active set is deactivated",
    "sessions": "a busy node earns: it is no fault",
    "round": "any node may initialise it, and no reward is lost before",
    "gas-days": "tells weeks before; eth-balance tells when it is late",
    "tickets": "its check waits for hours, and there are days",
    "clock": "twenty seconds off make geth lose its peers: geth-advancing; less harms nothing at once",
    "open-files": "a service without files is not active or does not answer soon",
    "certificate": "tells weeks before the end",
    "service-address": "changes with an operation, which is watched by who gave it",
    "reboot": "asks for a reboot within weeks, not at night",
    "image-age": "asks for a new image within months",
    "watch": "a watch that hangs sends nothing, and missing data alarms",
    UNSENT: "when it is red nothing arrives: missing data alarms",
}
"""Every other check, and why it has no metric of its own. All but the last count in `OTHERS`."""
