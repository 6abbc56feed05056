"""How long services took by themselves, from the journals of real machines (systemd 237, the stand-ins)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lab.rehearsal.service_times import (
    SERVES,
    STARTED,
    STARTING,
    STOPPED,
    STOPPING,
    Entry,
    ServiceTimes,
    observe_services,
    parse_journal,
    times,
)
from transcoder import layout
from transcoder.model import Instance
from transcoder.world import Command, Output

RECORDED = Path(__file__).parent / "journal"
GETH, LIVEPEER = layout.GETH.service.unit, layout.LIVEPEER.service.unit
GETH_STOP, GETH_START, GETH_SERVE = 1.039305, 0.789254, 4.161445
"""Of the recording, in seconds."""
SOURCE, TARGET = (Instance(f"i-{n}", "running", "us-east-1a", "ami-1", "c4.large") for n in (1, 2))


def recorded(name: str) -> str:
    return (RECORDED / f"{name}-237.jsonl").read_text(encoding="utf-8")


def test_geth_takes_from_its_start_to_its_first_block_and_from_stopping_to_stopped() -> None:
    service = times(parse_journal(recorded("geth")), SERVES[GETH])
    assert asdict(service) == pytest.approx({"stop": GETH_STOP, "start": GETH_START, "serve": GETH_SERVE})


def test_livepeer_takes_until_it_says_that_it_runs() -> None:
    service = times(parse_journal(recorded("livepeer")), SERVES[LIVEPEER])
    assert asdict(service) == pytest.approx({"stop": 0.703977, "start": 6.088362, "serve": 9.216402})


def test_the_last_start_and_the_last_stop_count() -> None:
    journal = [
        *(Entry(1, STARTING, ""), Entry(2, STARTED, ""), Entry(9, STOPPING, ""), Entry(12, STOPPED, "")),
        *(Entry(20, STARTING, ""), Entry(24, STARTED, ""), Entry(30, "", "***Livepeer Running in Transcoder Mode***")),
    ]
    assert times(journal, SERVES[LIVEPEER]) == ServiceTimes(stop=3, start=4, serve=6)


def test_what_has_not_happened_yet_is_not_known() -> None:
    journal = [Entry(1, STARTING, ""), Entry(2, STARTED, ""), Entry(9, STOPPING, "")]
    assert times(journal, SERVES[GETH]) == ServiceTimes(stop=None, start=1, serve=None)
    assert times([], None) == ServiceTimes()


def test_geth_that_still_catches_up_does_not_serve() -> None:
    line = "INFO [11-22|17:35:38.119] Imported new block headers               count=192 number=1920 age=3h4m"
    late, fresh = Entry(3, "", line), Entry(5, "", line.partition(" age=")[0])
    assert times([Entry(1, STARTING, ""), Entry(2, STARTED, ""), late, fresh], SERVES[GETH]).serve == 3


def test_a_message_that_is_no_text_is_passed_over() -> None:
    record = {"__MONOTONIC_TIMESTAMP": "1500000", "MESSAGE": [104, 195]}
    assert parse_journal(json.dumps(record)) == (Entry(1.5, "", ""),)


class Machine:
    """Answers journalctl with a recording, and counts."""

    name = "tc001"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def run(
        self, *argv: str, stdin: str | bytes = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        unit = next(part.partition("=")[2] for part in argv if part.startswith("--unit="))
        self.asked.append(unit)
        return Output(argv, 0, recorded("geth" if unit == GETH else "livepeer"), "")

    def run_all(self, *commands: Command, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        raise NotImplementedError


def step(key: str, instance: Instance, **more: Any) -> dict[str, Any]:
    return {"key": key, "instance": instance.id, "skip": None, **more}


def test_each_step_that_waits_for_a_service_gets_its_machines_word_for_it() -> None:
    machine = Machine()
    plan = [
        step("geth/stop", SOURCE, unit=GETH),
        step("geth/unmount", SOURCE),
        {"key": "geth/start", "unit": GETH, "place": {"instance": TARGET.id}, "skip": None},  # it mounts, too
        step("geth/in-sync", TARGET),
        step("node/start", TARGET, unit=LIVEPEER),
        step("node/healthy", TARGET),
    ]
    found = observe_services(plan, lambda _instance: machine, (SOURCE, TARGET))
    assert found == {
        "geth/stop": pytest.approx(GETH_STOP),
        "geth/start": pytest.approx(GETH_START),
        "geth/in-sync": pytest.approx(GETH_SERVE),
        "node/start": pytest.approx(6.088362),
        "node/healthy": pytest.approx(9.216402),
    }
    assert machine.asked == [GETH, GETH, LIVEPEER], "one look a machine and unit"


def test_a_step_that_is_not_to_be_run_and_a_machine_that_is_not_ours_are_not_asked() -> None:
    machine = Machine()
    plan = [
        step("geth/stop", SOURCE, unit=GETH) | {"skip": "already so"},
        step("geth/start", Instance("i-9", "running", "us-east-1a", "ami-1", "c4.large"), unit=GETH),
    ]
    assert observe_services(plan, lambda _instance: machine, (SOURCE, TARGET)) == {}
    assert machine.asked == []
