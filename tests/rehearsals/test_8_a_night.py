"""geth stalls in silence, the node's watch says so, and cron's nightly restart cures it while nobody looks."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.rehearsals import cron_daemon
from tests.rehearsals.rig import BIN, Rig
from transcoder.layout import GETH, LIVEPEER
from transcoder.recipes import cron
from transcoder.settings import ROOT

GETH_UNIT, LIVEPEER_UNIT = GETH.service.unit, LIVEPEER.service.unit
HEALTH = ("curl", "--silent", "http://127.0.0.1:9847/health")
LEAD = timedelta(seconds=120)
"""From the alarm to the night, less the minute that has begun: the entry must be there before."""


def shown(rig: Rig, name: str) -> dict[str, str]:
    """Return by check what the machine's watch shows."""
    found = json.loads(rig.on(name, *HEALTH))
    return {check["check"]: check["state"] for check in found["checks"]}


def pids(rig: Rig, name: str) -> dict[str, str]:
    return {
        unit: rig.on(name, "systemctl", "show", "--property=MainPID", unit).strip().partition("=")[2]
        for unit in (GETH_UNIT, LIVEPEER_UNIT)
    }


def turns(rig: Rig, name: str, since: str) -> list[tuple[str, str]]:
    """Return what systemd's journal says of the two services: (service, stopped or started), first to last."""
    lines = rig.on(name, "journalctl", "--since", since, "--output=json", "--no-pager", "_PID=1").splitlines()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
    said = [(entry.get("UNIT", ""), str(entry["MESSAGE"]).split(" ")[0]) for entry in entries]
    return [
        (unit, word) for unit, word in said if unit in (GETH_UNIT, LIVEPEER_UNIT) and word in ("Stopped", "Started")
    ]


def test_a_geth_that_is_never_in_sync_leaves_livepeer_alone(node: Rig) -> None:
    name = node.status()["name"]
    before = pids(node, name)
    node.run("invoke", "lab.fault", "geth_no_peers", "on", "--instance", name)
    try:
        ran = node.run("invoke", "nightly-restart", "--ignore-round", "--quiet", expect=4)
    finally:
        node.run("invoke", "lab.fault", "geth_no_peers", "off")
    assert "livepeer was left as it is" in ran.stdout
    assert "docs/runbooks/geth-advancing.md" in ran.stdout
    after = pids(node, name)
    assert after[LIVEPEER_UNIT] == before[LIVEPEER_UNIT], "livepeer goes on as it was"
    assert after[GETH_UNIT] not in ("0", before[GETH_UNIT])


def test_cron_restarts_a_stalled_node_in_the_night(node: Rig, tmp_path: Path) -> None:
    name = node.status()["name"]
    log = cron.log_of(node.settings)
    log.unlink(missing_ok=True)
    before = pids(node, name)
    since = node.on(name, "date", "+%Y-%m-%d %H:%M:%S").strip()
    with cron_daemon.running(tmp_path) as inside:
        node.run("invoke", "lab.fault", "geth_stall", "on", "--instance", name)
        node.world.wait("the watch's alarm", lambda: shown(node, name).get("geth-head") == "alarm", 240)
        night = datetime.now(UTC) + LEAD
        install = [str(BIN / "invoke"), "cron.install", "--env", str(node.environment), "--within", "1"]
        for _ in range(2):
            subprocess.run([*inside, *install, "--at", f"{night:%H:%M}"], cwd=ROOT, check=True)
        assert [line.startswith("#") for line in cron_daemon.table(inside)] == [True, False]
        node.world.wait("the night", lambda: log.exists() and "node(s)" in log.read_text(encoding="utf-8"), 240)
        shown_by = subprocess.run(
            [*inside, str(BIN / "invoke"), "cron.show", "--env", str(node.environment)],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    # A node of an earlier rehearsal has volumes left and no machine: that is told, too.
    assert "node(s): 1 restarted" in log.read_text(encoding="utf-8").splitlines()[-1], log.read_text(encoding="utf-8")
    assert "node(s): 1 restarted" in shown_by.stdout
    after = pids(node, name)
    assert all(after[unit] not in ("0", before[unit]) for unit in before)
    told = [line.split(": ")[1] for line in log.read_text(encoding="utf-8").splitlines() if ": done" in line]
    assert [line.split(" on ")[0] for line in told] == [
        *(f"stop {GETH_UNIT}", f"start {GETH_UNIT}", "geth in sync", "no session is running"),
        *(f"stop {LIVEPEER_UNIT}", f"start {LIVEPEER_UNIT}", "livepeer healthy"),
    ]
    assert turns(node, name, since) == [
        *((GETH_UNIT, "Stopped"), (GETH_UNIT, "Started")),
        *((LIVEPEER_UNIT, "Stopped"), (LIVEPEER_UNIT, "Started")),
    ]
    node.world.wait("the watch is green again", lambda: shown(node, name).get("geth-head") == "ok", 150)
    assert node.status()["healthy"]
