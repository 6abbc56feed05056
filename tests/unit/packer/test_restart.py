"""The table [restart] of an environment, and what becomes of it on the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packer.rootfs import render_rootfs
from tests.unit.packer.samples import arbitrum_settings, settings_in
from transcoder.errors import BadSettings
from transcoder.settings import ROOT, Settings, load, names
from transcoder.settings_restart import Restart


def nightly(settings: Settings) -> dict[str, Any]:
    baked = json.loads(render_rootfs(settings)["etc/transcoder/watch.json"].content)
    found: dict[str, Any] = baked["nightly"]
    return found


def with_restart(directory: Path, text: str) -> Settings:
    path = Path(settings_in(directory).path)
    path.write_text(f"{path.read_text()}\n[restart]\n{text}\n")
    return load(str(path))


@pytest.mark.parametrize("name", names())
def test_no_environment_that_ships_restarts_its_nodes_by_itself(name: str) -> None:
    assert load(name).restart.nightly == ""


def test_the_machine_is_told_the_budgets_of_the_environment(tmp_path: Path) -> None:
    found = nightly(with_restart(tmp_path, 'nightly = "02:30"\nwait_reward_seconds = 7\nmax_age_hours = 0.5'))

    assert (found["wait_reward_seconds"], found["max_age_seconds"], found["wait_sessions_seconds"]) == (7, 1800, 600)
    assert (found["in_sync_seconds"], found["healthy_seconds"]) == (600, 120)
    assert found["mounts"] == {"livepeer": "d1.mount", "geth": "d2.mount"}
    assert found["stop_seconds"] == {"livepeer": 30, "geth": 180}


def test_a_node_without_geth_is_told_of_none(tmp_path: Path) -> None:
    found = nightly(arbitrum_settings(tmp_path))

    assert (set(found["mounts"]), set(found["stop_seconds"])) == ({"livepeer"}, {"livepeer"})


@pytest.mark.parametrize(
    "text",
    [
        'nightly = "3:00"',
        'nightly = "24:00"',
        "nightly = 03:00:00",
        "within_minutes = 1440",
        "wait_reward_seconds = -1",
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_baked(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSettings) as caught:
        with_restart(tmp_path, text)

    assert caught.value.reasons[0].startswith(f"restart.{text.partition(' ')[0]}")


def test_every_key_is_in_the_docs() -> None:
    text = (ROOT / "docs/environment.md").read_text().partition("## Restart")[2].partition("\n## ")[0]

    assert [name for name in Restart.model_fields if f"`{name}`" not in text] == []
