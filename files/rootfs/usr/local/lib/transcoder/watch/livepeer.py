"""Does livepeer answer, as whom, is it registered and active, what does it serve. Which route has what: the catalog."""

import json
import re
from typing import Any, Dict, Iterator

from .ask import get, get_json
from .model import ALARM, OK, WARN, Gauge, Item, NoAnswer, Node, Reading
from .units import held


def expected_address(node: Node) -> str:
    """Return the account that the volume says the node has, lower case.

    Raises NoAnswer when the volume is not there, is being moved, or has none.
    """
    if held(node, node.config["units"]["livepeer"]):
        raise NoAnswer("the volume is held by an operation that moves it")
    path = "{}/{}".format(node.config["volumes"]["livepeer"]["mount"], node.config["marker"])
    try:
        found = json.loads(node.read(path)).get("address")
    except (ValueError, AttributeError):
        raise NoAnswer("{} is not readable".format(path)) from None
    if not isinstance(found, str) or not re.match(r"0x[0-9a-fA-F]{40}$", found):
        raise NoAnswer("{} names no address yet".format(path))
    return found.lower()


def look(node: Node) -> Iterator[Item]:
    """Yield the readings of livepeer's API."""
    api = node.config["livepeer"]
    try:
        status = get_json(api["base"], api["status"])
    except NoAnswer as error:
        yield Reading("livepeer-api", "", ALARM, 0.0, str(error))
        raise
    yield Reading("livepeer-api", "", OK, 1.0, "livepeer answers at {}".format(api["base"]))
    yield from _sessions(node, api, status)
    if api["on_chain"]:
        yield _address(node, api)
        yield _registered(own_record(api))


def account(api: Dict[str, Any]) -> str:
    """Return the account that livepeer runs as, lower case."""
    return get(api["base"], api["address"]).decode("ascii", "replace").strip().lower()


def busy(api: Dict[str, Any]) -> float:
    """Return how many sessions livepeer serves."""
    return _busy(get_json(api["base"], api["status"]), _own_metrics(api))


def own_record(api: Dict[str, Any]) -> Dict[str, Any]:
    """Return the node's own record of the protocol: LastRewardRound, Active, Status, ServiceURI where there is one."""
    record = get_json(api["base"], api["own_record"])
    if api["own_record_key"]:
        record = record.get(api["own_record_key"]) or {}
    if not isinstance(record, dict) or "LastRewardRound" not in record:
        raise NoAnswer("{} has no LastRewardRound".format(api["own_record"]))
    return record


def current_round(api: Dict[str, Any]) -> int:
    """Return the number of the round: decimal text, or big-endian bytes, by version."""
    if api["round_form"] == "bytes":
        return int.from_bytes(get(api["base"], api["current_round"]), "big")
    text = get(api["base"], api["current_round"]).decode("ascii", "replace").strip()
    if not text.isdigit():
        raise NoAnswer("{} answers {!r}, no number".format(api["current_round"], text[:80]))
    return int(text)


def is_initialized(api: Dict[str, Any]) -> bool:
    """Tell whether the round is initialised."""
    text = get(api["base"], api["round_initialized"]).strip()
    if text not in (b"true", b"false"):
        raise NoAnswer("{} answers {!r}, neither true nor false".format(api["round_initialized"], text[:80]))
    return text == b"true"


def wei(api: Dict[str, Any]) -> int:
    """Return the account's balance."""
    text = get(api["base"], api["eth_balance"]).decode("ascii", "replace").strip()
    if not text.isdigit():
        raise NoAnswer("{} answers {!r}, no number".format(api["eth_balance"], text[:80]))
    return int(text)


def _address(node: Node, api: Dict[str, Any]) -> Reading:
    wanted = expected_address(node)
    found = account(api)
    if found == wanted:
        return Reading("livepeer-address", "", OK, 1.0, "livepeer runs as {}".format(wanted))
    return Reading("livepeer-address", "", ALARM, 0.0, "livepeer runs as {}, not as {}".format(found[:80], wanted))


def _registered(record: Dict[str, Any]) -> Reading:
    registered, active = record.get("Status") == "Registered", record.get("Active") is True
    message = "{}, {}".format(record.get("Status", "no status"), "active" if active else "not active")
    level = OK if registered and active else ALARM
    return Reading("livepeer-registered", "", level, 1.0 if level == OK else 0.0, message)


def _sessions(node: Node, api: Dict[str, Any], status: Dict[str, Any]) -> Iterator[Item]:
    """Yield the number of streams, and how near it is to the most that this livepeer takes, where that can be known."""
    numbers = _own_metrics(api)
    count = _busy(status, numbers)
    yield Gauge("livepeer_sessions", {}, count)
    most = numbers.get("livepeer_max_sessions_total", 0.0)
    if not most:
        yield Reading("sessions", "", OK, count, "{:.0f} sessions; this livepeer tells no limit".format(count))
        return
    level = WARN if 100 * count / most >= node.limit("sessions_warn_percent") else OK
    yield Reading("sessions", "", level, count, "{:.0f} sessions of {:.0f}".format(count, most))


def _busy(status: Dict[str, Any], numbers: Dict[str, float]) -> float:
    streams = status.get("Manifests")
    return numbers.get("livepeer_current_sessions_total", float(len(streams) if isinstance(streams, dict) else 0))


def _own_metrics(api: Dict[str, Any]) -> Dict[str, float]:
    """Return livepeer's own Prometheus numbers, summed over their labels; none without -monitor."""
    if not api["metrics"]:
        return {}
    try:
        text = get(api["base"], api["metrics"]).decode("utf-8", "replace")
    except NoAnswer:
        return {}
    found: Dict[str, float] = {}
    for name, value in re.findall(r"^(\w+)(?:\{[^}]*\})? ([0-9.eE+-]+)$", text, re.MULTILINE):
        found[name] = found.get(name, 0.0) + float(value)
    return found
