"""Packer's output and its end, with small programs in Packer's place."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from packer import run
from packer.run import parse_line, run_build
from transcoder.errors import Failed

SAID = "1795357779,,ui,message,    null.x: a%!(PACKER_COMMA)b\\n==> c"
ARTIFACT = "1795357779,amazon-ebs.node,artifact,0,id,us-east-1:ami-0abc"


def packer_that(tmp_path: Path, script: str) -> dict[str, str]:
    """Put a shell script in Packer's place; return an environment that finds it."""
    program = tmp_path / "packer"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_a_line_for_people_has_its_commas_and_line_breaks_back() -> None:
    line = parse_line(SAID)

    assert line is not None
    assert line.for_people == "    null.x: a,b\n==> c"


def test_the_artifact_is_found() -> None:
    line = parse_line(ARTIFACT)

    assert line is not None
    assert (line.target, line.artifact_id, line.for_people) == ("amazon-ebs.node", "us-east-1:ami-0abc", "")


@pytest.mark.parametrize("text", ["", "panic: boom", "a,b", "x,y,z,w"])
def test_other_text_is_no_line(text: str) -> None:
    assert parse_line(text) is None


def test_a_build_gives_its_artifact_and_passes_its_lines_on(tmp_path: Path) -> None:
    environment = packer_that(tmp_path, f"echo '{SAID}'; echo '{ARTIFACT}'; echo 'not its own format'")
    lines: list[str] = []

    assert run_build(tmp_path / "t", environment, 30, lines.append) == "us-east-1:ami-0abc"
    assert lines == ["    null.x: a,b", "==> c", "not its own format"]


def test_a_failed_build_tells_packers_last_words(tmp_path: Path) -> None:
    environment = packer_that(tmp_path, "echo '1,,ui,error,==> node: no such subnet'; exit 1")

    with pytest.raises(Failed, match=r"(?s)packer build failed \(exit 1\).*no such subnet"):
        run_build(tmp_path / "t", environment, 30, print)


def test_a_build_without_an_image_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="made no image"):
        run_build(tmp_path / "t", packer_that(tmp_path, "exit 0"), 30, print)


@pytest.fixture(params=["taken", "ignored"])
def interrupts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take interrupts, as at a terminal, or ignore them, as what a shell started in its background does."""
    handlers: dict[str, Any] = {"taken": signal.default_int_handler, "ignored": signal.SIG_IGN}
    before = signal.signal(signal.SIGINT, handlers[request.param])
    yield
    signal.signal(signal.SIGINT, before)


def test_a_build_that_does_not_end_when_interrupted_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "CLEAN_UP_SECONDS", 0.3)
    with pytest.raises(Failed, match="took longer than 0 s"):
        run_build(tmp_path / "t", packer_that(tmp_path, "trap '' INT; while :; do sleep 0.05; done"), 0.3, print)


@pytest.mark.usefixtures("interrupts")
def test_a_build_that_takes_too_long_is_interrupted_and_may_clean_up(tmp_path: Path) -> None:
    script = "trap 'echo 1,,ui,say,terminated the instance; exit 1' INT; while :; do sleep 0.05; done"
    lines: list[str] = []

    with pytest.raises(Failed, match="took longer than 0 s") as failure:
        run_build(tmp_path / "t", packer_that(tmp_path, script), 0.4, lines.append)
    assert lines == ["terminated the instance"]
    assert "terminated the instance" in failure.value.message


def test_ctrl_c_interrupts_packer_once_and_waits_for_its_end(tmp_path: Path) -> None:
    cleaned = tmp_path / "cleaned"
    script = f"trap 'echo x >>{cleaned}; exit 1' INT; echo '1,,ui,say,ready'; while :; do sleep 0.05; done"
    interrupted = threading.Event()

    def press(line: str) -> None:
        if not interrupted.is_set():
            interrupted.set()
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_build(tmp_path / "t", packer_that(tmp_path, script), 30, press)
    assert cleaned.read_text() == "x\n"
