"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _at_a_terminal() -> None:
    """Take interrupts, as at a terminal: a shell starts its background jobs with them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
