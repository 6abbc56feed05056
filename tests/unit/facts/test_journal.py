"""The journal as systemd 237 prints it: newest first, with what is no text, what a terminal obeys, what is long."""

from __future__ import annotations

import json

import pytest

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts import journal

NEWEST, AFTER = "newest-first-237.jsonl", "after-237.jsonl"


def test_the_entries_are_in_the_order_in_which_they_were_written() -> None:
    found = journal.parse_journal(recorded("journal", NEWEST), reverse=True)
    assert [entry.message[:30] for entry in found] == [
        "Started /usr/bin/python3 /run/",
        "plain",
        "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} no text",
        "\N{REPLACEMENT CHARACTER}[31mred",
        "x" * 30,
    ]
    assert [entry.at for entry in found] == sorted(entry.at for entry in found)
    assert len(found[-1].message) == 5000, "--all: a long message would be null"


def test_an_entry_is_told_as_short_iso_tells_it() -> None:
    first, second, *_ = journal.parse_journal(recorded("journal", NEWEST), reverse=True)
    assert first.lines() == ["2026-11-23T03:57:41+0000 tc001 systemd[1]: Started /usr/bin/python3 /run/probe.py."]
    assert second.lines()[0].split(" ")[2] == "python3[5944]:"


def test_what_was_written_after_an_entry_follows_it() -> None:
    whole = journal.parse_journal(recorded("journal", NEWEST), reverse=True)
    assert journal.parse_journal(recorded("journal", AFTER)) == whole[3:]


def entry(message: object, **fields: object) -> journal.Entry:
    table = {"__REALTIME_TIMESTAMP": "1795406263619298", "__CURSOR": "s=1", "_HOSTNAME": "tc001", "MESSAGE": message}
    (found,) = journal.parse_journal(json.dumps({**table, **fields}))
    return found


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ([104, 195, 188], "h\u00fc"),
        ([104, 255], "h\N{REPLACEMENT CHARACTER}"),
        (["one", "two"], "one two"),
        (None, ""),
        ("a\x1b]0;title\x07", "a\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}"),
        ("tab\there", "tab\there"),
    ],
)
def test_a_message_in_any_form_is_text_that_moves_no_cursor(message: object, told: str) -> None:
    assert entry(message).message == told


def test_what_belongs_to_a_line_stays_below_it() -> None:
    first, second = entry("panic\n  at main.go:1", SYSLOG_IDENTIFIER="livepeer", SYSLOG_PID="7").lines()
    assert first.endswith("tc001 livepeer[7]: panic")
    assert second == " " * (len(first) - len("panic")) + "  at main.go:1"


def test_a_writer_without_a_name_is_told_as_such() -> None:
    assert entry("x").writer == "unknown"
    assert entry("x", SYSLOG_IDENTIFIER="kernel").writer == "kernel"


@pytest.mark.parametrize(
    "text", ["-- No entries --", '{"MESSAGE": "x"}', '{"__CURSOR": "s", "__REALTIME_TIMESTAMP": "now"}']
)
def test_what_is_no_entry_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(Failed, match="journalctl"):
        journal.parse_journal(text)


def test_the_newest_are_asked_for_as_237_gives_them() -> None:
    command = journal.newest(("geth.service",), "1 hour ago", "5", "--priority=err")
    assert command[:4] == ("journalctl", "--unit", "geth.service", "--priority=err")
    at = command.index("--since")
    assert command[at : at + 7] == ("--since", "1 hour ago", "--until", "now", "--reverse", "--lines", "5")
