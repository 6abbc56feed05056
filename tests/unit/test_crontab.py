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
from transcoder.alone import alone
from transcoder.crontab import Entry
from transcoder.errors import Failed, Refused
from transcoder.recipes import cron
from transcoder.settings import AWS_SECRETS, Settings, state_directory

OTHERS = st.lists(
    st.sampled_from(["", "# a comment", "MAILTO=ops@example.org", "*/5 * * * * /usr/bin/true", "0 4 * * * x % y"])
).map("\n".join)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = Path("/usr/share/zoneinfo")
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
    with pytest.raises(Refused, match="60 min ahead of UTC for a part of the year and 120 for another"):
        crontab.minutes_ahead((3600, 7200))
    assert crontab.minutes_ahead((19800, 19800)) == 330


@pytest.mark.parametrize(("name", "ahead"), [("Asia/Kolkata", 330), ("America/Phoenix", -420), ("Etc/UTC", 0)])
def test_the_zone_is_the_computers_and_not_that_of_the_shell(
    name: str, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crontab, "ZONE", ZONES / name)
    monkeypatch.setenv("TZ", "America/New_York")
    assert crontab.minutes_ahead() == ahead


@pytest.mark.parametrize("name", ["Europe/Berlin", "Africa/Casablanca"])
def test_a_zone_that_changes_in_summer_or_at_ramadan_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crontab, "ZONE", ZONES / name)
    with pytest.raises(Refused) as caught:
        crontab.minutes_ahead()
    assert "set-timezone UTC" in caught.value.hint


def test_a_computer_without_a_zone_goes_by_utc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(crontab, "ZONE", tmp_path / "localtime")
    assert crontab.minutes_ahead() == 0


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
    project, environment = Path("/srv/my project"), Path("/srv/100%/e.toml")
    made = crontab.command(project, Path("/p/python"), environment, Path("/l/x.log"), 12, {"A": "b c"})
    assert made == (
        "cd '/srv/my project' && /usr/bin/env 'A=b c' /p/python -m invoke nightly-restart --quiet "
        "--env /srv/100\\%/e.toml --max-age 12 --log /l/x.log"
    )
    with pytest.raises(Refused, match="line end"):
        crontab.command(Path("/srv/a\nb"), Path("/p"), Path("/e"), Path("/l"), 12)


def test_a_command_longer_than_cron_takes_is_refused_with_its_length() -> None:
    with pytest.raises(Refused, match="commands of 998 bytes, this one would have 1") as caught:
        crontab.command(Path("/srv"), Path("/p"), Path("/e"), Path("/l"), 12, {"PATH": "x" * 950})
    assert caught.value.hint.startswith("PATH=")


@given(name=st.sampled_from(["lab", "my lab", "at 03:00 UTC within 5 min", "a%b", "é"]))
def test_an_environment_of_any_name_has_one_entry(name: str) -> None:
    text = crontab.with_entry("# mine\n", planned("# mine\n", name))
    again = crontab.with_entry(text, planned(text, name, dice=2))
    assert again == text
    assert crontab.without(again, name) == "# mine\n"


@given(others=st.text(st.characters(blacklist_categories=[], blacklist_characters="\0")))
def test_lines_of_others_stay_whatever_they_are(others: str) -> None:
    ended = others if others.endswith("\n") or not others else others + "\n"
    assert crontab.without(crontab.with_entry(others, planned(others)), "lab") == ended


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
    monkeypatch.setattr(crontab, "daemon_runs", lambda: True)
    for name in AWS_SECRETS:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "spool"


def test_install_show_remove(spool: Path) -> None:
    settings = make_settings()
    spool.write_text("MAILTO=ops@example.org\n")
    shown = cron.install(settings, "03:00", 60, 12.0, dry_run=True)
    assert shown.changed
    assert spool.read_text() == "MAILTO=ops@example.org\n"
    assert cron.install(settings, "03:00", 60, 12.0, dry_run=False).changed
    installed = spool.read_text()
    assert f"HOME={os.environ['HOME']}" in installed
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


def test_what_is_no_utf8_stays_as_it_is(spool: Path) -> None:
    others = b"# caf\xe9\r and \x0c\x1c\n*/5 * * * * /usr/bin/true\n"
    spool.write_bytes(others)
    cron.install(make_settings(), "03:00", 60, 12.0, dry_run=False)
    assert spool.read_bytes().startswith(others)
    cron.remove(make_settings(), dry_run=False)
    assert spool.read_bytes() == others


def test_a_carriage_return_that_crontab_cannot_give_back_is_refused(spool: Path) -> None:
    spool.write_text("# mine\n0 4 * * * x\\r\n")
    with pytest.raises(Refused, match="line 2 of the crontab ends with a carriage return"):
        cron.install(make_settings(), "03:00", 60, 12.0, dry_run=False)
    assert spool.read_text() == "# mine\n0 4 * * * x\\r\n"


def test_what_a_run_needs_of_the_shell_goes_along_and_no_secret(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "ops")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    shown = cron.install(amazon(), "03:00", 60, 12.0, dry_run=False)
    assert " AWS_PROFILE=ops " in spool.read_text()
    assert "very-secret" not in spool.read_text()
    assert any("AWS_SECRET_ACCESS_KEY" in warning for warning in shown.warnings(NOW))
    assert not any("AWS_SECRET" in warning for warning in cron.show(amazon("ops")).warnings(NOW))


def amazon(profile: str = "") -> Settings:
    settings = make_settings()
    aws = settings.aws.model_copy(update={"endpoint_url": "", "profile": profile})
    return settings.model_copy(update={"aws": aws})


def test_it_says_when_no_cron_runs(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crontab, "daemon_runs", lambda: False)
    assert cron.show(make_settings()).warnings(NOW) == [], "without an entry nobody needs it"
    shown = cron.install(make_settings(), "03:00", 60, 12.0, dry_run=False)
    assert shown.lines(NOW)[-1] == "  ! no cron runs on this computer: sudo systemctl enable --now cron"
    assert shown.describe(NOW)["warnings"]


def test_a_daemon_is_known_by_its_name(tmp_path: Path) -> None:
    for number, name in ((1, "init"), (7, "bash")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(f"{name}\n")
    assert not crontab.daemon_runs(tmp_path)
    (tmp_path / "7" / "comm").write_text("cron\n")
    assert crontab.daemon_runs(tmp_path)


def test_nights_that_were_missed_are_told(spool: Path) -> None:
    settings = make_settings()
    log = cron.log_of(settings)
    log.parent.mkdir(parents=True)
    log.write_text("2025-12-29 03:02:00 world: 1 node(s): 1 restarted\n")
    shown = cron.install(settings, "03:00", 60, 12.0, dry_run=False)
    assert any("the last run was 2 day(s) ago" in warning for warning in shown.warnings(NOW))


def test_two_changes_at_once_are_one(spool: Path) -> None:
    with alone(state_directory() / "crontab.lock", "it"), pytest.raises(Refused, match="is under way already"):
        cron.install(make_settings(), "03:00", 60, 12.0, dry_run=False)


def test_a_computer_without_cron_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="no crontab program") as caught:
        crontab.read()
    assert caught.value.hint == "apt install cron"


def test_the_command_of_the_entry_is_one_that_a_bare_shell_can_run(tmp_path: Path) -> None:
    entry = crontab.command(tmp_path, Path("/bin/echo"), tmp_path / "e.toml", tmp_path / "l.log", 12)
    done = subprocess.run(["/bin/sh", "-c", entry], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.split()[:4] == ["-m", "invoke", "nightly-restart", "--quiet"]
