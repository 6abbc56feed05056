"""Sends the states to CloudWatch, as the instance's own role: few numbers, because each of them costs money.

0 ok, 1 warn, 2 alarm; what is unknown is not sent, and the alarms take missing data for bad. Nothing is sent by a
machine without a node on it: who has the volume is the node, and nobody else may speak for it.
"""

from typing import Any, Callable, Dict, Iterator, List, Optional
from urllib.parse import urlencode

import instance_role
from transcoder_node import NotYet, Refusal

from .board import Shown
from .model import ALARM, OK, UNKNOWN, WARN, Item, Node, Reading
from .units import held

INTERVAL = 60.0
"""Seconds from one sending to the next: the alarms' period."""
CHECK = "cloudwatch"
HEARTBEAT = "heartbeat"
OTHERS = "others"
LEVELS = {OK: 0, WARN: 1, ALARM: 2}
FORM = "application/x-www-form-urlencoded; charset=utf-8"
VERSION = "2010-08-01"
"""Of CloudWatch's Query protocol (API reference, PutMetricData)."""


class Sender:
    """A probe: each look is one sending. It never alarms: a node that works is not to be taken out of service for it.

    ``told``: what /etc/transcoder/watch.json says of CloudWatch. ``shown``: all checks as they are shown.
    ``identity``: who this is. ``metadata``: makes the metadata service of this instance.
    """

    def __init__(
        self,
        told: Dict[str, Any],
        shown: Callable[[], List[Shown]],
        identity: Callable[[], Dict[str, str]],
        metadata: Callable[[], Any] = instance_role.Metadata,
    ) -> None:
        self._told, self._shown, self._identity, self._metadata = told, shown, identity, metadata

    def look(self, node: Node) -> Iterator[Item]:
        """Send, and yield whether that went well."""
        # A file that is open below the mount would keep an operation from moving the volume.
        identity = {} if held(node, node.config["units"]["livepeer"]) else self._identity()
        if not identity.get("node"):
            yield Reading(CHECK, "", OK, 0.0, "no node is on this machine, or it is being moved: nothing is sent")
            return
        values = values_of(self._told, self._shown())
        try:
            self._send(values, {"environment": identity["environment"], "node": identity["node"]})
        except (NotYet, Refusal) as error:
            yield Reading(CHECK, "", WARN, 0.0, "nothing is sent: {}".format(error))
        except instance_role.Denied as error:
            yield Reading(CHECK, "", WARN, 0.0, "nothing is sent: {}".format(_denial(error)))
        else:
            yield Reading(CHECK, "", OK, float(len(values)), "{} metrics are sent".format(len(values)))

    def _send(self, values: Dict[str, int], dimensions: Dict[str, str]) -> None:
        metadata = self._metadata()
        region, credentials = metadata.region(), metadata.credentials()
        body = form(self._told["namespace"], values, dimensions)
        headers = {"Content-Type": FORM}
        instance_role.post("monitoring", region, credentials, body, headers, self._told["endpoint"])


def values_of(told: Dict[str, Any], shown: List[Shown]) -> Dict[str, int]:
    """Return the metrics by name. A check with several subjects is as bad as its worst one.

    One of its own of which anything is unknown, and nothing bad known, is not sent. Of the others the known ones count.
    """
    found = {HEARTBEAT: 1}
    for name in told["checks"]:
        level = worst([item.level for item in shown if item.reading.check == name])
        if level is not None:
            found[name] = level
    others = [item.level for item in shown if item.reading.check in told["others"] and item.level != UNKNOWN]
    level = worst(others)
    if level is not None:
        found[OTHERS] = level
    return found


def worst(levels: List[int]) -> Optional[int]:
    """Return the value of the worst level; None where nothing is known, or not enough to call it well."""
    highest = max([level for level in levels if level != UNKNOWN] or [UNKNOWN])
    if highest == OK and UNKNOWN in levels:
        return None
    return LEVELS.get(highest)


def form(namespace: str, values: Dict[str, int], dimensions: Dict[str, str]) -> bytes:
    """Return the body of PutMetricData. Without times: CloudWatch takes its own, whatever the clock here says."""
    fields = [("Action", "PutMetricData"), ("Version", VERSION), ("Namespace", namespace)]
    for number, (name, value) in enumerate(sorted(values.items()), 1):
        begin = "MetricData.member.{}.".format(number)
        fields += [(begin + "MetricName", name), (begin + "Value", str(value))]
        for place, (key, text) in enumerate(sorted(dimensions.items()), 1):
            fields.append(("{}Dimensions.member.{}.Name".format(begin, place), key))
            fields.append(("{}Dimensions.member.{}.Value".format(begin, place), text))
    return urlencode(fields).encode("ascii")


def _denial(error: instance_role.Denied) -> str:
    if error.code.startswith("AccessDenied"):
        return (
            "the role of this instance may not cloudwatch:PutMetricData ({}): give it the policy that `invoke iam "
            "--policy instance` prints".format(error)
        )
    return "CloudWatch refuses it ({})".format(error)
