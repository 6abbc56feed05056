"""What a compared command is told, and the example of one."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import arena, turns
from benchmarks.turns import theirs, variables
from transcoder import settings as environments
from transcoder.model import ElasticIp, Instance, Volume
from transcoder.recipes.node import NodeFacts
from transcoder.settings import ROOT, Settings

TOLD = {
    *("EC2_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SOURCE_INSTANCE_ID"),
    *("TARGET_INSTANCE_ID", "SOURCE_ADDRESS", "TARGET_ADDRESS", "SSH_USER", "SSH_KEY_FILE", "LIVEPEER_VOLUME_ID"),
    *("GETH_VOLUME_ID", "LIVEPEER_DEVICE", "GETH_DEVICE", "LIVEPEER_MOUNT", "GETH_MOUNT", "LIVEPEER_UNIT"),
    *("GETH_UNIT", "ELASTIC_IP", "ELASTIC_IP_ALLOCATION_ID"),
}
SOURCE = Instance("i-1", "running", "us-east-1a", "ami-1", "c4.large", private_ip="10.0.0.1")
TARGET = Instance("i-2", "running", "us-east-1a", "ami-1", "c4.large", private_ip="10.0.0.2")


@pytest.fixture
def bench(tmp_path: Path) -> Settings:
    return environments.load(str(arena.write_environment(tmp_path)))


def stage(settings: Settings, output: Path) -> Any:
    """Return what stands for an arena: its settings, and where the node is."""
    (output / "logs").mkdir(exist_ok=True)
    livepeer, geth = (Volume(f"vol-{n}", "us-east-1a", 1, "in-use") for n in (1, 2))
    facts = NodeFacts("tc001", livepeer, geth, ElasticIp("eipalloc-1", "192.0.2.7"), (SOURCE, TARGET))
    return SimpleNamespace(settings=settings, facts=lambda: facts, output=output, say=lambda _line: None)


def test_the_benchmark_has_a_lab_of_its_own_with_the_latencies_of_ec2(bench: Settings) -> None:
    shipped = tomllib.loads((ROOT / "environments" / "lab.toml").read_text())
    own = bench.extension("lab")
    assert own["latency"] == "ec2"
    for key in ("name", "network", "endpoint_port"):
        assert own[key] != shipped["lab"][key]
    assert str(own["endpoint_port"]) in bench.aws.endpoint_url
    assert bench.ssh.key_file != shipped["ssh"]["key_file"]


def test_a_command_is_told_everything_it_needs(bench: Settings, tmp_path: Path) -> None:
    told = variables(stage(bench, tmp_path), SOURCE, TARGET)
    assert set(told) == TOLD
    assert all(told.values())
    assert (told["SOURCE_ADDRESS"], told["TARGET_INSTANCE_ID"]) == ("10.0.0.1", "i-2")
    assert (told["LIVEPEER_MOUNT"], told["GETH_UNIT"]) == ("/d1", "geth.service")


def test_the_command_gets_it_as_environment_and_how_it_ended_is_kept(
    bench: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    moved = theirs("sh -c 'echo to $TARGET_INSTANCE_ID; echo profile $AWS_PROFILE; exit 7'")(
        stage(bench, tmp_path), SOURCE, TARGET
    )()
    assert moved.exit_code == 7
    assert "ended with 7" in moved.problem
    said = next((tmp_path / "logs").glob("theirs-*.log")).read_text()
    assert said == "to i-2\nprofile\n"


def test_a_command_that_does_not_end_is_ended(bench: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "THEIR_BUDGET", 0.05)
    assert theirs("sleep 60")(stage(bench, tmp_path), SOURCE, TARGET)().exit_code == 124


def test_the_example_uses_no_variable_that_a_command_is_not_told() -> None:
    script = (ROOT / "benchmarks" / "by_hand.sh").read_text(encoding="utf-8")
    helper = (ROOT / "benchmarks" / "by_hand_ec2.py").read_text(encoding="utf-8")
    used = {*re.findall(r"\$\{?([A-Z][A-Z_0-9]+)", script), *re.findall(r"environ\[\"([A-Z_0-9]+)", helper)}
    assert used <= TOLD
    assert os.access(ROOT / "benchmarks" / "by_hand.sh", os.X_OK)
