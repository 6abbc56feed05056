"""/proc/PID/limits of a service with LimitNOFILE=50000 and of process 1, under systemd 237 and 252."""

from __future__ import annotations

import pytest

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.limits import UNLIMITED, OpenFiles, command, parse_limits


@pytest.mark.parametrize("version", ["237", "252"])
def test_the_raised_limit_of_a_service_is_read(version: str) -> None:
    assert parse_limits(recorded("limits", f"service-{version}.txt")) == OpenFiles(50000, 50000)
    assert parse_limits(recorded("limits", f"init-{version}.txt")) == OpenFiles(1048576, 1048576)


def test_soft_and_hard_are_not_mixed_up() -> None:
    assert parse_limits(
        "Max open files            1024                 4096                 files     \n"
    ) == OpenFiles(1024, 4096)


def test_unlimited_is_a_number_that_compares() -> None:
    found = parse_limits("Max open files            1024                 unlimited            files     \n")
    assert found == OpenFiles(1024, UNLIMITED)
    assert found.hard > 50000


@pytest.mark.parametrize(
    "text",
    ["", "cat: /proc/7/limits: No such file or directory", "Max open files  1024 files", "Max open files x y files"],
)
def test_a_file_without_the_line_is_an_error(text: str) -> None:
    with pytest.raises(Failed, match=r"^/proc/PID/limits: "):
        parse_limits(text)


def test_the_command_reads_the_process_that_is_meant() -> None:
    assert command(4711) == ("cat", "/proc/4711/limits")
