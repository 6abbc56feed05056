"""systemctl show of systemd 237 and 252, recorded with units in every state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.facts.recorded import recorded
from transcoder.errors import Failed
from transcoder.facts.systemctl import PROPERTIES, command, parse_systemctl
from transcoder.model import ServiceState

VERSIONS = ("237", "252")


def by_unit(version: str) -> dict[str, ServiceState]:
    return {state.unit: state for state in parse_systemctl(recorded("systemctl", f"units-{version}.txt"))}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_running_service_has_a_process_and_a_time(version: str) -> None:
    good = by_unit(version)["good.service"]
    assert (good.running, good.sub, good.result) == (True, "running", "success")
    assert good.main_pid > 1
    assert good.since.startswith("Sun 2026-11-22 14:23")


@pytest.mark.parametrize("version", VERSIONS)
def test_failing_looping_absent_and_masked_services_are_told_apart(version: str) -> None:
    units = by_unit(version)
    assert (units["bad.service"].active, units["bad.service"].result) == ("failed", "exit-code")
    assert (units["loops.service"].sub, units["loops.service"].restarts) == ("auto-restart", 6)
    assert (units["never.service"].load, units["never.service"].active) == ("not-found", "inactive")
    assert units["masked.service"].load == "masked"
    assert not any(units[name].running for name in ("bad.service", "loops.service", "never.service", "masked.service"))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_mount_unit_without_process_and_restart_count_is_read(version: str) -> None:
    mount = by_unit(version)["d1.mount"]
    assert (mount.running, mount.sub, mount.main_pid, mount.restarts) == (True, "mounted", 0, 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_order_is_that_of_the_request(version: str) -> None:
    assert [state.unit for state in parse_systemctl(recorded("systemctl", f"units-{version}.txt"))][:3] == [
        "good.service",
        "bad.service",
        "loops.service",
    ]


def test_a_command_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one unit"):
        command()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Failed to connect to bus: No such file or directory",
        "Id=geth.service\nLoadState=loaded\nActiveState=active\n",
        "LoadState=loaded\nActiveState=active\nSubState=running\n",
        "Id=geth.service\nLoadState=loaded\nActiveState=active\nSubState=running\nMainPID=many\n",
    ],
)
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(Failed, match=r"^systemctl: "):
        parse_systemctl(text)


@given(st.permutations(PROPERTIES), st.integers(0, 2**22), st.integers(0, 99))
def test_the_order_of_the_properties_does_not_matter(order: list[str], pid: int, restarts: int) -> None:
    values = dict.fromkeys(PROPERTIES, "x") | {"MainPID": str(pid), "NRestarts": str(restarts)}
    text = "".join(f"{key}={values[key]}\n" for key in order)
    assert parse_systemctl(text) == (ServiceState("x", "x", "x", "x", pid, "x", "x", restarts, "x", "x"),)
