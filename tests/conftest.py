"""What holds for all tests."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# No example has to be quick: a busy machine is not a fault. Continuous integration tries the same examples every time,
# so that what it says is about the change; everybody else looks for new ones.
settings.register_profile(
    "project", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("project")


@pytest.fixture(scope="session", autouse=True)
def _at_a_terminal() -> None:
    """Take interrupts, as at a terminal: a shell starts its background jobs with them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
