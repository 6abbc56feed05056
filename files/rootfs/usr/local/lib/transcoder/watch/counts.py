"""``watch-counts``: counts what only root may see, and writes numbers. It has no network and changes nothing.

Open files of the services and their limits, and livepeer's winning tickets that are not redeemed. The watch, which
talks to the network, is another process without any right; see `watch.counted`.
"""

import argparse
import json
import os
import re
import sqlite3
import sys
import time
from contextlib import closing
from typing import Any, Dict, List, Optional

from .commands import run
from .model import NoAnswer
from .units import HOLD

EVERY = 60.0
QUESTION = "SELECT strftime('%s', createdAt), faceValue FROM ticketQueue WHERE redeemedAt IS NULL"


def count(config: Dict[str, Any], root: str, now: float) -> Dict[str, Any]:
    """Return the counts: ``files`` by role, ``tickets`` (None where this version has none or they cannot be read)."""
    return {"written": now, "files": _files(config, root), "tickets": _tickets(config, root)}


def _files(config: Dict[str, Any], root: str) -> Dict[str, Any]:
    found = {}
    for role in sorted(set(config["units"]) & set(config["volumes"])):
        try:
            pid = re.search(r"MainPID=(\d+)", run(["systemctl", "show", "-p", "MainPID", "--", config["units"][role]]))
            if pid and pid.group(1) != "0":
                found[role] = open_files(root, int(pid.group(1)))
        except (NoAnswer, OSError) as error:
            sys.stderr.write("watch-counts: {} cannot be counted: {}\n".format(role, error))
    return found


def open_files(root: str, pid: int) -> Dict[str, int]:
    """Return how many files a process has open and how many it may (soft limit)."""
    directory = "{}/proc/{}".format(root, pid)
    with open(directory + "/limits", encoding="ascii", errors="replace") as file:
        match = re.search(r"^Max open files\s+(\d+)", file.read(), re.MULTILINE)
    return {"open": len(os.listdir(directory + "/fd")), "limit": int(match.group(1)) if match else 0}


def _tickets(config: Dict[str, Any], root: str) -> Optional[Dict[str, Any]]:
    """Return the tickets; the database is not touched while an operation moves its volume."""
    path = config["livepeer"]["tickets"]
    if not path or os.path.exists(root + HOLD + config["units"]["livepeer"]) or not os.path.exists(root + path):
        return None
    try:
        return unredeemed(root + path)
    except sqlite3.Error as error:
        sys.stderr.write("watch-counts: {} is not readable: {}\n".format(path, error))
        return None


def unredeemed(path: str) -> Dict[str, Any]:
    """Return number, value and oldest of the winning tickets not redeemed yet (go-livepeer common/db.go)."""
    with closing(sqlite3.connect("file:{}?mode=ro".format(path), uri=True, timeout=5)) as database:
        rows = database.execute(QUESTION).fetchall()
    return {
        "count": len(rows),
        "wei": sum(int.from_bytes(bytes(value or b""), "big") for _, value in rows),
        "oldest": min([float(created or 0) for created, _ in rows] or [0.0]),
    }


def main(arguments: List[str]) -> int:
    """Count every minute, for ever; ``--once`` once."""
    parser = argparse.ArgumentParser(prog="watch-counts")
    parser.add_argument("--config", default="/etc/transcoder/watch.json")
    parser.add_argument("--root", default="")
    parser.add_argument("--output", default="/run/transcoder-counts/counts.json")
    parser.add_argument("--once", action="store_true")
    options = parser.parse_args(arguments)
    with open(options.config, encoding="utf-8") as file:
        config = json.load(file)
    while True:
        write(options.output, count(config, options.root, time.time()))
        if options.once:
            return 0
        time.sleep(EVERY)


def write(path: str, counts: Dict[str, Any]) -> None:
    """Write the file, whole or not at all, for everybody to read."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(counts, file)
    os.chmod(path + ".new", 0o644)
    os.replace(path + ".new", path)
