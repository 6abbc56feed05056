"""Other programs, each with an end."""

import subprocess
from typing import List

from .model import NoAnswer

SECONDS = 10.0


def run(command: List[str], seconds: float = SECONDS) -> str:
    """Return what a command prints; raises NoAnswer when it fails or takes longer than so many seconds."""
    try:
        done = subprocess.run(  # noqa: UP022  Python 3.6 has no capture_output
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise NoAnswer("{} does not answer within {:.0f} s".format(command[0], seconds)) from None
    except OSError as error:
        raise NoAnswer("{} cannot be run: {}".format(command[0], error.strerror)) from None
    if done.returncode:
        told = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise NoAnswer("{} ends with {}: {}".format(command[0], done.returncode, told[:200]))
    return done.stdout.decode("utf-8", "replace")
