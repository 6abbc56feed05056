"""The list of checks, in their order, and their run."""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packer.verify import contents, doors, running
from packer.verify.check import Subject, Wrong
from transcoder.errors import Failed

Check = Callable[[Subject], str]

CHECKS: tuple[Check, ...] = (*running.CHECKS[:1], *contents.CHECKS, *running.CHECKS[1:], *doors.CHECKS)
"""The journal is looked at before services are made to refuse: they write errors to it then."""


@dataclass(frozen=True)
class Finding:
    """How a check ended: what it was about, and what it found."""

    name: str
    title: str
    passed: bool
    found: str
    seconds: float

    def describe(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {**vars(self), "seconds": round(self.seconds, 3)}


def title_of(check: Check) -> str:
    """Return what a check is about: its docstring."""
    return inspect.getdoc(check) or ""


def digest(checks: Sequence[Check] = CHECKS) -> str:
    """Return the digest of the list of checks: sha256 over their names and the files that they are in, in hex."""
    named = hashlib.sha256("\n".join(f"{check.__module__}.{check.__name__}" for check in checks).encode())
    for file in sorted({inspect.getsourcefile(check) or "" for check in checks}):
        named.update(Path(file).read_bytes())
    return named.hexdigest()


def run(subject: Subject, watch: Callable[[Finding], None], checks: Sequence[Check]) -> tuple[Finding, ...]:
    """Run the checks one after the other, all of them, and return what they found.

    :param watch: called with each finding as it comes.
    :raises Unreachable: when the machine no longer answers.
    """
    findings = []
    for check in checks:
        finding = _run(check, subject)
        watch(finding)
        findings.append(finding)
    return tuple(findings)


def _run(check: Check, subject: Subject) -> Finding:
    began, passed = time.monotonic(), True
    try:
        found = check(subject)
    except Wrong as wrong:
        passed, found = False, str(wrong)
    except (Failed, AssertionError, RuntimeError, ValueError) as error:
        # testinfra says with one of these that a command did not answer as it does on a healthy machine.
        passed, found = False, f"{type(error).__name__}: {' '.join(str(error).split())[-500:]}"
    return Finding(check.__name__, title_of(check), passed, found, time.monotonic() - began)
