"""``systemctl show``: the state of units. Recorded with systemd 237 and 252.

``show`` exits 0 for a unit that does not exist (LoadState is then ``not-found``), prints its properties in an order of
its own, and leaves out those that the kind of unit lacks: a mount has neither MainPID nor NRestarts.
"""

from __future__ import annotations

from transcoder.facts.reading import unreadable, whole_number
from transcoder.model import ServiceState

TOOL = "systemctl"
PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "SubState", "MainPID", "Result", "NRestarts"),
    *("ActiveEnterTimestamp", "StateChangeTimestamp", "StatusText"),
)


def command(*units: str) -> tuple[str, ...]:
    """Return the command for these units; without any, systemctl would describe itself, so that is an error.

    :raises ValueError: without units.
    """
    if not units:
        raise ValueError("name at least one unit")
    return ("systemctl", "show", "--property=" + ",".join(PROPERTIES), "--", *units)


def parse_systemctl(text: str) -> tuple[ServiceState, ...]:
    """Return one state a unit, in the order in which the units were named.

    :raises Failed: when a line is no ``Key=value``, or a unit lacks its Id or one of its three states.
    """
    blocks = [block for block in text.split("\n\n") if block.strip()]
    if not blocks:
        raise unreadable(TOOL, "no output")
    return tuple(_state(_properties(block)) for block in blocks)


def _properties(block: str) -> dict[str, str]:
    properties = {}
    for line in block.strip("\n").splitlines():
        key, separator, value = line.partition("=")
        if not separator:
            raise unreadable(TOOL, "expected Key=value", line)
        properties[key] = value
    return properties


def _state(properties: dict[str, str]) -> ServiceState:
    for key in ("Id", "LoadState", "ActiveState", "SubState"):
        if not properties.get(key):
            raise unreadable(TOOL, f"no {key} for a unit", str(properties))
    unit = properties["Id"]
    return ServiceState(
        unit=unit,
        load=properties["LoadState"],
        active=properties["ActiveState"],
        sub=properties["SubState"],
        main_pid=whole_number(TOOL, f"MainPID of {unit}", properties.get("MainPID", 0)),
        since=properties.get("ActiveEnterTimestamp", ""),
        result=properties.get("Result", ""),
        restarts=whole_number(TOOL, f"NRestarts of {unit}", properties.get("NRestarts", 0)),
        changed=properties.get("StateChangeTimestamp", ""),
        told=properties.get("StatusText", ""),
    )
