"""A made-up rehearsal for the tests of what is computed and shown."""

from __future__ import annotations

from typing import Any

from lab.rehearsal.bound import Unavoidable
from lab.rehearsal.migration import read_migration
from lab.rehearsal.records import Kept
from lab.rehearsal.report import Bake, Ended, Program, Proof, Report, Row
from lab.rehearsal.runner import Line
from lab.rehearsal.watch import Downtime, Outage

TITLE = "migrate node tc001 from tc001 (i-1) to tc001-b (i-2)"
STEPS = (
    ("prepare", "hold", "hold the units on tc001-b", (), 0.0, 0.5),
    ("livepeer", "stop", "stop livepeer-transcoder.service on tc001", ("prepare/hold",), 0.5, 1.0),
    ("livepeer", "detach", "detach vol-1 (livepeer-data) from tc001", (), 1.5, 1.0),
    ("geth", "stop", "stop geth.service on tc001", ("prepare/hold",), 0.5, 3.0),
    ("geth", "in-sync", "geth in sync on tc001-b", (), 3.5, 2.0),
    ("address", "associate", "Elastic IP 192.0.2.7 to tc001-b", ("livepeer/stop",), 1.5, 0.5),
    ("node", "start", "start livepeer-transcoder.service on tc001-b", ("livepeer/detach", "geth/in-sync"), 5.5, 1.0),
    ("node", "healthy", "livepeer healthy on tc001-b as 0xabc", (), 6.5, 1.0),
)

UNAVOIDABLE = Unavoidable(
    {"detach": 0.9, "associate": 0.4},
    {"livepeer/stop": 0.8, "geth/stop": 2.5, "geth/in-sync": 1.5, "node/start": 0.75, "node/healthy": 0.25},
)
"""What nobody could have hurried in it."""


def document() -> dict[str, Any]:
    """Return the JSON of a migration as ``fab migrate --json`` prints it."""
    plan = [
        {"key": f"{lane}/{verb}", "title": title, "lane": lane, "after": list(after), "skip": None}
        for lane, verb, title, after, _, _ in STEPS
    ]
    steps = [
        {"key": f"{lane}/{verb}", "title": title, "lane": lane, "outcome": "done", "began": began, "seconds": seconds}
        for lane, verb, title, _, began, seconds in STEPS
    ]
    result = {"title": TITLE, "seconds": 7.5, "steps": steps}
    return {"plan": {"title": TITLE, "notes": [], "steps": plan}, "results": [result]}


def progress(zero: float) -> tuple[Line, ...]:
    """Return the lines of that migration: it began at ``zero``, each line comes 10 ms late, the last a second."""
    late = [0.01] * (len(STEPS) - 1) + [1.0]
    return tuple(
        Line(zero + began + seconds + delay, "stderr", f"✓ {seconds:7.1f} s  {lane:<9} {title}")
        for (lane, _, title, _, began, seconds), delay in zip(STEPS, late, strict=True)
    )


def report(*, failed: bool = False) -> Report:
    """Return the report of a rehearsal that passed, or of one whose last act failed."""
    late, moved = Outage(100.2, 100.8, ("no answer in 0.5 s",)), Outage(101.0, 104.5, ("Connection refused",))
    outside = Downtime((late, moved), asked=300, good=200)
    last = Row("again", "the same again", "fab migrate", Ended.FAILED, 1.0, "`fab <migrate>` ended with 4", "log")
    return Report(
        environment="lab",
        description="EC2 on <this> machine",
        started="2026-01-31T16:00:00+00:00",
        seconds=61.25,
        rows=(
            Row("lab-up", "start the lab", "invoke lab.up --env lab", Ended.DONE, 12.5, log="logs/01.log"),
            *((last, Row("after", "look again")) if failed else ()),
        ),
        proofs=(Proof("migrate", "the node answers & serves", True, "down for <6.5 s>"),),
        facts={"stock image": "ubuntu-18.04"},
        programs=(Program("geth", True, "Version: 1.8.27; This is a stand-in"), Program("livepeer", False, "0.2.4")),
        bake=Bake("ami-1", "livepeer", "1.6.6", "amazon-ebs", True, 30.0, ("==> amazon-ebs.image: Creating AMI",)),
        migration=read_migration(document(), UNAVOIDABLE, progress(100.0), outside),
        records=Kept(known=90, written=100, found=100, total=250, pause_seconds=6.2),
        hints=("the lab stays up",),
    )
