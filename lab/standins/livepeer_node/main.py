"""The command lines of livepeer and livepeer_cli."""

import signal
import sys
from typing import Sequence

from ..common import goflags
from .flags import flags
from .versions import Personality, parse, personality

_CLI_FLAGS = (
    goflags.Flag("http", "string", "8935", "local http port"),
    goflags.Flag("rtmp", "string", "1935", "local rtmp port"),
    goflags.Flag("host", "string", "localhost", "host for the Livepeer node"),
    goflags.Flag("loglevel", "int", 4, "log level to emit to the screen"),
)


def main(arguments: Sequence[str], version: str) -> int:
    """Run livepeer of a version with these words; the exit code."""
    own = personality(parse(version))
    known = flags(own.version)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the node runs it dies of it, as a Go program does
    try:
        parsed = goflags.parse(known, arguments)
    except goflags.HelpRequested:
        sys.stderr.write(goflags.usage("livepeer", known))
        return 2
    except goflags.FlagError as error:
        sys.stderr.write("{}\n{}".format(error, goflags.usage("livepeer", known)))
        return 2
    if parsed.values["version"]:
        print(_told(own))
        return 0
    from .node import Node  # noqa: PLC0415 - -version must answer where python3 lacks sqlite3

    return Node(own, parsed.values).run()


def _told(own: Personality) -> str:
    """-version; 0.2.4 calls itself unstable unless it was told otherwise when it was linked."""
    if own.version < (0, 5, 0):
        return f"Livepeer Node Version: {own.shown}-unstable\n{own.stand_in}"
    python = ".".join(str(part) for part in sys.version_info[:3])
    return (
        f"Livepeer Node Version: {own.shown}\nGolang runtime version: none, Python {python}\n"
        f"Architecture: amd64\nOperating system: linux\n{own.stand_in}"
    )


def cli_main(arguments: Sequence[str], version: str) -> int:
    """livepeer_cli is a wizard for a terminal; the stand-in has the HTTP API only and says so."""
    own = personality(parse(version))
    try:
        goflags.parse(_CLI_FLAGS, arguments)
    except goflags.HelpRequested:
        sys.stderr.write(goflags.usage("livepeer_cli", _CLI_FLAGS) + own.stand_in + "\n")
        return 0
    except goflags.FlagError as error:
        sys.stderr.write(f"Incorrect Usage. {error}\n")
        return 1
    sys.stderr.write(
        own.stand_in + "\nIt has no wizard: ask the node by HTTP, for example\n"
        f"  curl http://127.0.0.1:{own.control_port}{own.own_record}\n"
    )
    return 1
