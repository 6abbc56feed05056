"""What the JSON of a migration is read as."""

from __future__ import annotations

import pytest

from lab.rehearsal.migration import began_at, read_migration
from lab.rehearsal.watch import Downtime, Outage
from tests.unit.lab.rehearsal import made_up
from transcoder.errors import Failed


def test_steps_say_how_much_of_them_nobody_can_hurry_and_whether_they_make_up_the_bound() -> None:
    migration = read_migration(made_up.document(), made_up.UNAVOIDABLE)
    by_key = {step.key: step for step in migration.steps}
    assert by_key["prepare/hold"].weight == 0
    assert by_key["livepeer/detach"].weight == 0.9
    assert not by_key["livepeer/detach"].critical
    assert by_key["geth/in-sync"].critical
    assert migration.bound.seconds == pytest.approx(2.5 + 1.5 + 0.75 + 0.25)


def test_the_downtime_lasts_from_the_last_good_answer_until_livepeer_is_healthy() -> None:
    migration = made_up.report().migration
    assert migration is not None
    assert migration.down_from == pytest.approx(101.0 - 100.01)
    assert migration.down_until == pytest.approx(7.5)  # the port had opened before, at 4.5
    assert migration.downtime == pytest.approx(7.5 - 0.99)
    assert migration.ratio == pytest.approx((7.5 - 0.99) / 5.0)


def test_a_port_that_answers_only_after_livepeer_is_healthy_ends_the_downtime() -> None:
    outside = Downtime((Outage(101.0, 109.01, ()),), asked=9, good=2)
    migration = read_migration(made_up.document(), made_up.UNAVOIDABLE, made_up.progress(100.0), outside)
    assert migration.down_until == pytest.approx(9.0)


def test_a_node_that_was_never_down_has_no_downtime_and_no_ratio() -> None:
    migration = read_migration(
        made_up.document(), made_up.UNAVOIDABLE, made_up.progress(100.0), Downtime((), asked=9, good=9)
    )
    assert (migration.downtime, migration.ratio) == (None, None)


def test_without_lines_nobody_guesses_where_the_downtime_lies() -> None:
    assert began_at(made_up.document()["results"][0]["steps"], ()) is None


def test_a_migration_that_launched_its_target_first_is_read_by_its_own_result() -> None:
    document = made_up.document()
    document["results"].insert(0, {"title": "wait for tc001-b", "seconds": 3.0, "steps": []})
    assert len(read_migration(document, made_up.UNAVOIDABLE).steps) == len(made_up.STEPS)


def test_a_migration_that_did_nothing_has_nothing_to_report() -> None:
    with pytest.raises(Failed, match="moved nothing"):
        read_migration({**made_up.document(), "results": []}, made_up.UNAVOIDABLE)
