"""chronyc -c tracking of chrony 3.2 and 4.3: following a server, following nobody, its own clock, not running."""

from __future__ import annotations

import pytest

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.chronyc import parse_chronyc

VERSIONS = ("3.2", "4.3")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clock_that_follows_a_server_is_synchronised(version: str) -> None:
    tracking = parse_chronyc(recorded("chronyc", f"synchronised-{version}.txt"))
    assert tracking.synchronised
    assert (tracking.source, tracking.stratum, tracking.leap) == ("127.0.0.1", 9, "Normal")
    assert 0 < tracking.worst_error < 0.001


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", ["unsynchronised", "local"])
def test_a_clock_without_a_source_is_not_synchronised(version: str, case: str) -> None:
    assert not parse_chronyc(recorded("chronyc", f"{case}-{version}.txt")).synchronised


@pytest.mark.parametrize("version", VERSIONS)
def test_chronyd_not_running_is_an_error(version: str) -> None:
    with pytest.raises(Failed, match="506 Cannot talk to daemon"):
        parse_chronyc(recorded("chronyc", f"absent-{version}.txt"), exit_code=1)


def test_the_bound_on_the_error_counts_a_clock_that_is_behind() -> None:
    line = "A9FEA97B,169.254.169.123,4,1.0,-0.25,0,0,0,0,0,0.02,0.005,16.0,Normal"
    assert parse_chronyc(line).worst_error == pytest.approx(0.265)


@pytest.mark.parametrize(
    "line", ["", "506 Cannot talk to daemon", "A,B,x,1,0,0,0,0,0,0,0,0,0,Normal", "A,B,2,1,x,0,0,0,0,0,0,0,0,N"]
)
def test_what_is_not_understood_is_an_error(line: str) -> None:
    with pytest.raises(Failed, match=r"^chronyc: "):
        parse_chronyc(line)
