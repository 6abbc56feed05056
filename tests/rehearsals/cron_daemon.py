"""Debian's cron, really running, with tables of its own: in a mount namespace in which nobody else's table is seen."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from transcoder.settings import ROOT

START = """
set -e
mount --types tmpfs --options mode=0755 private /var/spool/cron
install --directory --owner=root --group=crontab --mode=1730 /var/spool/cron/crontabs
mount --types tmpfs private /etc/cron.d
mount --bind /dev/null /etc/crontab
touch /run/crond.pid
mount --bind "$1" /run/crond.pid
exec cron -f
"""


@contextmanager
def running(directory: Path) -> Iterator[list[str]]:
    """Run cron; what is yielded comes before a command that is to see cron's tables.

    :param directory: takes cron's own pid file.
    """
    pid_file = directory / "crond.pid"
    pid_file.touch()
    command = ("unshare", "--mount", "--propagation", "private", "sh", "-c", START, "sh", str(pid_file))
    daemon = subprocess.Popen(command)
    try:
        # Before it is cron, it has not mounted everything yet.
        _until(lambda: Path(f"/proc/{daemon.pid}/comm").read_text(encoding="ascii") == "cron\n")
        yield ["nsenter", "--mount", f"--target={daemon.pid}", f"--wd={ROOT}", "--"]
    finally:
        daemon.terminate()
        daemon.wait()


def _until(so: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30.0
    while not so():
        assert time.monotonic() < ends, "cron did not start"
        time.sleep(0.05)


def table(inside: Sequence[str]) -> list[str]:
    """Return the lines of root's crontab, as ``crontab`` prints it."""
    done = subprocess.run([*inside, "crontab", "-l"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()
