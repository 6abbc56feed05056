"""Runs the checks and the test layers, each with its own time, and ends with a table. Called by script/test."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

BIN = Path(sys.executable).parent
REPORTS = Path("build") / "test-reports"
LAYERS = {"unit": "tests/unit", "contract": "tests/contract", "rehearsal": "tests/rehearsals"}
CHECKS = (
    ("ruff check", (str(BIN / "ruff"), "check", ".")),
    ("ruff format", (str(BIN / "ruff"), "format", "--check", ".")),
    ("mypy", (str(BIN / "mypy"),)),
)
NO_TESTS = 5
"""pytest's exit code when it collected nothing."""
NEEDS_ROOT = ("contract", "rehearsal")


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float


def main(arguments: Sequence[str]) -> int:
    """Run what the command line names and return the exit code: 0 when nothing failed."""
    layers, pytest_options = parse(arguments)
    rows = [run_layer(layer, pytest_options) for layer in layers] if layers else run_everything(pytest_options)
    say(table(rows))
    failed = sum(row.failed for row in rows)
    say(f"{sum(row.passed for row in rows)} passed, {failed} failed")
    return 1 if failed else 0


def run_everything(options: Sequence[str]) -> list[Row]:
    """Run the checks and all layers: unit beside contract, which waits for machines much of the time.

    The unit tests leave the processors to it. Their output comes when both have ended. The rehearsals have the computer
    for themselves: beside the contract tests some machine did not answer in time.
    """
    checks = run_checks()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as kept:
        say("== unit, beside contract; its output follows")
        unit = Running("unit", options, ("nice", "-n", "10"), kept)
        contract = run_layer("contract", options)
        row = unit.wait()
        say("== unit")
        kept.seek(0)
        shutil.copyfileobj(kept, sys.stdout)
    return [checks, row, contract, run_layer("rehearsal", options)]


def parse(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the layers named, and what follows ``--``."""
    own, options = list(arguments), []
    if "--" in own:
        at = own.index("--")
        own, options = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(prog="script/test", description="Run the checks and tests.")
    parser.add_argument("layer", nargs="*", help=f"{', '.join(LAYERS)}; all of them and the checks when none is named")
    layers = parser.parse_args(own).layer
    if unknown := [layer for layer in layers if layer not in LAYERS]:
        parser.error(f"no such layer: {', '.join(unknown)}; choose from {', '.join(LAYERS)}")
    return layers, options


def run_checks() -> Row:
    """Run every static check, also after one has failed."""
    start = time.monotonic()
    failed = 0
    for name, command in CHECKS:
        say(f"== {name}")
        failed += subprocess.run(command, check=False).returncode != 0
    return Row("checks", len(CHECKS) - failed, failed, 0, time.monotonic() - start)


def run_layer(layer: str, options: Sequence[str]) -> Row:
    """Run one layer and count its tests from pytest's own report."""
    say(f"== {layer}")
    return Running(layer, options).wait()


class Running:
    """One layer's tests, which have begun. ``output`` takes what they print."""

    def __init__(
        self, layer: str, options: Sequence[str], before: Sequence[str] = (), output: IO[str] | None = None
    ) -> None:
        self._layer, self._selected, self._start = layer, bool(options), time.monotonic()
        self._report = REPORTS / f"{layer}.xml"
        self._report.parent.mkdir(parents=True, exist_ok=True)
        self._report.unlink(missing_ok=True)
        command = (*before, *layer_command(layer, self._report, options))
        self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT if output else None)

    def wait(self) -> Row:
        """Return the layer's row when it has ended."""
        exit_code = self._process.wait()
        seconds = time.monotonic() - self._start
        return count(self._layer, self._report, exit_code, seconds, selected=self._selected)


def layer_command(layer: str, report: Path, options: Sequence[str]) -> tuple[str, ...]:
    """Return the command of a layer. Machines, bridges and namespaces need root."""
    root = ("sudo", "--preserve-env=TRANSCODER_ENV") if layer in NEEDS_ROOT and os.geteuid() != 0 else ()
    return (*root, sys.executable, "-m", "pytest", LAYERS[layer], f"--junitxml={report}", *options)


def count(layer: str, report: Path, exit_code: int, seconds: float, *, selected: bool) -> Row:
    """Return the layer's row.

    A layer without tests, and a pytest that breaks off, count as one failure: neither shows that anything works. Only
    where somebody selected tests (``-k``) may a layer be empty.
    """
    passed, failed, skipped = read(report) if report.exists() else (0, 0, 0)
    if exit_code == NO_TESTS:
        failed = 0 if selected else 1
    elif exit_code != 0:
        failed = max(failed, 1)
    return Row(layer, passed, failed, skipped, seconds)


def read(report: Path) -> tuple[int, int, int]:
    """Return passed, failed (with errors) and skipped of a JUnit report that pytest has just written."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own file
    tests, failures, errors, skipped = (
        sum(int(suite.get(name, "0")) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    # A test that fails and whose clean-up fails too is one test with two marks.
    failed = min(tests, failures + errors)
    return tests - failed - skipped, failed, skipped


def table(rows: Sequence[Row]) -> str:
    """Return the summary, one line a layer."""
    lines = [f"{'layer':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}"]
    lines += [f"{r.name:<12}{r.passed:>8}{r.failed:>8}{r.skipped:>9}{r.seconds:>9.1f}" for r in rows]
    return "\n" + "\n".join(lines)


def say(text: str) -> None:
    """Print at once, so that it stands before what a child prints."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
