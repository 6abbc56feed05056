"""Is the right volume on each mount point, can it be written to, and how long will there be room?"""

import json
import os
import re
from typing import Any, Dict, Iterator, NamedTuple, Optional

from .model import ALARM, DAY, OK, Gauge, Item, NoAnswer, Node, Reading, below
from .store import slope
from .units import held

MOUNTS = "/proc/1/mountinfo"
"""Not one's own: in the sandbox of this service everything is mounted read-only."""


class Mounted(NamedTuple):
    """A line of mountinfo: ``device`` as MAJOR:MINOR; writable: the mount and the file system under it."""

    device: str
    kind: str
    writable: bool


def look(node: Node) -> Iterator[Item]:
    """Yield the readings of every volume, and those of the root file system."""
    mounted = parse_mountinfo(node.read(MOUNTS))
    for role, volume in sorted(node.config["volumes"].items()):
        path = volume["mount"]
        if volume_held(node, role):
            yield _held(role, path, path in mounted)
            continue
        problem = _problem(node, role, volume, mounted.get(path))
        yield Reading("mount", role, ALARM if problem else OK, 0.0 if problem else 1.0, problem or path + " is right")
        if path in mounted:
            yield from _room(node, role, path)
    yield from _room(node, "root", "/")


def volume_held(node: Node, role: str) -> bool:
    """Tell whether an operation moves a volume: an open file below its mount would make its umount fail (busy)."""
    return held(node, node.config["units"][role])


def _held(role: str, path: str, mounted: bool) -> Reading:
    what = "{} is {}; held by an operation that moves the volume".format(path, "mounted" if mounted else "not mounted")
    return Reading("mount", role, OK if mounted else ALARM, 1.0 if mounted else 0.0, what)


def parse_mountinfo(text: str) -> Dict[str, Mounted]:
    """Return what is mounted by mount point; of several on one point the last is the one that is seen (proc(5))."""
    found = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if len(fields) >= 6 and len(tail) >= 3:
            options = fields[5].split(",") + tail[2].split(",")
            found[_plain(fields[4])] = Mounted(fields[2], tail[0], "ro" not in options)
    return found


def _plain(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), path)


def _problem(node: Node, role: str, volume: Dict[str, Any], mounted: Optional[Mounted]) -> str:
    """Say what is wrong with a volume; empty when it is right."""
    path = volume["mount"]
    if mounted is None:
        return "nothing is mounted on {}".format(path)
    if not mounted.writable:
        return "{} is read-only, as the kernel makes a file system with errors".format(path)
    errors = _errors(node, mounted)
    if errors:
        return "the file system of {} has met {} error(s) since it was checked: it may take no more writes".format(
            path, errors
        )
    label = _label(node, mounted.device)
    if label not in (None, volume["label"]):
        return "{} has the file system {!r}, not {!r}".format(path, label, volume["label"])
    try:
        marker = json.loads(node.read("{}/{}".format(path, node.config["marker"])))
    except (NoAnswer, ValueError):
        return "{} has no readable {}".format(path, node.config["marker"])
    found = marker.get("role") if isinstance(marker, dict) else None
    return "" if found == role else "{} has a volume of role {!r}".format(path, found)


def _errors(node: Node, mounted: Mounted) -> int:
    """Return how many errors ext4 has met since e2fsck was there; 0 also where the kernel does not tell.

    Since 6.12, and 6.1.176 among the older ones, a file system that refuses every write after an error (its journal is
    aborted) is still shown as mounted rw.
    """
    try:
        uevent = node.read("/sys/dev/block/{}/uevent".format(mounted.device))
        name = re.search(r"^DEVNAME=(.*)$", uevent, re.MULTILINE)
        return int(node.read("/sys/fs/ext4/{}/errors_count".format(name.group(1) if name else "")))
    except (NoAnswer, ValueError):
        return 0


def _label(node: Node, device: str) -> Optional[str]:
    """Return the label that udev has seen; None where udev knows nothing of the device."""
    try:
        text = node.read("/run/udev/data/b" + device)
    except NoAnswer:
        return None
    match = re.search(r"^E:ID_FS_LABEL=(.*)$", text, re.MULTILINE)
    return match.group(1) if match else ""


def _room(node: Node, name: str, path: str) -> Iterator[Item]:
    """Tell how much room is left, of bytes and of inodes whichever is scarcer, and for how long."""
    found = os.statvfs(node.root + path)
    free_bytes, free_inodes = found.f_bavail * found.f_frsize, found.f_favail
    shares = {"bytes": _share(found.f_bavail, found.f_blocks), "inodes": _share(found.f_favail, found.f_files)}
    scarce = min(shares, key=lambda kind: shares[kind])
    level = below(shares[scarce], node.limit("space_warn_percent"), node.limit("space_alarm_percent"))
    labels = {"volume": name}
    yield Gauge("volume_free_bytes", labels, free_bytes)
    yield Gauge("volume_free_inodes", labels, free_inodes)
    message = "{:.1f} % of the {} of {} are free".format(shares[scarce], scarce, path)
    yield Reading("space", name, level, shares[scarce], message)
    yield _filling(node, name, path, shares[scarce], scarce)


def _share(free: float, whole: float) -> float:
    """Return percent; a file system without a number of inodes (whole 0) has no end of them."""
    return 100.0 * free / whole if whole else 100.0


def _filling(node: Node, name: str, path: str, free: float, scarce: str) -> Reading:
    falling = slope(node.store.sample("free.{}.{}".format(name, scarce), node.now(), free))
    if falling is None:
        return Reading("filling", name, OK, None, "not enough samples yet to say when {} will be full".format(path))
    if falling >= 0:
        return Reading("filling", name, OK, None, "{} does not fill up".format(path))
    days = free / -falling / DAY
    level = below(days, node.limit("full_warn_days"), node.limit("full_alarm_days"))
    return Reading("filling", name, level, days, "{} is full in {:.1f} days if it goes on so".format(path, days))
