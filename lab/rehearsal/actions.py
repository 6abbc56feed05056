"""Which AWS actions each task has really called: out of the lab's log of calls, into a record that tests compare.

The lab logs who called with which program; IAM must be on in it (``[lab] iam``), so that there are callers to tell
apart. ``python -m lab.rehearsal.actions LOG`` adds what is in a log to the record, ``--anew`` replaces the record.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.iam.identities import ROOT, USERS
from lab.iam.needs import SIGNED_AS
from transcoder.aws_errors import NO_PERMISSION
from transcoder.iam import BAKE_TASKS
from transcoder.settings import ROOT as PROJECT

RECORD = PROJECT / "tests" / "data" / "iam" / "rehearsal.json"
"""The actions of the rehearsals, by who called them."""
KEPT = PROJECT / "build" / "rehearsal-calls.jsonl"
"""Where the rehearsals leave their log of calls."""
MACHINE, PACKER = "the machine", "packer"
"""Who calls besides the tasks."""

Called = Mapping[str, frozenset[str]]
Line = Mapping[str, Any]


def read(path: Path) -> list[Line]:
    """Return the lines of a log of calls."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def called(lines: Iterable[Line]) -> Called:
    """Return the actions by who called them: a task as it is typed, Packer, the machine.

    What was not permitted is no call. What root or a test in its own process has called does not count.
    """
    found: dict[str, set[str]] = {}
    for line in lines:
        if (who := caller_of(line)) and line["error"] not in NO_PERMISSION:
            found.setdefault(who, set()).add(action_of(line))
    return {who: frozenset(actions) for who, actions in found.items()}


def caller_of(line: Line) -> str:
    """Return who made a call; empty when it is nobody whose policy is ours."""
    if line["caller"] in USERS:
        return str(line["program"]) if line["program"].startswith(("fab ", "invoke ", PACKER)) else ""
    return MACHINE if line["caller"] and line["caller"] != ROOT.name else ""


def action_of(line: Line) -> str:
    """Return IAM's name of the action that was called."""
    return f"{SIGNED_AS.get(line['service'], line['service'])}:{line['action']}"


def policy_of(who: str) -> str:
    """Return which policy permits what somebody calls."""
    if who == MACHINE:
        return "instance"
    return "bake" if who == PACKER or who in BAKE_TASKS else "operator"


def denied(lines: Iterable[Line]) -> list[str]:
    """Return what was not permitted to somebody whose policy is ours."""
    refused = [line for line in lines if line["error"] in NO_PERMISSION and caller_of(line)]
    return [f"{caller_of(line)}: {action_of(line)}" for line in refused]


def load(path: Path = RECORD) -> Called:
    """Read a record."""
    return {who: frozenset(actions) for who, actions in json.loads(path.read_text(encoding="utf-8")).items()}


def store(record: Called, path: Path = RECORD) -> None:
    """Write a record, an action a line."""
    document = {who: sorted(actions) for who, actions in sorted(record.items())}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def joined(*records: Called) -> Called:
    """Return what is in any of the records."""
    everyone = sorted({who for record in records for who in record})
    return {who: frozenset().union(*(record.get(who, frozenset()) for record in records)) for who in everyone}


def main(arguments: Sequence[str]) -> int:
    """Record; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lab.rehearsal.actions", description=__doc__)
    parser.add_argument("log", type=Path, nargs="*", default=[KEPT], help=f"logs of calls (default: {KEPT.name})")
    parser.add_argument("--anew", action="store_true", help="forget what was recorded before")
    parser.add_argument("--record", type=Path, default=RECORD, help="the record (default: that of the tests)")
    options = parser.parse_args(arguments)
    fresh = [called(read(log)) for log in options.log]
    store(joined(*fresh, *([] if options.anew else [load(options.record)])), options.record)
    sys.stdout.write(f"{options.record}: then python -m tests.unit.iam.derived\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
