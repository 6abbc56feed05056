"""How old is the image, and does the system wait to be rebooted?"""

import json
import os
from datetime import datetime, timezone
from typing import Iterator, Optional

from .model import DAY, OK, Item, NoAnswer, Node, Reading, above, span

RELEASE = "/etc/transcoder/release.json"
"""What the image is; ``baked`` is when it was made."""
REBOOT = "/run/reboot-required"


def look(node: Node) -> Iterator[Item]:
    """Yield the age of the image and of a reboot that is asked for."""
    yield _reboot(node)
    age = max(node.now() - _baked(node), 0.0) / DAY
    level = above(age, node.limit("image_warn_days"), node.limit("image_alarm_days"))
    yield Reading("image-age", "", level, age, "the image was baked {:.0f} days ago".format(age))


def _baked(node: Node) -> float:
    try:
        moment = datetime.strptime(json.loads(node.read(RELEASE))["baked"], "%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, KeyError, TypeError):
        raise NoAnswer("{} does not say when the image was baked".format(RELEASE)) from None
    return moment.replace(tzinfo=timezone.utc).timestamp()


def _reboot(node: Node) -> Reading:
    asked = _changed(node, REBOOT)
    if asked is None:
        return Reading("reboot", "", OK, 0.0, "no reboot is asked for")
    age = max(node.now() - asked, 0.0)
    level = above(age / DAY, node.limit("reboot_warn_days"), node.limit("reboot_alarm_days"))
    return Reading("reboot", "", level, age / DAY, "{} for {}".format(_packages(node), span(age)))


def _packages(node: Node) -> str:
    try:
        names = sorted(set(node.read(REBOOT + ".pkgs").split()))
    except NoAnswer:
        names = []
    return "a reboot is asked for by {}".format(", ".join(names[:5]) or "an update")


def _changed(node: Node, path: str) -> Optional[float]:
    try:
        return os.stat(node.root + path).st_mtime
    except FileNotFoundError:
        return None
