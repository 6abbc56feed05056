"""The states as JSON, as a line for ``systemctl status``, and in Prometheus' text format (version 0.0.4)."""

import json
from typing import Any, Callable, Dict, List, Optional, Tuple

from .board import Shown, is_healthy, worst
from .model import ALARM, NAMES, OK, UNKNOWN, WARN, Gauge

PREFIX = "transcoder_"
STATES: Tuple[Tuple[str, str, Callable[[Shown], Optional[float]]], ...] = (
    ("check_state", "0 ok, 1 unknown, 2 warn, 3 alarm", lambda item: item.level),
    ("check_since_seconds", "Unix time since when the check is in its state", lambda item: item.since),
    ("check_value", "what the check goes by, in its own unit", lambda item: item.reading.value),
)


def health(shown: List[Shown], identity: Dict[str, str], now: float) -> Tuple[int, str]:
    """Return the HTTP status and the body of ``/health``."""
    healthy = is_healthy(shown)
    document: Dict[str, Any] = {
        "healthy": healthy,
        "state": NAMES[worst(shown)],
        "time": round(now),
        **identity,
        "checks": [item.to_json() for item in shown],
    }
    return (200 if healthy else 503), json.dumps(document, indent=1) + "\n"


def status_line(shown: List[Shown]) -> str:
    """Return what ``systemctl status`` shows: what is wrong first, in one line."""
    wrong = [item for item in shown if item.level in (ALARM, WARN)]
    blind = [item for item in shown if item.level == UNKNOWN]
    good = len([item for item in shown if item.level == OK])
    told = ["{} {}: {}".format(NAMES[item.level], _name(item), item.reading.message) for item in wrong[:3]]
    more = ["{} more".format(len(wrong) - 3)] if len(wrong) > 3 else []
    unknown = ["unknown: {}".format(", ".join(_name(item) for item in blind[:5]))] if blind else []
    return "; ".join(["{} of {} ok".format(good, len(shown)), *told, *more, *unknown]).replace("\n", " ")


def _name(item: Shown) -> str:
    reading = item.reading
    return "{}/{}".format(reading.check, reading.subject) if reading.subject else reading.check


def metrics(shown: List[Shown], gauges: List[Gauge], identity: Dict[str, str]) -> str:
    """Return the body of ``/metrics``."""
    lines = ["# HELP transcoder_info what this machine is", "# TYPE transcoder_info gauge"]
    lines.append("transcoder_info{} 1".format(_labels(identity)))
    lines += ["# TYPE transcoder_healthy gauge", "transcoder_healthy {}".format(1 if is_healthy(shown) else 0)]
    for name, text, value in STATES:
        lines += ["# HELP {}{} {}".format(PREFIX, name, text), "# TYPE {}{} gauge".format(PREFIX, name)]
        values = [(item, value(item)) for item in shown]
        lines += [_line(name, _check(item), number) for item, number in values if number is not None]
    by_name: Dict[str, List[Gauge]] = {}
    for gauge in gauges:
        by_name.setdefault(gauge.name, []).append(gauge)
    for name in sorted(by_name):
        lines.append("# TYPE {}{} {}".format(PREFIX, name, "counter" if name.endswith("_total") else "gauge"))
        lines += [_line(name, gauge.labels, gauge.value) for gauge in by_name[name]]
    return "\n".join(lines) + "\n"


def _check(item: Shown) -> Dict[str, str]:
    return {"check": item.reading.check, "subject": item.reading.subject}


def _line(name: str, labels: Dict[str, str], value: float) -> str:
    return "{}{}{} {!r}".format(PREFIX, name, _labels(labels), float(value))


def _labels(labels: Dict[str, str]) -> str:
    told = ['{}="{}"'.format(name, _escaped(text)) for name, text in sorted(labels.items())]
    return "{{{}}}".format(",".join(told)) if told else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
