"""Running the tools of the host: argument lists in, text out, and an error that says what the tool said."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping

from transcoder.errors import Failed, Refused


def run(*arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Run a command of the host and return its standard output.

    :raises Failed: the command is missing or ended with another status than 0; holds its last lines.
    """
    try:
        done = subprocess.run(arguments, input=stdin, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError as missing:
        raise Failed(f"{arguments[0]} is not installed on this machine", hint="script/bootstrap") from missing
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise Failed(f"`{' '.join(arguments)}` ended with status {done.returncode}: {said}")
    return done.stdout


def succeeds(*arguments: str) -> bool:
    """Say whether a command that only asks a question (``ip link show X``) answers yes."""
    return subprocess.run(arguments, capture_output=True, check=False).returncode == 0


def check_tools(tools: Iterable[str]) -> None:
    """Refuse, naming every tool that is missing.

    :raises Refused: at least one of the tools is not on the PATH.
    """
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        reasons = [f"{tool} is not installed" for tool in missing]
        raise Refused("this machine lacks tools that the lab needs", reasons=reasons, hint="script/bootstrap")
