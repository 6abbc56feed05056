"""Are the units active, since when, and do they keep falling over?"""

import re
from typing import Dict, Iterator

from .model import ALARM, OK, WARN, Gauge, Item, NoAnswer, Node, Reading, span

PROPERTIES = "Id,LoadState,ActiveState,SubState,ActiveEnterTimestampMonotonic,NRestarts,Result"
HOLD = "/run/transcoder/hold/"
HOUR = 3600.0


def look(node: Node) -> Iterator[Item]:
    """Yield a reading for every unit, and one for how often it was restarted."""
    units = node.config["units"]
    text = node.run(["systemctl", "show", "--property=" + PROPERTIES, "--", *units.values()])
    found = parse(text)
    uptime = seconds_up(node)
    for role, unit in sorted(units.items()):
        if unit not in found:
            raise NoAnswer("systemctl says nothing of {}".format(unit))
        state = found[unit]
        yield _active(node, role, unit, state, uptime)
        yield from _restarts(node, role, unit, state)


def parse(text: str) -> Dict[str, Dict[str, str]]:
    """Return the properties of each unit by its Id."""
    blocks = [dict(re.findall(r"^(\w+)=(.*)$", block, re.MULTILINE)) for block in text.split("\n\n")]
    return {block["Id"]: block for block in blocks if "Id" in block}


def seconds_up(node: Node) -> float:
    """Return for how long the machine has been up, by the clock that systemd's monotonic times are of."""
    try:
        return float(node.read("/proc/uptime").split()[0])
    except (ValueError, IndexError):
        raise NoAnswer("/proc/uptime has another form than expected") from None


def _active(node: Node, role: str, unit: str, state: Dict[str, str], uptime: float) -> Reading:
    entered = int(state.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    told = "{} ({})".format(state.get("ActiveState", "?"), state.get("SubState", "?"))
    if state.get("ActiveState") == "active":
        seconds = max(uptime - entered, 0.0)
        return Reading("unit", role, OK, seconds, "{} is {} for {}".format(unit, told, span(seconds)))
    why = "; result {}".format(state["Result"]) if state.get("Result", "success") != "success" else ""
    if state.get("LoadState") != "loaded":
        why += "; its file is {}".format(state.get("LoadState", "?"))
    if held(node, unit):
        why += "; held by an operation that moves the volume"
    return Reading("unit", role, ALARM, 0.0, "{} is {}{}".format(unit, told, why))


def held(node: Node, unit: str) -> bool:
    """Tell whether an operation holds a unit: it moves the volume, and nobody may touch what is below its mount."""
    try:
        node.read(HOLD + unit)
    except NoAnswer:
        return False
    return True


def _restarts(node: Node, role: str, unit: str, state: Dict[str, str]) -> Iterator[Item]:
    """Count what systemd restarted by itself within the last hour."""
    count = int(state.get("NRestarts") or 0)
    name, now = "restarts." + unit, node.now()
    seen = [item for item in node.store.value(name) or [] if 0 <= now - item[0] < HOUR and item[1] <= count]
    if not seen or seen[-1][1] != count:
        seen.append([now, count])
    node.store.put(name, seen)
    lately = count - seen[0][1]
    level = WARN if lately >= node.limit("restarts_warn") else OK
    yield Gauge("unit_restarts_total", {"unit": unit}, count)
    yield Reading("restarts", role, level, lately, "systemd restarted {} {} times within an hour".format(unit, lately))
