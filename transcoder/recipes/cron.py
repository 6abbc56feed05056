"""`invoke cron.*`: the nightly restart of an environment in the crontab of this user."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

from transcoder import crontab
from transcoder.crontab import Entry
from transcoder.settings import ROOT, Settings, state_directory


@dataclass(frozen=True)
class Shown:
    """What there is for an environment. ``last`` is the last line of the log that sums a run up."""

    environment: str
    entry: Entry | None
    log: Path
    last: str
    changed: bool = False

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
        ]


def log_of(settings: Settings) -> Path:
    """Return where the nightly restart of an environment writes what it does."""
    return state_directory() / f"nightly-restart-{settings.name}.log"


def show(settings: Settings, *, changed: bool = False) -> Shown:
    """Look at the crontab and the log."""
    entry = crontab.find(crontab.read(), settings.name, crontab.minutes_ahead())
    return Shown(settings.name, entry, log_of(settings), _last(log_of(settings)), changed)


def _last(log: Path) -> str:
    if not log.exists():
        return ""
    summed = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if " node(s): " in line]
    return summed[-1] if summed else ""


def install(settings: Settings, at: str, within: int, max_age: float, *, dry_run: bool) -> Shown:
    """Put the entry there, or leave it as it is when it is there already.

    :raises Refused: for a time that is none, or a computer whose cron cannot keep it.
    """
    ahead, before = crontab.minutes_ahead(), crontab.read()
    words = crontab.command(ROOT, Path(sys.executable), settings.path.resolve(), log_of(settings), max_age)
    minute = crontab.parse_clock(at)
    entry = crontab.planned(before, settings.name, minute, within, words, ahead, SystemRandom())
    after = before if crontab.find(before, settings.name, ahead) == entry else crontab.with_entry(before, entry)
    if dry_run or after == before:
        return Shown(settings.name, entry, log_of(settings), _last(log_of(settings)), after != before)
    crontab.write(after)
    return show(settings, changed=True)


def remove(settings: Settings, *, dry_run: bool) -> Shown:
    """Take the entry away; nothing happens where there is none."""
    before = crontab.read()
    after = crontab.without(before, settings.name)
    if not dry_run and after != before:
        crontab.write(after)
    return Shown(settings.name, None, log_of(settings), _last(log_of(settings)), after != before)
