"""`--on-error=undo`: a step fails, and the node comes back to where it was, with the same fences."""

from __future__ import annotations

import pytest

from tests.simulated.disk import KEY
from tests.simulated.faults import Error
from tests.simulated.world import NODE, Console, Simulation
from transcoder import operate, tags
from transcoder.errors import Failed
from transcoder.layout import GETH, LIVEPEER
from transcoder.operate import OnError
from transcoder.recipes import migrate


def two_machines() -> Simulation:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.forget()
    return sim


def go(sim: Simulation, policy: OnError, **options: object) -> None:
    request = migrate.Request(NODE, "tc001-b", **options)  # type: ignore[arg-type]
    operate.operate(migrate.operation(request), sim.world, Console(), policy)


def refuse_to_attach_to_the_target(sim: Simulation) -> None:
    sim.cloud.faults.count_from_here()
    sim.cloud.faults.errors.append(Error("attach", 0, error=lambda: Failed("AttachVolume: InternalError: sorry")))


def test_the_node_is_back_where_it_was_and_the_error_says_both() -> None:
    sim = two_machines()
    refuse_to_attach_to_the_target(sim)
    with pytest.raises(Failed) as caught:
        go(sim, OnError.UNDO)
    assert "AttachVolume: InternalError" in caught.value.message
    assert f"undone: migrate node {NODE}" in caught.value.message
    sim.clock.sleep(5.0)
    sim.assert_served_by(NODE)
    sim.assert_nothing_lost()
    assert tags.MOVING_TO not in sim.of(LIVEPEER).tags
    assert sim.cloud.locks == {}


def test_by_default_everything_stays_as_it_is() -> None:
    sim = two_machines()
    refuse_to_attach_to_the_target(sim)
    with pytest.raises(Failed):
        go(sim, OnError.STOP)
    places = [sim.of(data).attachment for data in (LIVEPEER, GETH)]
    assert any(place is None or place.instance_id != sim.machine(NODE).instance_id for place in places)


def test_a_second_failure_on_the_way_back_is_told_beside_the_first() -> None:
    sim = two_machines()
    refuse_to_attach_to_the_target(sim)
    sim.cloud.faults.errors.append(Error("attach", 2, error=lambda: Failed("AttachVolume: InternalError: again")))
    sim.cloud.faults.errors.append(Error("attach", 3, error=lambda: Failed("AttachVolume: InternalError: again")))
    with pytest.raises(Failed) as caught:
        go(sim, OnError.UNDO)
    assert "sorry" in caught.value.message
    if "could not be undone" in caught.value.message:
        assert "again" in caught.value.message
        go(sim, OnError.STOP)
        sim.clock.sleep(5.0)
        sim.assert_served_by("tc001-b")
    sim.assert_nothing_lost()


def test_what_has_arrived_is_not_brought_back() -> None:
    sim = two_machines()
    sim.cloud.faults.count_from_here()
    sim.cloud.faults.errors.append(Error("tag", 1, error=lambda: Failed("CreateTags: InternalError: sorry")))
    with pytest.raises(Failed, match="not undone: there is nothing to bring back"):
        go(sim, OnError.UNDO)
    sim.clock.sleep(5.0)
    assert sim.machine("tc001-b").account == KEY
    go(sim, OnError.STOP)
    sim.assert_served_by("tc001-b")
