"""``script/rehearse`` (``python -m lab.rehearse``): the main job from end to end on this machine, with a report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import commands
from lab.configuration import LabConfiguration
from lab.rehearsal import acts, html, terminal
from lab.rehearsal.report import Report
from lab.rehearsal.stage import Act, Plot, Stage
from lab.rehearsal.story import story
from transcoder import settings as environments
from transcoder.aws import Aws
from transcoder.errors import Failed, Refused, TranscoderError
from transcoder.remote import SshHosts
from transcoder.world import World

OUTPUT = environments.ROOT / "build" / "rehearsal"
INTERRUPTED = 130
EXAMPLES = """\
examples:
  script/rehearse
  script/rehearse --down
  script/rehearse --fresh
  script/rehearse --env lab --output /tmp/report --keep-going

exit codes: 0 every step was done and every proof holds; 3 not started; 4 something failed: the report says what
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="script/rehearse",
        description="Rehearse the main job in the lab: bake an AMI, launch a node, let it write, migrate it to\n"
        "a second instance, prove that nothing was lost, report. By the very command lines of an operator.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--env", default="lab", help="environment with a [lab] table: a name or a path (default: lab)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="directory of report.json, report.html and logs/")
    parser.add_argument(
        "--down", action="store_true", help="take the lab down in the end and prove that nothing is left"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="bake the AMI anew (default: take one that was baked of the same inputs)"
    )
    parser.add_argument("--keep-going", action="store_true", help="go on after a step that failed")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Rehearse; return the exit code."""
    options = parse(arguments)
    try:
        return rehearse(options)
    except TranscoderError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def rehearse(options: argparse.Namespace) -> int:
    """Run the story and write the report, also when it breaks off.

    :raises Refused: when a lab is up that no rehearsal has started.
    """
    settings = environments.load(options.env)
    configuration = commands.configuration_of(settings)
    plot = Plot(settings.node.default, settings.node.default, f"{settings.node.default}-b")
    found = left_over(configuration, options.env)
    acts_of_it = story(plot, left_over=found, down=options.down, fresh=options.fresh)
    sys.stderr.write(f"environment {settings.name}: {settings.description}\n")
    with SshHosts(settings) as hosts:
        world = World(settings, Aws(settings), hosts)
        stage = Stage(world, configuration, options.env, plot, options.output.resolve(), terminal.Progress())
        return _play(stage, acts_of_it, options)


def left_over(configuration: LabConfiguration, environment: str) -> bool:
    """Tell whether the lab of an earlier rehearsal is up.

    :raises Refused: when the lab is up and was started by somebody else.
    """
    if commands.read_ready(configuration, answering=False) is None:
        return False
    if not (configuration.state_directory / acts.MARKER).exists():
        raise Refused(
            f"the lab {configuration.name!r} is up, and not from a rehearsal: a rehearsal starts with a fresh one",
            hint=f"invoke lab.down --env {environment}",
        )
    return True


def _play(stage: Stage, acts_of_it: Sequence[Act], options: argparse.Namespace) -> int:
    forget_logs(stage.output)
    try:
        stage.perform(acts_of_it, keep_going=options.keep_going)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return INTERRUPTED
    finally:
        if not options.down:
            stage.seen.hints += hints(stage, options.env)
        report = stage.report()
        written = write(report, stage.output)
        terminal.print_report(report)
        sys.stderr.write("".join(f"{path}\n" for path in written))
    return 0 if report.passed else Failed.exit_code


def forget_logs(output: Path) -> None:
    """Remove the logs of the last rehearsal: they would stand between those of this one."""
    for log in (output / "logs").glob("[0-9][0-9]-*.log"):
        log.unlink()


def hints(stage: Stage, environment: str) -> list[str]:
    """Say what can be tried in the lab that stays up; nothing when it is not."""
    if commands.read_ready(stage.configuration) is None:
        return []
    env = f" --env {environment}"
    return [
        f"the lab stays up. Try: fab status{env}; invoke lab.shell --instance {stage.plot.second}{env}; "
        f"fab migrate --to {stage.plot.first}{env}; invoke lab.status{env}. End it: invoke lab.down{env}"
    ]


def write(report: Report, output: Path) -> tuple[Path, Path]:
    """Write report.json and report.html; return their paths."""
    output.mkdir(parents=True, exist_ok=True)
    data, page = output / "report.json", output / "report.html"
    data.write_text(json.dumps(report.describe(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page.write_text(html.render_html(report), encoding="utf-8")
    return data, page


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
