"""A plan as `fab migrate --dry-run --json` prints it, cut down, and results of cells."""

from __future__ import annotations

from typing import Any

from lab.matrix.plan import Roles
from lab.matrix.results import Result, Typed

SOURCE, TARGET = "i-0000000000000000a", "i-0000000000000000b"
ROLES = Roles(SOURCE, TARGET)


def step(key: str, *, after: tuple[str, ...] = (), calls: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """Return a step of a plan."""
    lane = key.partition("/")[0]
    return {"key": key, "lane": lane, "calls": list(calls), "after": list(after), "skip": None, **fields}


def document() -> dict[str, Any]:
    """Return a plan with two lanes that leave the source and meet at the target."""
    lanes = [
        [
            step(f"{lane}/stop", instance=SOURCE, after=("prepare/hold",)),
            step(f"{lane}/detach", instance=SOURCE, calls=("DetachVolume",)),
            step(f"{lane}/attach", instance=TARGET, calls=("AttachVolume",)),
            step(f"{lane}/mount", place={"instance": TARGET, "volume": "vol-1"}),
        ]
        for lane in ("livepeer", "geth")
    ]
    steps = [
        step("prepare/hold", instance=TARGET),
        *lanes[0],
        *lanes[1],
        step("node/start", instance=TARGET, after=("livepeer/mount", "geth/mount")),
        step(f"tags/tag {SOURCE}", calls=("CreateTags",), after=("node/start",)),
    ]
    return {"plan": {"title": "migrate", "steps": steps}}


def result(cell: str = "livepeer/attach:kill_operator", **fields: Any) -> Result:
    """Return a cell that ended well after one more run."""
    at, _, trouble = cell.partition(":")
    typed = (Typed("fab migrate --to b --yes", -9, 3.0, "killed"), Typed("fab migrate --to b --yes", 0, 9.0, "done"))
    well: dict[str, Any] = {"hit": True, "healthy": True, "reruns": 1, "seconds": 20.0, "typed": typed}
    return Result(cell, at, trouble, **{**well, **fields})
