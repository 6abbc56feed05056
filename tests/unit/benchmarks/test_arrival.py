"""A node that a command left elsewhere, or not quite, is found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import arrival
from benchmarks.arrival import Before
from lab.rehearsal import look
from lab.rehearsal.look import Shown
from lab.rehearsal.records import Record, Scan
from transcoder.errors import Unreachable
from transcoder.model import Attachment, ElasticIp, Instance, Volume
from transcoder.recipes.node import NodeFacts

ACCOUNT = "0xABC0000000000000000000000000000000000001"
KEYS = {"/d1/livepeer/.lpData/keystore/UTC--1": "f00d"}
SOURCE, TARGET = (Instance(f"i-{n}", "running", "us-east-1a", "ami-1", "c4.large") for n in (1, 2))
BEFORE = Before(KEYS, 90)


def node(livepeer: str = TARGET.id, geth: str = TARGET.id, address: str = TARGET.id) -> NodeFacts:
    """Return where the node is in EC2, by instance id."""
    volumes = [
        Volume(f"vol-{n}", "us-east-1a", 1, "in-use", Attachment(at, "/dev/sdg", "attached"))
        for n, at in ((1, livepeer), (2, geth))
    ]
    return NodeFacts("tc001", volumes[0], volumes[1], ElasticIp("eipalloc-1", "192.0.2.7", address), ())


class Machines:
    """What the machines show; a test changes one thing of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.facts = node()
        self.account = ACCOUNT.lower()
        self.keys: Mapping[str, str] = KEYS
        self.services = Shown(True, "active")
        self.journals = {
            SOURCE.id: "Stand-in: wrote records up to number 100\n",
            TARGET.id: "Stand-in: writing records from number 101\n",
        }
        self.scan = Scan(tuple(Record(number, float(number)) for number in range(1, 131)))
        shown: dict[str, Any] = {
            "mounted_by_label": lambda _host: Shown(True, "/d1"),
            "services_are": lambda _host, _wanted: self.services,
            "identity": lambda _host: self.keys,
            "livepeer_journal": lambda host: self.journals[host.id],
            "all_records": lambda _host: self.scan,
        }
        for name, answer in shown.items():
            monkeypatch.setattr(look, name, answer)
        monkeypatch.setattr(arrival, "livepeer_address", lambda _host, _settings: self.account)

    def problems(self, before: Before = BEFORE) -> str:
        known = {"account": ACCOUNT, "settings": None}
        arena: Any = SimpleNamespace(facts=lambda: self.facts, host=lambda instance: instance, **known)
        return "; ".join(arrival.problems(arena, before, SOURCE, TARGET))


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    return Machines(monkeypatch)


def test_a_node_that_is_itself_on_the_target_has_arrived(machines: Machines) -> None:
    assert machines.problems() == ""


def test_a_volume_that_stayed_is_named_and_the_machine_without_it_not_asked(machines: Machines) -> None:
    machines.facts, machines.account = node(livepeer=SOURCE.id), "0xdef"
    assert machines.problems() == f"the livepeer volume is attached at {SOURCE.id}"


def test_a_volume_that_is_nowhere_is_named(machines: Machines) -> None:
    facts = node()
    assert facts.geth is not None
    machines.facts = replace(facts, geth=replace(facts.geth, attachment=None))
    assert "the geth volume is at no machine" in machines.problems()


def test_an_address_that_was_forgotten_is_named(machines: Machines) -> None:
    machines.facts = node(address=SOURCE.id)
    assert machines.problems() == f"the Elastic IP is at {SOURCE.id}"


def test_a_livepeer_that_runs_as_a_stranger_is_not_the_node(machines: Machines) -> None:
    machines.account = "0xdef"
    assert "answers as 0xdef" in machines.problems()
    machines.account = ""
    assert "answers as nobody" in machines.problems()


def test_another_key_on_the_volume_is_found_out(machines: Machines) -> None:
    machines.keys = {**KEYS, "/d1/livepeer/.lpData/keystore/UTC--2": "beef"}
    assert "key files" in machines.problems()


def test_a_service_that_does_not_run_is_shown_in_its_own_words(machines: Machines) -> None:
    machines.services = Shown(False, "geth.service: failed\nlivepeer-transcoder.service: active")
    assert machines.problems() == "geth.service: failed; livepeer-transcoder.service: active"


def test_records_that_were_written_and_are_not_found_are_lost(machines: Machines) -> None:
    machines.journals[TARGET.id] = "Stand-in: writing records from number 96\n"
    assert "100 written, 95 found" in machines.problems()
    assert "synced" not in machines.problems(), "the 90 that were synced before are there"


def test_a_livepeer_that_was_killed_says_nothing_but_what_was_synced_must_be_there(machines: Machines) -> None:
    machines.journals = {SOURCE.id: "", TARGET.id: "Stand-in: writing records from number 89\n"}
    assert machines.problems() == "records: 90 were synced before the move, 88 found"


def test_a_livepeer_that_was_started_twice_on_the_target_lost_nothing(machines: Machines) -> None:
    machines.journals[TARGET.id] += "Stand-in: writing records from number 120\n"
    assert machines.problems() == ""


def test_a_gap_in_the_file_is_found_out(machines: Machines) -> None:
    machines.scan = Scan(tuple(record for record in machines.scan.records if record.number != 50))
    assert "records: missing: 50" in machines.problems()


def test_the_real_livepeer_writes_no_records_and_none_are_looked_for(machines: Machines) -> None:
    machines.journals, machines.scan = {SOURCE.id: "", TARGET.id: ""}, Scan((), ("garbage",))
    assert machines.problems(replace(BEFORE, last_record=0)) == ""


def test_a_machine_that_does_not_answer_is_a_finding_and_no_end(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_host: object) -> None:
        raise Unreachable("tc001-bench-1: no answer over SSH")

    monkeypatch.setattr(look, "identity", silent)
    assert machines.problems() == "tc001-bench-1: no answer over SSH"
