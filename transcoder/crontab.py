"""One entry in the user's crontab that restarts the nodes of an environment every night. Other lines stay as they are.

Debian's cron takes an entry's time by the computer's own zone (crontab(5); it knows no ``CRON_TZ``), and a ``%`` in a
command as a line end, so the time is converted and the ``%`` escaped here.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from transcoder.errors import Failed, Refused

DAY = 24 * 60
SECONDS = 30.0
MOST_BYTES = 998
"""Of a command (Debian's cron.h, MAX_COMMAND); a longer one is refused by its crontab: "command too long"."""
ZONE = Path("/etc/localtime")
"""The zone that cron goes by, whatever ``TZ`` the shell has in which something is installed."""
DAEMONS = ("cron", "crond")
MARK = re.compile(r"# transcoder nightly-restart (.+) at (\d\d):(\d\d) UTC within (\d+) min")
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


def minutes_ahead(offsets: Iterable[int] = ()) -> int:
    """Return by how many minutes this computer's zone is ahead of UTC, all year.

    :param offsets: its seconds ahead over a year, for tests.
    :raises Refused: where it is not always the same: cron would run an hour off for a part of the year.
    """
    found = sorted({seconds // 60 for seconds in offsets or _offsets()})
    if len(found) > 1:
        raise Refused(
            f"this computer's clock is {found[0]} min ahead of UTC for a part of the year and {found[-1]} for another, "
            "and cron goes by it",
            hint="timedatectl set-timezone UTC, and restart cron",
        )
    return found[0]


def _offsets() -> Iterable[int]:
    """Yield the seconds ahead on each day of the year that begins: some zones change at Ramadan, not in summer."""
    if not ZONE.exists():
        yield 0
        return
    with ZONE.open("rb") as file:
        zone = ZoneInfo.from_file(file)
    now = datetime.now(UTC)
    for days in range(366):
        ahead = (now + timedelta(days=days)).astimezone(zone).utcoffset()
        yield int(ahead.total_seconds()) if ahead else 0


def command(
    root: Path, python: Path, environment: Path, log: Path, max_age: float, variables: Mapping[str, str] = {}
) -> str:
    """Return the shell command of the entry: absolute paths, quoted, since cron has nearly no environment.

    :param variables: what of the shell's environment the run needs, by name. No secret: a crontab is a file.
    :raises Refused: for a path with a line end, which no crontab can hold, or when all is longer than cron takes.
    """
    own = ["nightly-restart", "--quiet", "--env", str(environment), "--max-age", f"{max_age:g}", "--log", str(log)]
    given = [f"{name}={value}" for name, value in variables.items()]
    program = ["/usr/bin/env", *given, str(python), "-m", "invoke", *own]
    words = f"cd {shlex.quote(str(root))} && {shlex.join(program)}"
    if "\n" in words:
        raise Refused(f"no crontab can hold a path with a line end: {words!r}", hint="move the project or the file")
    escaped = words.replace("%", r"\%")
    if (size := len(escaped.encode("utf-8", "surrogateescape"))) > MOST_BYTES:
        raise Refused(
            f"cron takes commands of {MOST_BYTES} bytes, this one would have {size}: {escaped}",
            hint="PATH=/usr/local/bin:/usr/bin:/bin invoke cron.install, or shorter paths",
        )
    return escaped


def _lines(text: str) -> list[str]:
    """Return the lines with their ends: those that cron knows, which are fewer than Python does."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def find(text: str, environment: str, ahead: int = 0) -> Entry | None:
    """Return the entry of an environment, None where a crontab has none."""
    lines = [line.removesuffix("\n") for line in _lines(text)]
    for number, line in enumerate(lines[:-1]):
        mark, times = MARK.fullmatch(line), TIMES.fullmatch(lines[number + 1])
        if mark and times and mark[1] == environment:
            start = (int(times[2]) * 60 + int(times[1]) - ahead) % DAY
            return Entry(environment, int(mark[2]) * 60 + int(mark[3]), int(mark[4]), start, times[3], ahead)
    return None


def without(text: str, environment: str) -> str:
    """Return a crontab without the entry; everything else stays byte for byte."""
    lines, kept = _lines(text), []
    while lines:
        line = lines.pop(0)
        mark = MARK.fullmatch(line.removesuffix("\n"))
        if mark and mark[1] == environment:
            if lines and TIMES.fullmatch(lines[0].removesuffix("\n")):
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
    """Return the user's crontab; empty where there is none. Bytes that are no UTF-8 stay what they are.

    :raises Failed: when it cannot be read.
    :raises Refused: when it could not be written back as it is: Debian's ``crontab -l`` shows a carriage return as the
        two characters ``\\r``.
    """
    done = _run("-l")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        if "no crontab for" in said:
            return ""
        raise Failed(f"crontab -l ended with {done.returncode}: {said}", hint="crontab -l")
    text = done.stdout.decode("utf-8", "surrogateescape")
    for number, line in enumerate(_lines(text), 1):
        if line.removesuffix("\n").endswith("\\r"):
            raise Refused(
                f"line {number} of the crontab ends with a carriage return, which crontab cannot give back as it is",
                hint="crontab -e, and remove it there (in vi: :%s/\\r$//)",
            )
    return text


def write(text: str) -> None:
    """Replace the user's crontab, in one step, and see that it is what was written.

    :raises Failed: when cron's own check refuses it; the old one stays.
    """
    done = _run("-", text.encode("utf-8", "surrogateescape"))
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise Failed(f"crontab ended with {done.returncode}: {said}; the old one stays", hint="crontab -l")
    if read() != text:
        raise Failed("the crontab is not what was written: somebody has changed it meanwhile", hint="crontab -l")


def daemon_runs(processes: Path = Path("/proc")) -> bool:
    """Tell whether something runs here that reads crontabs."""
    for name in processes.glob("[0-9]*/comm"):
        try:
            if name.read_text(encoding="utf-8", errors="replace").strip() in DAEMONS:
                return True
        except OSError:  # it has ended since
            continue
    return False


def _run(argument: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command_line = ["crontab", argument]
    try:
        return subprocess.run(command_line, input=stdin, capture_output=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise Refused("this computer has no crontab program", hint="apt install cron") from None
