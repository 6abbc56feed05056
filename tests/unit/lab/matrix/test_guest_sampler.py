from __future__ import annotations

import ast
import json
import runpy
import subprocess
import sys

import pytest

from lab.matrix.samples import parse_sample, uptime_of
from lab.matrix.watch import SAMPLER


def test_it_prints_samples_that_the_watcher_reads_and_ends_when_nobody_reads_them() -> None:
    with (
        SAMPLER.open() as program,
        subprocess.Popen(
            [sys.executable, "-u", "-"], stdin=program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process,
    ):
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.stdout.close()
        process.wait(10)
    assert uptime_of(lines[1]) > uptime_of(lines[0]) > 0
    assert parse_sample(lines[0], 0.0).record == 0
    assert set(json.loads(lines[0])) == {"up", "livepeers", "d1", "record"}


def test_it_runs_on_the_python_of_ubuntu_18_04() -> None:
    ast.parse(SAMPLER.read_text(), feature_version=(3, 6))
    assert "List[" in SAMPLER.read_text(), "list[...] in an annotation is an error there"


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (["/usr/local/bin/livepeer", "-transcoder"], "/usr/local/bin/livepeer"),
        (["/usr/bin/python3", "-B", "/usr/local/bin/livepeer", "-transcoder"], "/usr/local/bin/livepeer"),
        (["python3", "/usr/local/lib/transcoder/check-volume", "livepeer", "/usr/local/bin/livepeer"], "check-volume"),
        (["sha256sum", "/usr/local/bin/geth", "/usr/local/bin/livepeer"], "sha256sum"),
        (["/bin/sh"], ""),
        ([""], ""),
    ],
)
def test_what_only_names_livepeer_is_not_livepeer(words: list[str], runs: str) -> None:
    found = runpy.run_path(str(SAMPLER))["program"](words)
    assert found == runs or found.endswith(f"/{runs}"), "a second writer is a grave thing to say"
