"""A migration breaks in the middle: no record is lost, never are there two writers, and one more command ends it well.

These are the cells of `lab.matrix` that matter most; `script/fault-matrix` performs them all.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.matrix.campaign import Campaign
from lab.matrix.operator import JournalReader, await_step, copy_checkout
from lab.matrix.rules import Cell
from lab.matrix.stage import Stage
from tests.rehearsals.rig import NODE, Rig
from transcoder.settings import ROOT

SPARE = f"{NODE}-b"
CELLS = (
    "geth/unmount:kill_operator",
    "livepeer/attach:api_error_lost_answer",
    "livepeer/check:partition_target",
    "livepeer/stop:power_off_source",
)


def say(line: str) -> None:
    """Show progress to who runs pytest with ``-s``."""
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="module")
def stage(node: Rig, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The rehearsal's node on one machine, and one other that waits; whoever else is there is ended."""
    directory = tmp_path_factory.mktemp("matrix")
    carrier = node.node().carrier
    assert carrier is not None
    others = [i for i in node.node().instances if i.id != carrier.id and i.state in ("pending", "running")]
    for extra in others[1:]:
        node.run("invoke", "terminate", "--instance", extra.id, "--yes")
    if not others:
        node.run("invoke", "launch", "--spare", "--name", SPARE, "--yes")
        others = [node.instance(SPARE)]
    checkouts = (ROOT, copy_checkout(directory / "elsewhere"))
    return Stage(node.environment, directory / "logs", checkouts, pair=(carrier.id, others[0].id))


@pytest.fixture(scope="module")
def campaign(stage: Stage) -> Iterator[Campaign]:
    """What performs cells."""
    made = Campaign(stage, say, may_rebuild=False)
    yield made
    made.close()


@pytest.fixture(scope="module")
def cells(campaign: Campaign) -> dict[str, Cell]:
    """All cells of the plan, by name."""
    return {cell.name: cell for cell in campaign.cells()}


@pytest.mark.parametrize("name", CELLS)
def test_one_more_command_ends_it_well(campaign: Campaign, cells: dict[str, Cell], name: str) -> None:
    (result,) = campaign.perform([cells[name]])
    assert result.passed, f"{result.verdict}: {result}"
    assert result.synced > 0, "the watcher has read records"


def test_of_two_operators_one_is_refused_with_the_others_name(stage: Stage, tmp_path: Path) -> None:
    roles = stage.roles(stage.await_healthy().instance)
    line = stage.migrate(roles, "--yes")
    journal = JournalReader(stage.journal)
    holder = stage.begin(*line)
    assert await_step(holder, journal, "livepeer/attach", 120)
    holder.freeze()
    refused = stage.run(*line, again=True)
    assert refused.exit_code == 3
    told = " ".join(refused.stderr.split())
    assert re.search(rf"locked: \S+ on {re.escape(socket.gethostname())} \(process {holder.pid}\)", told)
    assert f"fab unlock --node {NODE}" in told

    holder.kill()
    stage.must("fab", "unlock", "--node", NODE)
    stage.must(*line)
    after = stage.await_healthy()
    assert after.healthy, after.problems
    assert after.instance == roles.target
    found = stage.records(after.instance)
    assert found is not None
    assert found.problems() == ()
