"""The operator's journal: whole lines, one a step that begins or ends, readable by nobody else."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from tests.simulated.world import NODE, Simulation, perform, settings
from transcoder.recipes import migrate


def test_every_step_has_a_line_when_it_begins_and_one_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "operations.jsonl"
    sim = Simulation(settings(operator={"journal": str(path)}))
    sim.node()
    sim.instance("tc001-b")
    perform(migrate.operation(migrate.Request(NODE, "tc001-b")), sim)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    began = [line["step"] for line in lines if line["outcome"] is None]
    ended = [line["step"] for line in lines if line["outcome"] == "done"]
    assert "livepeer/detach" in began
    assert set(began) >= set(ended)
    assert lines.index(next(line for line in lines if line["step"] == "livepeer/stop")) < next(
        n for n, line in enumerate(lines) if line["step"] == "livepeer/unmount"
    )
    assert {line["pid"] for line in lines} == {os.getpid()}
    assert {line["operation"] for line in lines} == {"fab migrate --to tc001-b"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_journal_nothing_is_written(tmp_path: Path) -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    perform(migrate.operation(migrate.Request(NODE, "tc001-b")), sim)
    assert list(tmp_path.iterdir()) == []
