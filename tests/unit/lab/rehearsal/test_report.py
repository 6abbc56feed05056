"""The report as JSON: programs read it, so its keys stay."""

from __future__ import annotations

import json
from dataclasses import replace

from lab.rehearsal.report import SCHEMA, Proof
from tests.unit.lab.rehearsal import made_up


def test_the_keys_of_the_json_stay_as_they_are() -> None:
    data = json.loads(json.dumps(made_up.report().describe()))
    assert data["schema"] == SCHEMA == 2
    assert set(data) == {
        *("schema", "passed", "environment", "description", "started", "seconds", "facts", "programs", "bake"),
        *("steps", "migration", "records", "proofs", "hints"),
    }
    assert sorted(data["steps"][0]) == ["command", "ended", "key", "log", "note", "seconds", "title"]
    assert sorted(data["proofs"][0]) == ["act", "claim", "evidence", "holds"]
    assert sorted(data["programs"][0]) == ["name", "says", "stand_in"]
    assert sorted(data["bake"]) == ["ami", "builder", "created", "fresh", "lines", "name", "packer", "seconds"]
    assert sorted(data["records"]) == ["found", "known", "pause_seconds", "problems", "total", "written"]
    migration = data["migration"]
    assert sorted(migration) == sorted(
        ["title", "seconds", "steps", "bound", "outside", "downtime", "down_from", "down_until", "ratio"]
    )
    assert sorted(migration["bound"]) == ["by_step", "path", "rule", "seconds", "weights"]
    assert sorted(migration["outside"]) == ["asked", "good", "interval", "outages", "seconds", "timeout"]
    assert sorted(migration["steps"][0]) == sorted(
        ["key", "lane", "title", "outcome", "began", "seconds", "weight", "critical"]
    )


def test_the_figures_of_the_json_are_those_of_the_rehearsal() -> None:
    data = made_up.report().describe()
    assert data["passed"] is True
    assert data["migration"]["downtime"] == 6.51
    assert data["migration"]["outside"]["seconds"] == 4.1
    assert data["migration"]["bound"]["seconds"] == 5.0
    assert data["migration"]["ratio"] == 1.302
    assert (data["steps"][0]["ended"], data["steps"][0]["seconds"]) == ("done", 12.5)


def test_a_failed_step_or_a_proof_that_does_not_hold_fails_the_rehearsal() -> None:
    passed = made_up.report()
    assert passed.passed
    assert not made_up.report(failed=True).passed
    assert not replace(passed, proofs=(*passed.proofs, Proof("a", "b", False, ""))).passed


def test_a_rehearsal_that_proved_nothing_has_not_passed() -> None:
    assert not replace(made_up.report(), proofs=()).passed


def test_a_rehearsal_that_broke_off_early_can_be_reported() -> None:
    early = replace(made_up.report(failed=True), bake=None, migration=None, records=None, programs=(), proofs=())
    data = json.loads(json.dumps(early.describe()))
    assert (data["bake"], data["migration"], data["records"]) == (None, None, None)
    assert [row["ended"] for row in data["steps"]] == ["done", "failed", "not run"]
