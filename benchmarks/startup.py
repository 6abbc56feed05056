"""What `invoke --list` and `fab --list` cost here, against `invoke --list` in an empty project with one task.

    .venv/bin/python benchmarks/startup.py

Median of seven runs each, interleaved, so that a busy machine slows all of them alike. Ends with 1 when one of ours
takes half a second more than the empty project.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
RUNS = 7
ALLOWED = 0.5
"""Seconds above the empty project."""
HEAVY = ("boto3", "botocore", "moto", "fabric", "paramiko", "pydantic", "rich", "jinja2", "hcl2")
EMPTY_TASKS = """\
from invoke import task


@task
def hello(context):
    \"\"\"Say hello.\"\"\"
"""


@dataclass(frozen=True)
class Case:
    """A command line and where it runs."""

    name: str
    program: str
    directory: Path

    def seconds(self) -> float:
        """Run it once and return how long it took.

        :raises subprocess.CalledProcessError: when it fails.
        """
        start = time.perf_counter()
        subprocess.run((str(BIN / self.program), "--list"), cwd=self.directory, check=True, capture_output=True)
        return time.perf_counter() - start

    def heavy_imports(self) -> list[str]:
        """Return those of `HEAVY` that it imports, as Python's own import log tells."""
        command = (sys.executable, "-X", "importtime", str(BIN / self.program), "--list")
        log = subprocess.run(command, cwd=self.directory, check=True, capture_output=True, text=True).stderr
        modules = {line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")}
        return [name for name in HEAVY if name in modules]


def main() -> int:
    """Measure, print a table, and return the exit code."""
    with tempfile.TemporaryDirectory() as empty:
        (Path(empty) / "tasks.py").write_text(EMPTY_TASKS, encoding="utf-8")
        cases = (
            Case("empty project: invoke --list", "invoke", Path(empty)),
            Case("here: invoke --list", "invoke", ROOT),
            Case("here: fab --list", "fab", ROOT),
        )
        for case in cases:
            case.seconds()  # writes the bytecode caches
        rounds = [[case.seconds() for case in cases] for _ in range(RUNS)]
        imports = [case.heavy_imports() for case in cases]
    medians = [statistics.median(times) for times in zip(*rounds, strict=True)]
    return report(cases, medians, imports)


def report(cases: tuple[Case, ...], medians: list[float], imports: list[list[str]]) -> int:
    """Print one line a case; the first is what the others are compared with."""
    base = medians[0]
    print(f"median of {RUNS} runs, Python {sys.version.split()[0]}")
    print(f"{'':<30}{'seconds':>8}{'ratio':>7}{'more':>8}  heavy modules imported")
    for case, median, names in zip(cases, medians, imports, strict=True):
        more = median - base
        print(f"{case.name:<30}{median:>8.3f}{median / base:>7.2f}{more:>+8.3f}  {', '.join(names) or 'none'}")
    slow = [case.name for case, median in zip(cases, medians, strict=True) if median - base >= ALLOWED]
    print(f"too slow (allowed: {ALLOWED} s more): {', '.join(slow)}" if slow else f"all within {ALLOWED} s more")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
