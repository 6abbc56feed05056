"""``script/fault-checks`` (``python -m lab.fault_checks``): faults against the node's watch, on this machine."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise
from pathlib import Path

from lab.fault_checks import report
from lab.fault_checks.environment import OWN, write_lab_time
from lab.fault_checks.eye import EVERY_SECONDS, HealthEye
from lab.fault_checks.looks import Look, is_green, strangers
from lab.fault_checks.report import Calm
from lab.fault_checks.table import FELT, Felt
from lab.fault_checks.trial import GREEN_BUDGET, POLL_SECONDS, Row, Trial, threshold_of
from lab.faults.client import set_fault
from lab.matrix.environment import OwnLab
from lab.matrix.stage import Stage
from lab.matrix.watch import console
from transcoder.errors import Failed, Refused, TranscoderError
from transcoder.settings import ROOT, load
from transcoder.world import SystemClock

OUTPUT = ROOT / "build" / "fault-checks"
INTERRUPTED = 130
RESTART_BUDGET = 120.0
EXAMPLES = """\
examples:
  script/fault-checks
  script/fault-checks --list
  script/fault-checks --only geth_stall --only 'full_disk*' --healthy-minutes 0

exit codes: 0 every check turned red after its threshold, no other did, all was green again, and nothing was red on the
healthy node; 1 not so: the table says where; 3 not started; 4, 5 the lab itself failed; 130 interrupted
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="script/fault-checks",
        description="Look at a healthy node of the lab, then switch every fault that a node can feel on and off, and\n"
        "see that the right check of its watch turns red, after its threshold, and green again. In lab time:\n"
        "with thresholds of seconds and rounds of minutes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="print the faults and their checks, and end")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN", help="faults as --list names them")
    parser.add_argument("--healthy-minutes", type=float, default=30.0, help="of the healthy node before (default: 30)")
    parser.add_argument("--env", default="", help="a lab's environment, by name or path (default: one in lab time)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="directory of report.json and of logs")
    parser.add_argument("--keep-up", action="store_true", help="leave the lab up in the end")
    parser.add_argument("--name", default=OWN.name, help=f"the lab's name (default: {OWN.name})")
    parser.add_argument("--network", default=OWN.network, help=f"first three numbers of its /24 ({OWN.network})")
    parser.add_argument("--port", type=int, default=OWN.port, help=f"of its endpoint (default: {OWN.port})")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Perform the checks; return the exit code."""
    options = parse(arguments)
    try:
        wanted = chosen(options.only)
        if options.list:
            sys.stdout.write("".join(f"{felt.name}: {', '.join(red.check for red in felt.red)}\n" for felt in wanted))
            return 0
        return _perform(options, wanted)
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except TranscoderError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def chosen(patterns: Sequence[str]) -> tuple[Felt, ...]:
    """Return the faults that are wanted; all without a pattern. A fault's own name stands for all of its kinds.

    :raises Refused: a pattern that fits none.
    """
    names = {pattern: [f for f in FELT if fnmatchcase(f.name, pattern) or f.fault == pattern] for pattern in patterns}
    missing = [pattern for pattern, found in names.items() if not found]
    if missing:
        raise Refused(f"no fault is called {', '.join(missing)}", hint="script/fault-checks --list")
    return tuple(felt for felt in FELT if not patterns or any(felt in found for found in names.values()))


def _perform(options: argparse.Namespace, wanted: Sequence[Felt]) -> int:
    own = OwnLab(options.name, options.network, options.port)
    environment = load(options.env).path if options.env else write_lab_time(options.output, own)
    stage = Stage(environment, options.output / "logs", (ROOT, ROOT))
    rows: list[Row] = []
    calm = None
    try:
        instance = prepare(stage)
        with HealthEye(eye_command(stage, instance)) as eye:
            trial = Trial(stage.settings, eye, partial(switch, stage), partial(restart, stage, instance), SystemClock())
            if options.healthy_minutes:
                calm = look_at_healthy(eye, 60 * options.healthy_minutes)
                say(calm.line)
            for felt in wanted:
                rows += said(performed(stage, trial, felt))
    finally:
        if not options.keep_up:
            stage.must("invoke", "lab.down")
    path = report.write(options.output, rows, calm)
    sys.stdout.write(report.render(rows, calm))
    say(str(path))
    return 0 if report.passed(rows, calm) else 1


def performed(stage: Stage, trial: Trial, felt: Felt) -> tuple[Row, ...]:
    """Try a fault; one that cannot be switched is a row that has failed, and is tried to be switched off once more."""
    try:
        return trial.perform(felt)
    except TranscoderError as error:
        say(str(error))
        problem = error.message
    try:
        set_fault(stage.settings, felt.fault, on=False)
    except TranscoderError as error:
        problem += f"; and it is still on: {error.message}"
    return tuple(
        Row(felt.name, red.check, red.level, threshold_of(stage.settings, red), problem=problem) for red in felt.red
    )


def prepare(stage: Stage) -> str:
    """Bring up the lab, an image and a node with its key, what is not there; return the node's instance.

    :raises Failed: the node is not healthy.
    """

    def must(*command: str) -> None:
        say(" ".join(command))
        stage.must(*command)

    must("invoke", "lab.up")
    if not stage.machines():
        must("invoke", "bake-ami", "--yes")
        must("invoke", "launch", "--yes")
        must("fab", "create-key", "--yes")
    begun = time.monotonic()
    while not (status := stage.await_healthy()).healthy and time.monotonic() - begun < GREEN_BUDGET:
        say(f"not healthy yet: {'; '.join(status.problems)}")
    if not status.healthy:
        raise Failed(f"the node is not healthy: {'; '.join(status.problems)}", hint="fab status")
    return status.instance


def eye_command(stage: Stage, instance: str) -> list[str]:
    """Return the command line that runs the sampler in the node's machine."""
    arguments = (str(stage.settings.watch.port), str(EVERY_SECONDS))
    address = stage.machines()[instance]
    return console(stage.configuration, stage.settings.ssh.user, address, "python3", "-", *arguments)


def switch(stage: Stage, felt: Felt, on: bool) -> None:
    """Switch a fault; say what that does."""
    done = set_fault(stage.settings, felt.fault, on, **(felt.options if on else {}))
    say(f"{felt.name} {'on' if on else 'off'}: {done}")


def restart(stage: Stage, instance: str, unit: str) -> None:
    """Restart a unit of the node.

    :raises Failed: systemd says no.
    """
    done = stage.on(instance, "systemctl", "restart", unit, budget=RESTART_BUDGET)
    if done.returncode:
        raise Failed(f"systemctl restart {unit} ended with {done.returncode}: {done.stderr.strip()}")


def look_at_healthy(eye: HealthEye, seconds: float) -> Calm:
    """Look at the node for so long, from when it is all green."""
    begun = time.monotonic()
    while not ((looks := eye.since(begun)) and is_green(looks[-1], ())):
        if time.monotonic() - begun > GREEN_BUDGET:
            return calm_of(looks)
        time.sleep(POLL_SECONDS)
    say(f"looking at the healthy node for {seconds / 60:g} min")
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        time.sleep(POLL_SECONDS)
    return calm_of(eye.since(begun))


def calm_of(looks: Sequence[Look]) -> Calm:
    """Return what was seen of a node that nothing was done to."""
    gaps = [after.node - before.node for before, after in pairwise(looks)]
    checks = max((len(look.checks) for look in looks), default=0)
    return Calm(
        round(sum(gaps), 1), len(looks), checks, round(max(gaps, default=0.0), 1), strangers(looks, lambda _: False)
    )


def said(rows: Sequence[Row]) -> Sequence[Row]:
    """Say what came of a fault."""
    for row in rows:
        say(
            f"    {row.check} {row.level}: "
            + (row.problem or f"after {row.after:.1f} s, green again after {row.back:.1f} s")
        )
    return rows


def say(line: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()
