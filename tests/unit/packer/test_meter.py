"""A download that takes long is seen to go on."""

from __future__ import annotations

import io
import sys

import pytest

from packer.meter import Meter

MIB = 1 << 20


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_that_ends_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    meter = Meter()
    meter("x.tar.gz", 1 * MIB, 4 * MIB)
    meter("x.tar.gz", 4 * MIB, 4 * MIB)

    assert "\rx.tar.gz: 1.0 of 4.0 MiB, 25 %" in terminal.getvalue()
    assert terminal.getvalue().endswith("\rx.tar.gz: 4.0 of 4.0 MiB, 100 %\x1b[K\n")


def test_a_log_gets_a_line_for_each_file(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    meter = Meter()
    for name in ("x.tar.gz", "y.tar.gz"):
        for done in range(1, 9):
            meter(name, done * MIB, 8 * MIB)

    assert log.getvalue() == "fetching x.tar.gz\nfetching y.tar.gz\n"
