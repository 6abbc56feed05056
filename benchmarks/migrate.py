"""How long is a node down while it moves? Measured in a lab with real machines, from outside, against what is possible.

    .venv/bin/python benchmarks/migrate.py
    .venv/bin/python benchmarks/migrate.py --runs 5 --compare benchmarks/by_hand.sh --require 1.15

Each turn moves the node to a machine that has just been launched from the baked image. The bound is what no command
could have been faster than; the output states both definitions. A compared command takes its turns on the same node,
in turn with ours, and is told by environment variables what to move where (`benchmarks.turns.variables`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # run as a program: Python looks beside this file only
    sys.path[0] = str(ROOT)

from benchmarks.arena import Arena, write_environment  # noqa: E402 - found through the path above
from benchmarks.results import OURS, THEIRS, Results, Turn, render, with_bounds  # noqa: E402
from benchmarks.turns import Mover, ours, take, theirs  # noqa: E402
from lab.rehearsal import look  # noqa: E402
from transcoder import settings as environments  # noqa: E402
from transcoder.aws import Aws  # noqa: E402
from transcoder.errors import Failed, TranscoderError  # noqa: E402
from transcoder.remote import SshHosts  # noqa: E402
from transcoder.world import World  # noqa: E402

OUTPUT = ROOT / "build" / "benchmark"
TOO_SLOW = 1
INTERRUPTED = 130
EPILOG = """\
exit codes: 0 measured; 1 the median ratio is above --require; 3 not started; 4 one of our own moves failed

A lab that this starts it takes down in the end, unless --keep; a lab that was up stays up.
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/migrate.py",
        description=(__doc__ or "").strip(),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=5, help="how often each command moves the node (default: 5)")
    parser.add_argument("--compare", metavar="CMD", default="", help="another command that moves the node")
    parser.add_argument("--require", metavar="RATIO", type=float, help="end with 1 when our median ratio is above")
    parser.add_argument("--json", action="store_true", help="print the results as JSON on stdout")
    parser.add_argument("--env", default="", help="an environment with a [lab] table (default: a lab of its own)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="directory of migrate.json and logs/")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit code."""
    options = parse(arguments)
    try:
        return measure(options)
    except TranscoderError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted; the lab stays up")
        return INTERRUPTED


def measure(options: argparse.Namespace) -> int:
    """Set up what is missing, take the turns, print the results also when one breaks off."""
    environment = options.env or str(write_environment(options.output.resolve()))
    settings = environments.load(environment)
    started, load = datetime.now(UTC).isoformat(timespec="seconds"), os.getloadavg()[0]
    turns: list[Turn] = []
    with SshHosts(settings) as hosts:
        world = World(settings, Aws(settings), hosts)
        arena = Arena(world, environment, options.output.resolve(), not options.env, say)
        was_up = arena.prepare()
        programs = look.programs(arena.host(arena.carrier()))
        writes_records = any(program.name == "livepeer" and program.stand_in for program in programs)
        try:
            for turn in _turns(arena, options, writes_records=writes_records):
                turns.append(turn)
                say(_told(turn))
        finally:
            results = Results(
                environment=settings.name,
                started=started,
                profile=arena.configuration.latency,
                latencies=arena.configuration.latencies.model_dump(),
                processors=os.cpu_count() or 1,
                load=load,
                programs=programs,
                compared=options.compare,
                turns=with_bounds(turns),
            )
            publish(results, options)
        if not was_up and not options.keep:
            arena.end()
    return verdict(results, options.require)


def _turns(arena: Arena, options: argparse.Namespace, *, writes_records: bool) -> Iterator[Turn]:
    movers: dict[str, Mover] = {OURS: ours}
    if options.compare:
        movers[THEIRS] = theirs(options.compare)
    for number in range(1, options.runs + 1):
        for who, mover in movers.items():
            yield take(arena, number, who, mover, writes_records=writes_records)


def _told(turn: Turn) -> str:
    down = "not measured" if turn.downtime is None else f"{turn.downtime:.2f} s"
    bound = f", bound {turn.bound.seconds:.2f} s" if turn.bound else ""
    wrong = "".join(f"\n    ! {problem}" for problem in turn.problems)
    return f"turn {turn.number}, {turn.who}: downtime {down}{bound}{wrong}"


def publish(results: Results, options: argparse.Namespace) -> None:
    """Write the results to a file and print them."""
    text = json.dumps(results.describe(), indent=2, ensure_ascii=False) + "\n"
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "migrate.json").write_text(text, encoding="utf-8")
    sys.stdout.write(text if options.json else render(results))
    sys.stdout.flush()


def verdict(results: Results, required: float | None) -> int:
    """Return the exit code."""
    if any(turn.problems or turn.ratio is None for turn in results.of(OURS)):
        return Failed.exit_code
    ratio = results.medians(OURS).ratio
    if required is not None and (ratio is None or ratio > required):
        say(f"too slow: the median of downtime / bound is {ratio or float('inf'):.2f}, required is {required:g}")
        return TOO_SLOW
    return 0


def say(line: str) -> None:
    """Tell what goes on, on stderr."""
    sys.stderr.write(f"{datetime.now(UTC).strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
