"""The command lines that look, and the reward, typed as an operator does, in the simulated world."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from invoke.program import Program

import fabfile
from tests.simulated import fleet
from tests.simulated.world import NODE, Simulation
from transcoder import app
from transcoder.layout import LIVEPEER
from transcoder.world import World


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Simulation:
    simulation = Simulation()

    @contextmanager
    def world(_settings: Any) -> Iterator[World]:
        yield simulation.world

    monkeypatch.setattr(app, "settings", lambda _env: simulation.settings)
    monkeypatch.setattr(app, "world", world)
    monkeypatch.setattr(app, "watched_world", world)
    return simulation


def fab(*words: str) -> int:
    """Type a command; return its exit code."""
    try:
        Program(namespace=fabfile.namespace).run(["fab", *words])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_status_ends_with_0_and_with_check_with_4(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.furnish(sim, 2)
    assert fab("status", "--check") == 0
    sim.machine("tc002").stop(LIVEPEER.service.unit)
    assert fab("status") == 0
    capsys.readouterr()
    assert fab("status", "--check", "--json") == 4
    captured = capsys.readouterr()
    assert [node["healthy"] for node in json.loads(captured.out)] == [True, False]
    assert "not tc002" in captured.err


def test_one_node_as_json_is_a_list_of_one_with_what_scripts_read(
    sim: Simulation, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.node()
    assert fab("status", "--node", NODE, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)
    wanted = {"node", "healthy", "problems", "instance", "name", "private_ip", "elastic_ip", "elastic_ip_at", "volumes"}
    assert wanted | {"services", "mounts", "address", "marker", "chain", "round", "open_files_limit", "lock"} == set(
        found
    )


def test_a_watch_that_cannot_be_meant_is_refused(sim: Simulation) -> None:
    assert fab("status", "--watch", "--check") == 3
    assert fab("status", "--watch", "--every", "0") == 3


def test_logs_of_all_nodes(sim: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.furnish(sim, 2)
    sim.machine("tc002").journal[LIVEPEER.service.unit] = ["2026-11-22T10:00:00+0000 ip livepeer[7]: hello"]
    assert fab("logs", "--unit", "livepeer") == 0
    assert capsys.readouterr().out == "tc002  2026-11-22T10:00:00+0000 ip livepeer[7]: hello\n"
    sim.machine("tc001").faults.unreachable = True
    assert fab("logs") == 5


def test_a_bundle_is_a_file_of_its_owner_alone_and_is_not_replaced(
    sim: Simulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.node()
    path = tmp_path / "bundle.tar.gz"
    assert fab("bundle", "--output", str(path)) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in capsys.readouterr().out
    assert fab("bundle", "--output", str(path)) == 3


def test_the_reward_is_called_once_and_the_second_time_refused(
    sim: Simulation, capsys: pytest.CaptureFixture[str]
) -> None:
    sim.node()
    sim.rounds.last_reward -= 1
    assert fab("reward", "--dry-run") == 0
    assert sim.rounds.paid == []
    assert fab("reward", "--yes") == 0
    assert fab("reward", "--yes") == 3
    assert "has been called already; a second call reverts and costs gas" in capsys.readouterr().err
    assert sim.rounds.paid == [""]
