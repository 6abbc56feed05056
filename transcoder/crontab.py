"""One entry in the user's crontab that restarts the nodes of an environment every night. Other lines stay as they are.

Debian's cron takes an entry's time by the computer's own zone (crontab(5); it knows no ``CRON_TZ``), and a ``%`` in a
command as a line end, so the time is converted and the ``%`` escaped here.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from transcoder.errors import Failed, Refused

DAY = 24 * 60
SECONDS = 30.0
MARK = re.compile(r"# transcoder nightly-restart (\S+) at (\d\d):(\d\d) UTC within (\d+) min")
TIMES = re.compile(r"(\d+) (\d+) \* \* \* (.*)")


@dataclass(frozen=True)
class Entry:
    """``at``: minute of the day in UTC from which on, ``within`` how many minutes; ``start``: the minute that it is.

    ``ahead``: minutes by which the computer's zone is ahead of UTC.
    """

    environment: str
    at: int
    within: int
    start: int
    command: str
    ahead: int = 0

    def lines(self) -> list[str]:
        """Return the comment that marks it, and the line that cron reads."""
        hour, minute = divmod((self.start + self.ahead) % DAY, 60)
        mark = f"# transcoder nightly-restart {self.environment} at {clock(self.at)} UTC within {self.within} min"
        return [mark, f"{minute} {hour} * * * {self.command}"]

    def next_run(self, now: datetime) -> datetime:
        """Return when it runs next, in UTC."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        today = midnight + timedelta(minutes=self.start)
        return today if today > now else today + timedelta(days=1)


def clock(minute: int) -> str:
    """Return a minute of the day as HH:MM."""
    return "{:02}:{:02}".format(*divmod(minute % DAY, 60))


def parse_clock(text: str) -> int:
    """Return the minute of the day of ``HH:MM``.

    :raises Refused: for anything else.
    """
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if not found:
        raise Refused(f"--at {text!r} is not HH:MM, in UTC", hint="invoke cron.install --at 03:00")
    return int(found[1]) * 60 + int(found[2])


def minutes_ahead(zone: tuple[int, int] | None = None) -> int:
    """Return by how many minutes this computer's zone is ahead of UTC, all year.

    :param zone: its seconds ahead in January and in July, for tests.
    :raises Refused: where it is not the same in summer and winter: cron would run an hour off for half of the year.
    """
    winter, summer = zone or tuple(_ahead(month) for month in (1, 7))
    if winter != summer:
        raise Refused(
            f"this computer's clock is {winter // 60} min ahead of UTC in January and {summer // 60} in July, and cron "
            "goes by it",
            hint="timedatectl set-timezone UTC",
        )
    return winter // 60


def _ahead(month: int) -> int:
    moment = datetime(datetime.now(UTC).year, month, 15, tzinfo=UTC).timestamp()
    return time.localtime(moment).tm_gmtoff


def command(root: Path, python: Path, environment: Path, log: Path, max_age: float) -> str:
    """Return the shell command of the entry: absolute paths, quoted, since cron has nearly no environment.

    :raises Refused: for a path with a line end, which no crontab can hold.
    """
    own = ["nightly-restart", "--quiet", "--env", str(environment), "--max-age", f"{max_age:g}", "--log", str(log)]
    words = f"cd {shlex.quote(str(root))} && {shlex.join([str(python), '-m', 'invoke', *own])}"
    if "\n" in words:
        raise Refused(f"no crontab can hold a path with a line end: {words!r}", hint="move the project or the file")
    return words.replace("%", r"\%")


def find(text: str, environment: str, ahead: int = 0) -> Entry | None:
    """Return the entry of an environment, None where a crontab has none."""
    lines = text.splitlines()
    for number, line in enumerate(lines[:-1]):
        mark, times = MARK.fullmatch(line), TIMES.fullmatch(lines[number + 1])
        if mark and times and mark[1] == environment:
            start = (int(times[2]) * 60 + int(times[1]) - ahead) % DAY
            return Entry(environment, int(mark[2]) * 60 + int(mark[3]), int(mark[4]), start, times[3], ahead)
    return None


def without(text: str, environment: str) -> str:
    """Return a crontab without the entry; everything else stays byte for byte."""
    lines, kept = text.splitlines(keepends=True), []
    while lines:
        line = lines.pop(0)
        mark = MARK.fullmatch(line.rstrip("\n"))
        if mark and mark[1] == environment:
            if lines and TIMES.fullmatch(lines[0].rstrip("\n")):
                lines.pop(0)
            continue
        kept.append(line)
    return "".join(kept)


def with_entry(text: str, entry: Entry) -> str:
    """Return a crontab with this one entry of its environment, at the end."""
    rest = without(text, entry.environment)
    end = "" if not rest or rest.endswith("\n") else "\n"
    return rest + end + "\n".join(entry.lines()) + "\n"


def planned(text: str, environment: str, at: int, within: int, words: str, ahead: int, dice: Random) -> Entry:
    """Return the entry to be there: at a random minute of the span, the one that it has when the span is the same.

    The spread keeps the nodes of all operators from being down at the same minute.

    :raises Refused: for a span that is none.
    """
    if not 1 <= within <= DAY:
        raise Refused(f"--within {within}: from 1 to {DAY} minutes", hint="invoke cron.install --within 60")
    old = find(text, environment, ahead)
    kept = old is not None and (old.at, old.within) == (at, within) and (old.start - at) % DAY < within
    start = old.start if old is not None and kept else (at + dice.randrange(within)) % DAY
    return Entry(environment, at, within, start, words, ahead)


def read() -> str:
    """Return the user's crontab; empty where there is none.

    :raises Failed: when it cannot be read.
    """
    done = _run("-l")
    if done.returncode == 0:
        return done.stdout
    if "no crontab for" in done.stderr:
        return ""
    raise Failed(f"crontab -l ended with {done.returncode}: {done.stderr.strip()}", hint="crontab -l")


def write(text: str) -> None:
    """Replace the user's crontab, in one step.

    :raises Failed: when cron's own check refuses it; the old one stays.
    """
    done = _run("-", stdin=text)
    if done.returncode:
        said = done.stderr.strip()
        raise Failed(f"crontab ended with {done.returncode}: {said}; the old one stays", hint="crontab -l")


def _run(argument: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command_line = ["crontab", argument]
    try:
        return subprocess.run(command_line, input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise Refused("this computer has no crontab program", hint="apt install cron") from None
