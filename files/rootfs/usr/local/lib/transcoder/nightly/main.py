"""``nightly-restart [--dry-run] [--config FILE] [--root DIRECTORY]``: one turn, for systemd's timer or by hand.

Exit status 0 when what was due runs again, 3 when it could not be begun, 4 when something has failed.
"""

import argparse
import fcntl
import json
import sys
import time
from typing import List

from transcoder_node import notify
from watch.commands import run
from watch.model import NoAnswer, Node
from watch.store import Store

from .model import FAILED, REFUSED, Halt, Night
from .turn import turn


def say(line: str) -> None:
    """Tell the journal and ``systemctl status``."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    notify("STATUS=" + line)


def main(arguments: List[str]) -> int:
    """Take one turn; a second one at the same time is refused."""
    parser = argparse.ArgumentParser(prog="nightly-restart")
    parser.add_argument("--dry-run", action="store_true", help="tell what is due, and restart nothing")
    parser.add_argument("--config", default="/etc/transcoder/watch.json")
    parser.add_argument("--root", default="", help="a directory that stands for / (for tests)")
    options = parser.parse_args(arguments)
    with open(options.config, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the kernel, however this process ends
        except BlockingIOError:
            say("refused: another nightly restart is under way: systemctl status transcoder-nightly-restart")
            return REFUSED
        node = Node(json.load(file), options.root.rstrip("/"), time.time, Store(), run)
        return guarded(Night(node, time.monotonic, time.sleep, run, say), options.dry_run)


def guarded(night: Night, dry_run: bool) -> int:
    """Take one turn; return the exit code."""
    try:
        turn(night, dry_run)
    except Halt as halt:
        night.say("{}: {}".format("refused" if halt.code == REFUSED else "failed", halt))
        return halt.code
    except NoAnswer as error:
        night.say("failed: {}".format(error))
        return FAILED
    night.say("done")
    return 0
