"""What only root may count, from the file that ``watch-counts`` writes: open files, winning tickets.

That program has no network; this one, which has, may read neither the database nor another user's processes.
"""

import json
from typing import Any, Dict, Iterator

from .model import OK, Gauge, Item, NoAnswer, Node, Reading, above, span

FILE = "/run/transcoder-counts/counts.json"
OLDEST = 300.0
"""Seconds after which the file says nothing any more."""


def look(node: Node) -> Iterator[Item]:
    """Yield the readings of the counts."""
    counts = _counts(node)
    for role, item in sorted(counts["files"].items()):
        yield from _files(node, role, item)
    if counts["tickets"] is not None:
        yield from _tickets(node, counts["tickets"])


def _counts(node: Node) -> Dict[str, Any]:
    try:
        found = json.loads(node.read(FILE))
        age = node.now() - float(found["written"])
    except (ValueError, KeyError, TypeError):
        raise NoAnswer("{} is not readable".format(FILE)) from None
    if age > OLDEST:
        raise NoAnswer("{} is {} old: does transcoder-counts.service run?".format(FILE, span(age)))
    return dict(found)


def _files(node: Node, role: str, item: Dict[str, Any]) -> Iterator[Item]:
    share = 100.0 * item["open"] / item["limit"] if item["limit"] else 0.0
    level = above(share, node.limit("open_files_warn_percent"), node.limit("open_files_alarm_percent"))
    yield Gauge("open_files", {"service": role}, item["open"])
    yield Gauge("open_files_limit", {"service": role}, item["limit"])
    yield Reading("open-files", role, level, share, "{open} of {limit} files are open".format(**item))


def _tickets(node: Node, tickets: Dict[str, Any]) -> Iterator[Item]:
    yield Gauge("tickets_unredeemed", {}, tickets["count"])
    yield Gauge("tickets_unredeemed_eth", {}, tickets["wei"] / 1e18)
    if not tickets["count"]:
        yield Reading("tickets", "", OK, 0.0, "no winning ticket waits to be redeemed")
        return
    age = max(node.now() - tickets["oldest"], 0.0)
    level = above(age / 3600, node.limit("ticket_warn_hours"), node.limit("ticket_alarm_hours"))
    message = "{} winning tickets ({:.6f} ETH) are not redeemed, the oldest for {}"
    yield Reading("tickets", "", level, age / 3600, message.format(tickets["count"], tickets["wei"] / 1e18, span(age)))
