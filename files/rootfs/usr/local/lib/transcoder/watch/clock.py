"""Is the clock right? geth loses its peers when it is off by some 20 s, and certificates and signatures go by it."""

from typing import Iterator

from .model import ALARM, Gauge, Item, NoAnswer, Node, Reading, above

LOCAL_CLOCK = "7F7F0101"
"""chronyd follows nobody but the machine's own clock."""


def look(node: Node) -> Iterator[Item]:
    """Yield how far off the clock can be: |offset| + dispersion + delay / 2 (chronyc(1), tracking)."""
    fields = node.run(["chronyc", "-n", "-c", "tracking"]).strip().split(",")
    if len(fields) != 14:
        raise NoAnswer("chronyc prints {} fields, not 14".format(len(fields)))
    try:
        offset, delay, dispersion = float(fields[4]), float(fields[10]), float(fields[11])
    except ValueError:
        raise NoAnswer("chronyc prints something that is no number: {}".format(",".join(fields)[:200])) from None
    worst = abs(offset) + dispersion + delay / 2
    yield Gauge("clock_offset_seconds", {}, offset)
    if fields[13] == "Not synchronised" or fields[0] == LOCAL_CLOCK or fields[2] == "0":
        yield Reading("clock", "", ALARM, None, "the clock follows no other: chronyd reaches no server")
        return
    level = above(worst, node.limit("clock_warn_seconds"), node.limit("clock_alarm_seconds"))
    message = "at most {:.4f} s off, follows {} (stratum {})".format(worst, fields[1], fields[2])
    yield Reading("clock", "", level, worst, message)
