"""The command lines of livepeer and livepeer_cli 0.2.4."""

import signal
import sys
from typing import Sequence

from ..common import goflags
from .flags import FLAGS

VERSION = "0.2.4-unstable"
STAND_IN = "This is a stand-in for livepeer 0.2.4, made for rehearsals; it is not go-livepeer."
_CLI_FLAGS = (
    goflags.Flag("http", "string", "8935", "local http port"),
    goflags.Flag("rtmp", "string", "1935", "local rtmp port"),
    goflags.Flag("host", "string", "localhost", "host for the Livepeer node"),
    goflags.Flag("loglevel", "int", 4, "log level to emit to the screen"),
)


def main(arguments: Sequence[str]) -> int:
    """Run livepeer with these words; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the node runs it dies of it, as a Go program does
    try:
        parsed = goflags.parse(FLAGS, arguments)
    except goflags.HelpRequested:
        sys.stderr.write(goflags.usage("livepeer", FLAGS))
        return 2
    except goflags.FlagError as error:
        sys.stderr.write("{}\n{}".format(error, goflags.usage("livepeer", FLAGS)))
        return 2
    if parsed.values["version"]:
        print(f"Livepeer Node Version: {VERSION}\n{STAND_IN}")
        return 0
    from .node import Node  # noqa: PLC0415 - -version must answer where python3 lacks sqlite3

    return Node(parsed.values).run()


def cli_main(arguments: Sequence[str]) -> int:
    """livepeer_cli is a wizard for a terminal; the stand-in has the HTTP API only and says so."""
    try:
        goflags.parse(_CLI_FLAGS, arguments)
    except goflags.HelpRequested:
        sys.stderr.write(goflags.usage("livepeer_cli", _CLI_FLAGS) + STAND_IN + "\n")
        return 0
    except goflags.FlagError as error:
        sys.stderr.write(f"Incorrect Usage. {error}\n")
        return 1
    sys.stderr.write(
        STAND_IN + "\nIt has no wizard: ask the node by HTTP, for example\n"
        "  curl http://127.0.0.1:8935/transcoderInfo\n"
    )
    return 1
