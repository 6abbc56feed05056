"""One entry a night: however often it is installed, and whatever else stands in the crontab."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulated.world import settings as make_settings
from transcoder import crontab
from transcoder.crontab import Entry
from transcoder.errors import Failed, Refused
from transcoder.recipes import cron

OTHERS = st.lists(
    st.sampled_from(["", "# a comment", "MAILTO=ops@example.org", "*/5 * * * * /usr/bin/true", "0 4 * * * x % y"])
).map("\n".join)
WORDS = "cd /srv && /srv/.venv/bin/python -m invoke nightly-restart"


def planned(
    text: str, environment: str = "lab", at: int = 180, within: int = 60, ahead: int = 0, dice: int = 1
) -> Entry:
    return crontab.planned(text, environment, at, within, WORDS, ahead, Random(dice))  # noqa: S311 - a throw that can be repeated


@given(others=OTHERS, ahead=st.sampled_from([0, 60, -330, 345]), at=st.integers(0, 1439), within=st.integers(1, 1440))
def test_installed_twice_it_is_there_once_and_the_rest_is_untouched(
    others: str, ahead: int, at: int, within: int
) -> None:
    first = planned(others, at=at, within=within, ahead=ahead, dice=1)
    text = crontab.with_entry(others, first)
    assert crontab.find(text, "lab", ahead) == first
    second = planned(text, at=at, within=within, ahead=ahead, dice=2)
    assert second == first
    assert crontab.with_entry(text, second) == text
    ended = others if others.endswith("\n") or not others else others + "\n"
    assert crontab.without(text, "lab") == ended
    assert (first.start - at) % crontab.DAY < within


def test_two_environments_have_an_entry_each() -> None:
    text = crontab.with_entry(crontab.with_entry("", planned("")), planned("", "arbitrum", at=60))
    assert [entry.at for name in ("lab", "arbitrum") if (entry := crontab.find(text, name))] == [180, 60]
    assert crontab.find(crontab.without(text, "lab"), "arbitrum") == crontab.find(text, "arbitrum")


def test_another_time_replaces_the_old_one() -> None:
    text = crontab.with_entry("", planned(""))
    changed = crontab.with_entry(text, planned(text, at=0, within=1))
    assert len(changed.splitlines()) == 2
    assert changed.splitlines()[1].startswith("0 0 * * * ")


def test_the_time_is_written_for_the_computers_own_zone() -> None:
    entry = Entry("lab", at=180, within=1, start=180, command=WORDS, ahead=-330)
    assert entry.lines()[1].startswith("30 21 * * * ")


def test_a_zone_with_summer_time_is_refused() -> None:
    with pytest.raises(Refused, match="60 min ahead of UTC in January and 120 in July"):
        crontab.minutes_ahead((3600, 7200))
    assert crontab.minutes_ahead((19800, 19800)) == 330


def test_it_says_when_it_runs_next() -> None:
    entry = Entry("lab", at=180, within=60, start=200, command=WORDS)
    assert entry.next_run(datetime(2026, 1, 1, 3, 19, tzinfo=UTC)) == datetime(2026, 1, 1, 3, 20, tzinfo=UTC)
    assert entry.next_run(datetime(2026, 1, 1, 3, 20, tzinfo=UTC)) == datetime(2026, 1, 2, 3, 20, tzinfo=UTC)


@pytest.mark.parametrize("text", ["3", "24:00", "03:60", "3pm", "", "03:00 UTC"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not HH:MM"):
        crontab.parse_clock(text)


def test_a_span_that_is_none_is_refused() -> None:
    with pytest.raises(Refused, match="--within 0"):
        planned("", within=0)


def test_paths_are_quoted_and_percent_signs_escaped() -> None:
    made = crontab.command(Path("/srv/my project"), Path("/p/python"), Path("/srv/100%/e.toml"), Path("/l/x.log"), 12)
    assert made == (
        "cd '/srv/my project' && /p/python -m invoke nightly-restart --quiet --env /srv/100\\%/e.toml "
        "--max-age 12 --log /l/x.log"
    )
    with pytest.raises(Refused, match="line end"):
        crontab.command(Path("/srv/a\nb"), Path("/p"), Path("/e"), Path("/l"), 12)


FAKE = """#!/bin/sh
set -e
case "$1" in
-l) if [ -e "$SPOOL" ]; then cat "$SPOOL"; else echo "no crontab for ada" >&2; exit 1; fi ;;
-)
    cat > "$SPOOL.new"
    if grep -q refuse "$SPOOL.new"; then echo 'bad minute' >&2; exit 1; fi
    mv "$SPOOL.new" "$SPOOL"
    ;;
esac
"""


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A crontab program that keeps its table in a file."""
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(crontab, "minutes_ahead", lambda: 0)
    return tmp_path / "spool"


def test_install_show_remove(spool: Path) -> None:
    settings = make_settings()
    spool.write_text("MAILTO=ops@example.org\n")
    shown = cron.install(settings, "03:00", 60, 12.0, dry_run=True)
    assert shown.changed
    assert spool.read_text() == "MAILTO=ops@example.org\n"
    assert cron.install(settings, "03:00", 60, 12.0, dry_run=False).changed
    installed = spool.read_text()
    assert not cron.install(settings, "03:00", 60, 12.0, dry_run=False).changed
    assert spool.read_text() == installed
    assert len(re.findall("nightly-restart --quiet", installed)) == 1
    assert cron.show(settings).entry == crontab.find(installed, settings.name)
    assert cron.remove(settings, dry_run=False).changed
    assert spool.read_text() == "MAILTO=ops@example.org\n"
    assert not cron.remove(settings, dry_run=False).changed
    assert cron.show(settings).entry is None


def test_the_last_run_is_told_by_the_log(spool: Path) -> None:
    settings = make_settings()
    log = cron.log_of(settings)
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-01 03:01:00 tc001: stop\n2026-01-01 03:02:00 lab: 1 node(s): 1 restarted\n")
    assert cron.show(settings).last == "2026-01-01 03:02:00 lab: 1 node(s): 1 restarted"


def test_a_crontab_that_cron_refuses_leaves_the_old_one(spool: Path) -> None:
    spool.write_text("# old\n")
    with pytest.raises(Failed, match="bad minute; the old one stays"):
        crontab.write("refuse\n")
    assert crontab.read() == "# old\n"


def test_a_computer_without_cron_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="no crontab program") as caught:
        crontab.read()
    assert caught.value.hint == "apt install cron"


def test_the_command_of_the_entry_is_one_that_a_bare_shell_can_run(tmp_path: Path) -> None:
    entry = crontab.command(tmp_path, Path("/bin/echo"), tmp_path / "e.toml", tmp_path / "l.log", 12)
    done = subprocess.run(["/bin/sh", "-c", entry], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.split()[:4] == ["-m", "invoke", "nightly-restart", "--quiet"]
