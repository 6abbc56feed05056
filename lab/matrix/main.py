"""``script/fault-matrix`` (``python -m lab.matrix``): the matrix on this machine, with a report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.matrix import report, results
from lab.matrix.campaign import Campaign
from lab.matrix.environment import OwnLab, write_environment
from lab.matrix.operator import copy_checkout
from lab.matrix.rules import chosen
from lab.matrix.stage import Stage
from transcoder.errors import Refused, TranscoderError
from transcoder.settings import ROOT

OUTPUT = ROOT / "build" / "fault-matrix"
INTERRUPTED = 130
EXAMPLES = """\
examples:
  script/fault-matrix --list
  script/fault-matrix --only kill_operator --only 'livepeer/*:power_off*'
  script/fault-matrix --shard 1/2 --resume --report build/fault-matrix/report

exit codes: 0 no synced record was lost, never were there two writers, and every cell ended healthy after at most one
more run; 1 not so: the report says where; 3 not started; 4, 5 the lab itself failed; 130 interrupted
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="script/fault-matrix",
        description="Migrate a node in a lab of its own, again and again, and break each step with every fault\n"
        "that can hit there. Proves that no record is lost, that there never are two writers, and that\n"
        "typing what the failed command says brings the node up.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own = OwnLab()
    parser.add_argument("--list", action="store_true", help="print the cells of today's plan and end")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN", help="cells STEP:FAULT, or a FAULT")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="the I-th of N parts")
    parser.add_argument("--resume", action="store_true", help="leave out the cells that the result file has")
    parser.add_argument("--results", type=Path, default=OUTPUT / "results.jsonl", help="one line of JSON a cell")
    parser.add_argument("--report", type=Path, default=OUTPUT / "report", help="directory of report.md, .json, .html")
    parser.add_argument("--keep-up", action="store_true", help="leave the lab up in the end")
    parser.add_argument("--name", default=own.name, help=f"the lab's name (default: {own.name})")
    parser.add_argument("--network", default=own.network, help=f"first three numbers of its /24 ({own.network})")
    parser.add_argument("--port", type=int, default=own.port, help=f"of its endpoint (default: {own.port})")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Perform the matrix; return the exit code."""
    options = parse(arguments)
    try:
        return _perform(options)
    except KeyboardInterrupt:
        say("interrupted; --resume goes on")
        return INTERRUPTED
    except TranscoderError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def _perform(options: argparse.Namespace) -> int:
    shard = read_shard(options.shard)
    environment = write_environment(OUTPUT, OwnLab(options.name, options.network, options.port))
    own = OUTPUT / options.name
    stage = Stage(environment, own / "logs", (copy_checkout(own / "one"), copy_checkout(own / "two")))
    campaign = Campaign(stage, say)
    try:
        campaign.prepare()
        wanted = chosen(campaign.cells(), options.only, shard)
        if options.list:
            sys.stdout.write("".join(f"{cell.name}\n" for cell in wanted))
            return 0
        if not options.resume:
            options.results.unlink(missing_ok=True)
        done = {result.cell for result in results.read(options.results)}
        for result in campaign.perform([cell for cell in wanted if cell.name not in done]):
            results.append(options.results, result)
    finally:
        campaign.close()
        if not options.keep_up:
            stage.must("invoke", "lab.down")
    return _report(options, [cell.name for cell in wanted])


def _report(options: argparse.Namespace, wanted: Sequence[str]) -> int:
    found = [result for result in results.read(options.results) if result.cell in wanted]
    for path in report.write(found, options.report):
        say(str(path))
    sys.stdout.write(report.render_totals(found))
    return 0 if found and len(found) == len(wanted) and all(result.passed for result in found) else 1


def read_shard(text: str) -> tuple[int, int]:
    """Read ``I/N``.

    :raises Refused: when it is none.
    """
    number, slash, of = text.partition("/")
    if not (slash and number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise Refused(f"--shard {text}: not I/N with I from 1 to N", hint="script/fault-matrix --shard 1/2")
    return int(number), int(of)


def say(line: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()
