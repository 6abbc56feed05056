"""`invoke cron.*`: the nightly restart of an environment in the crontab of this user."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import SystemRandom
from typing import Any

from transcoder import crontab
from transcoder.alone import alone
from transcoder.crontab import Entry
from transcoder.settings import ROOT, Settings, for_a_night, secrets_of_the_shell, state_directory

STAMP = "%Y-%m-%d %H:%M:%S"
NOT_RUN = ": not run: "
"""In the log of a nightly restart that has not come to its first node, before the reason."""
LATE = timedelta(hours=26)
"""A run that is older than that is not that of the last night."""


@dataclass(frozen=True)
class Shown:
    """What there is for an environment. ``last`` is the last line of the log that says how a run ended.

    ``secrets``: variables of the shell with AWS credentials, which cron will not have; ``daemon``: whether cron runs.
    """

    environment: str
    entry: Entry | None
    log: Path
    last: str
    changed: bool = False
    daemon: bool = True
    secrets: tuple[str, ...] = ()

    def warnings(self, now: datetime) -> list[str]:
        """Return what will keep the entry from doing its work."""
        if self.entry is None:
            return []
        found = []
        if not self.daemon:
            found.append("no cron runs on this computer: sudo systemctl enable --now cron")
        if self.secrets:
            names = ", ".join(self.secrets)
            found.append(f"cron will not have {names} of this shell: name a profile in aws.profile, or use a role")
        if (ran := self.ran) is not None and now - ran > LATE:
            days = (now - ran).days
            found.append(f"the last run was {days} day(s) ago: see cron's mail, and journalctl --unit cron")
        return found

    @property
    def ran(self) -> datetime | None:
        """Return when the last run ended."""
        try:
            return datetime.strptime(self.last[:19], STAMP).replace(tzinfo=UTC)
        except ValueError:
            return None

    def describe(self, now: datetime) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        entry = self.entry
        return {
            "environment": self.environment,
            "installed": entry is not None,
            "changed": self.changed,
            "lines": entry.lines() if entry else [],
            "runs_at_utc": crontab.clock(entry.start) if entry else None,
            "next_run": entry.next_run(now).isoformat(timespec="minutes") if entry else None,
            "log": str(self.log),
            "last_run": self.last,
            "warnings": self.warnings(now),
        }

    def lines(self, now: datetime) -> list[str]:
        """Return it for people."""
        if self.entry is None:
            return [f"{self.environment}: no entry in the crontab of this user (invoke cron.install)"]
        return [
            f"{self.environment}: every day at {crontab.clock(self.entry.start)} UTC, next at "
            f"{self.entry.next_run(now):%Y-%m-%d %H:%M} UTC",
            *(f"  {line}" for line in self.entry.lines()),
            f"  log: {self.log}",
            f"  last run: {self.last or 'none yet'}",
            *(f"  ! {warning}" for warning in self.warnings(now)),
        ]


def log_of(settings: Settings) -> Path:
    """Return where the nightly restart of an environment writes what it does."""
    return state_directory() / f"nightly-restart-{settings.name}.log"


def show(settings: Settings) -> Shown:
    """Look at the crontab and the log."""
    return _shown(settings, crontab.find(crontab.read(), settings.name, crontab.minutes_ahead()), changed=False)


def _shown(settings: Settings, entry: Entry | None, *, changed: bool) -> Shown:
    log = log_of(settings)
    # For an EC2 that is not Amazon's the credentials stand in the environment's file; a profile is named there.
    own = settings.aws.endpoint_url or settings.aws.profile
    secrets = () if own else tuple(secrets_of_the_shell())
    return Shown(settings.name, entry, log, _last(log), changed, crontab.daemon_runs(), secrets)


def _last(log: Path) -> str:
    if not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    summed = [line for line in lines if " node(s): " in line or NOT_RUN in line]
    return summed[-1] if summed else ""


def install(settings: Settings, at: str, within: int, max_age: float, *, dry_run: bool) -> Shown:
    """Put the entry there, or leave it as it is when it is there already.

    :raises Refused: for a time that is none, or a computer whose cron cannot keep it.
    """
    ahead, minute = crontab.minutes_ahead(), crontab.parse_clock(at)
    path, log = settings.path.resolve(), log_of(settings)
    words = crontab.command(ROOT, Path(sys.executable), path, log, max_age, for_a_night())
    with _writing():
        before = crontab.read()
        entry = crontab.planned(before, settings.name, minute, within, words, ahead, SystemRandom())
        after = before if crontab.find(before, settings.name, ahead) == entry else crontab.with_entry(before, entry)
        if not dry_run and after != before:
            crontab.write(after)
    return _shown(settings, entry, changed=after != before)


def remove(settings: Settings, *, dry_run: bool) -> Shown:
    """Take the entry away; nothing happens where there is none."""
    with _writing():
        before = crontab.read()
        after = crontab.without(before, settings.name)
        if not dry_run and after != before:
            crontab.write(after)
    return _shown(settings, None, changed=after != before)


def _writing() -> AbstractContextManager[None]:
    """Keep two of these commands from each writing back what the other has changed."""
    return alone(state_directory() / "crontab.lock", "a change of this user's crontab")
