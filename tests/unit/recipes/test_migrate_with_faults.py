"""A migration that breaks anywhere, in any order of its lanes, and is simply typed again.

Never two writers, never a record lost that was synced, nothing formatted: the watcher of the simulated world raises in
the very call that would make it so. When nothing is broken any more, one more run ends it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulated.breakages import FAULTS, LINES, OF_GETH, OF_RPC, Break
from tests.simulated.lanes import Order, ordered
from tests.simulated.rehearsal import TARGET, Ending, Rehearsal, Scenario
from tests.simulated.world import NODE
from transcoder.errors import Failed, Refused, TranscoderError
from transcoder.layout import VOLUMES
from transcoder.operate import OnError
from transcoder.recipes import migrate

CHANGES, ACTS = 40, 260
"""More than a migration has: what strikes later than its end does not strike."""
RIDDEN_OUT = ("lagging_reads", "flapping_reads", "stuck_attaching", "slow_stop", "full_disk")
"""Faults that a run gets over by itself."""
DEPTH = int(os.environ.get("TRANSCODER_TEST_DEPTH", "1"))
"""How many times as many examples are to be looked at, for a long evening's search."""


def quick(examples: int) -> settings:
    return settings(max_examples=examples * DEPTH, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def breaks(*faults: str) -> st.SearchStrategy[Break]:
    heals = st.booleans()
    at_a_change = st.builds(
        Break, st.sampled_from(faults), st.integers(0, CHANGES), st.booleans(), st.just(True), heals
    )
    anywhere = st.builds(Break, st.sampled_from(faults), st.integers(0, ACTS), st.booleans(), st.just(False), heals)
    return at_a_change | anywhere


def orders() -> st.SearchStrategy[Order]:
    return st.builds(Order, st.permutations(range(6)).map(tuple), st.frozensets(st.integers(1, 120), max_size=4))


def scenarios(
    *faults: str,
    most: int = 1,
    across: bool = False,
    machines: Sequence[bool] = (True, False),
    hosted: bool = False,
) -> st.SearchStrategy[Scenario]:
    return st.builds(
        Scenario,
        to=st.sampled_from([TARGET, migrate.NEW]),
        nitro=st.sampled_from(machines),
        order=orders(),
        breaks=st.lists(breaks(*faults), min_size=1, max_size=most).map(tuple),
        pause=st.sampled_from([0.0, 30.0]),
        elsewhere=st.booleans(),
        on_error=st.just(OnError.STOP) if across else st.sampled_from(OnError),
        across=st.just(across),
        hosted=st.just(hosted),
    )


def break_it(rehearsal: Rehearsal) -> Ending:
    """Run it as often as something breaks; return how the last of these runs ended."""
    ending: Ending = None
    for what in rehearsal.scenario.breaks:
        ending = rehearsal.run(what)
        rehearsal.assert_sound()
        rehearsal.assert_never_forced()
        if what.heals:
            rehearsal.heal()
        rehearsal.sim.clock.advance(rehearsal.scenario.pause)
        rehearsal.pick_up()
    return ending


def ends_with_one_more_run(scenario: Scenario) -> None:
    """Break it as the scenario says; then nothing is broken any more, and one more run ends it."""
    rehearsal = Rehearsal(scenario)
    ending = break_it(rehearsal)
    rehearsal.heal()
    rehearsal.finish(ending)
    rehearsal.assert_sound()
    rehearsal.assert_never_forced()
    rehearsal.assert_arrived()


def examine(examples: int, scenarios: st.SearchStrategy[Scenario], check: Callable[[Scenario], None]) -> None:
    """Run a check over scenarios; what fails is made as small as it can be and printed."""

    @quick(examples)
    @given(scenarios)
    def checked(scenario: Scenario) -> None:
        check(scenario)

    checked()


OWN = [fault for fault in FAULTS if fault not in OF_RPC]
HOSTED = [fault for fault in FAULTS if fault not in OF_GETH]
"""The faults of a node with a geth, and of one without."""


@pytest.mark.parametrize("fault", [*LINES, *OWN])
def test_after_a_fault_anywhere_one_more_run_ends_well(fault: str) -> None:
    examine(14, scenarios(fault), ends_with_one_more_run)


@pytest.mark.parametrize("fault", RIDDEN_OUT)
def test_what_ec2_and_machines_do_every_day_does_not_even_break_the_run(fault: str) -> None:
    def check(scenario: Scenario) -> None:
        rehearsal = Rehearsal(scenario)
        ending = rehearsal.run(scenario.breaks[0])
        assert ending is None, str(ending)
        rehearsal.assert_sound()
        rehearsal.assert_never_forced()
        rehearsal.heal()
        rehearsal.finish(ending)
        rehearsal.assert_arrived()

    # Without serials one late read hides which device is the volume's: that run fails, and the next one goes on.
    machines = (True,) if fault.endswith("_reads") else (True, False)
    examine(12, scenarios(fault, machines=machines), check)


def test_after_faults_in_one_run_after_the_other_one_more_ends_well() -> None:
    examine(40, scenarios(*LINES, *OWN, most=3), ends_with_one_more_run)


@pytest.mark.parametrize("across", [False, True], ids=["one zone", "two zones"])
@pytest.mark.parametrize("faults", [LINES, tuple(HOSTED), OF_RPC], ids=["process", "world", "its chain"])
def test_without_a_geth_too_one_more_run_ends_well(faults: tuple[str, ...], across: bool) -> None:
    examine(14 if len(faults) > 1 else 5, scenarios(*faults, across=across, hosted=True), ends_with_one_more_run)


@pytest.mark.parametrize("faults", [("killed", "no_answer"), tuple(OWN)], ids=["process", "world"])
def test_across_zones_too_one_more_run_ends_well(faults: tuple[str, ...]) -> None:
    examine(14, scenarios(*faults, across=True), ends_with_one_more_run)


@pytest.mark.parametrize("fault", ["power_off_source", "partition_source", "hanging_source"])
def test_a_source_that_is_lost_anywhere_on_the_way_is_left_with_source_lost(fault: str) -> None:
    def check(scenario: Scenario) -> None:
        rehearsal = Rehearsal(scenario)
        ending = break_it(rehearsal)
        rehearsal.finish(ending, source_lost=True)
        rehearsal.assert_sound()
        assert [call for call in rehearsal.sim.cloud.calls if call.name == "force_detach"] == []
        rehearsal.heal()
        rehearsal.assert_arrived()

    examine(12, scenarios(fault).filter(lambda scenario: not scenario.breaks[0].heals), check)


def test_a_detachment_that_sticks_is_forced_for_the_volumes_that_were_named_and_no_record_is_lost() -> None:
    def check(scenario: Scenario) -> None:
        rehearsal = Rehearsal(scenario)
        ending = break_it(rehearsal)
        named = tuple(rehearsal.volumes.values())
        rehearsal.finish(ending, force_detach=named)
        rehearsal.assert_sound()
        forced = {call.arguments[0] for call in rehearsal.sim.cloud.calls if call.name == "force_detach"}
        assert forced <= set(named)
        rehearsal.heal()
        rehearsal.assert_arrived()

    sticking = scenarios("stuck_detaching").filter(lambda scenario: not scenario.breaks[0].heals)
    examine(12, sticking, check)


def test_two_operators_at_once_one_migrates_and_the_other_is_refused_by_name() -> None:
    @quick(16)
    @given(orders(), st.sampled_from([TARGET, migrate.NEW]))
    def check(order: Order, to: str) -> None:
        rehearsal = Rehearsal(Scenario(to=to, order=order))
        endings: list[TranscoderError | None] = []

        def operator() -> None:
            try:
                rehearsal.perform(migrate.operation(migrate.Request(NODE, to)), lanes)
            except TranscoderError as error:
                endings.append(error)
            else:
                endings.append(None)

        with ordered(rehearsal.sim, order) as lanes:
            both = [lanes.thread(target=operator, name=f"operator {number}") for number in (1, 2)]
            for each in both:
                each.start()
            for each in both:
                each.join()
        rehearsal.assert_sound()
        refused = [ending for ending in endings if ending is not None]
        assert len(refused) <= 1
        assert all(isinstance(each, Refused | Failed) and "is locked" in str(each) for each in refused)
        rehearsal.assert_arrived()

    check()


def test_the_order_of_the_lanes_is_the_tests_and_the_same_order_gives_the_same_run() -> None:
    def commands(order: Order) -> tuple[list[str], list[tuple[str, ...]]]:
        rehearsal = Rehearsal(Scenario(order=order))
        with ordered(rehearsal.sim, order) as lanes:
            rehearsal.perform(migrate.operation(rehearsal.request()), lanes)
        changing = [command.argv for command in rehearsal.sim.hosts.commands if command.changes_something]
        return lanes.trace, changing

    one, other = Order((5, 4, 3, 2, 1, 0)), Order((0, 1, 2, 3, 4, 5), frozenset({20, 40}))
    assert commands(one) == commands(one)
    assert commands(one)[1] != commands(other)[1]
    stops = [argv for argv in commands(one)[1] if argv[:2] == ("systemctl", "stop")]
    assert {argv[2] for argv in stops} == {unit for data in VOLUMES for unit in (data.service.unit, data.mount_unit)}
