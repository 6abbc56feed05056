"""Restarts: geth, in sync, livepeer, healthy; and nothing is stopped that would not come back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulated import world
from tests.simulated.cut import Cut, ProcessDied
from tests.simulated.disk import KEY, ours
from tests.simulated.world import NODE, ZONE, Console, Simulation, perform, without_geth
from transcoder import operate, tags
from transcoder.errors import Failed, Refused
from transcoder.facts import livepeer_sessions
from transcoder.layout import GETH, LIVEPEER
from transcoder.recipes import restart
from transcoder.shape import api_of
from transcoder.world import Lock

GETH_UNIT, LIVEPEER_UNIT = GETH.service.unit, LIVEPEER.service.unit


def node(sim: Simulation | None = None) -> Simulation:
    """A world with a node that serves."""
    made = sim or Simulation()
    made.node()
    return made


def again(sim: Simulation, **options: object) -> Console:
    """Restart the node, and return what the operator saw."""
    return perform(restart.operation(restart.Request(NODE, **options)), sim)[1]  # type: ignore[arg-type] # options


def pids(sim: Simulation) -> dict[str, int]:
    return {unit: sim.machine(NODE).unit(unit).pid for unit in (GETH_UNIT, LIVEPEER_UNIT)}


def ended(console: Console) -> list[str]:
    return [event.step.key for event in console.events if event.outcome is not None]


def test_livepeer_is_stopped_when_geth_is_in_sync_again() -> None:
    sim = node()
    before = pids(sim)
    console = again(sim)
    assert ended(console) == [
        *("geth/stop", "geth/start", "geth/in-sync"),
        *("livepeer/idle", "livepeer/stop", "livepeer/start", "livepeer/healthy"),
    ]
    assert all(pids(sim)[unit] not in (0, before[unit]) for unit in before)
    assert sim.cloud.locks == {}


@pytest.mark.parametrize(("what", "kept"), [("geth", LIVEPEER_UNIT), ("livepeer", GETH_UNIT)])
def test_one_of_the_two_leaves_the_other_alone(what: str, kept: str) -> None:
    sim = node()
    before = pids(sim)
    again(sim, what=what)
    assert [unit for unit in before if pids(sim)[unit] == before[unit]] == [kept]


def test_a_geth_that_has_stalled_in_silence_is_cured() -> None:
    sim = node()
    sim.machine(NODE).faults.geth_stalls_at = sim.clock.monotonic()
    sim.clock.sleep(600.0)
    again(sim)
    assert sim.machine(NODE).faults.geth_stalls_at == 0.0


def test_a_light_geth_that_answers_with_errors_until_it_has_peers_is_waited_for() -> None:
    sim = node()
    sim.machine(NODE).faults.geth_tells_no_block_alone = True
    again(sim)
    assert sim.machine(NODE).unit(LIVEPEER_UNIT).active == "active"


def test_a_light_geth_that_has_lost_all_peers_and_answers_with_errors_is_restarted() -> None:
    sim = node()
    faults = sim.machine(NODE).faults
    faults.geth_tells_no_block_alone = faults.geth_finds_no_peers = True
    before = pids(sim)
    with pytest.raises(Failed, match=r"no suitable peers available.*livepeer was left as it is"):
        again(sim)
    assert pids(sim)[GETH_UNIT] != before[GETH_UNIT]
    assert pids(sim)[LIVEPEER_UNIT] == before[LIVEPEER_UNIT]


def test_when_geth_does_not_get_in_sync_livepeer_is_untouched() -> None:
    sim = node()
    sim.machine(NODE).faults.geth_finds_no_peers = True
    before = pids(sim)
    with pytest.raises(Failed) as caught:
        again(sim)
    assert caught.value.exit_code == 4
    assert "0 peers" in caught.value.message
    assert "livepeer was left as it is" in caught.value.message
    assert "docs/runbooks/geth-advancing.md" in caught.value.hint
    assert pids(sim)[LIVEPEER_UNIT] == before[LIVEPEER_UNIT]
    assert sim.machine(NODE).unit(LIVEPEER_UNIT).active == "active"
    assert sim.cloud.locks == {}


def test_it_is_refused_while_a_reward_is_pending_and_nothing_is_stopped() -> None:
    sim = node()
    sim.rounds.last_reward = sim.rounds.current - 1
    before = pids(sim)
    with pytest.raises(Refused) as caught:
        again(sim)
    assert any("has not been called yet" in reason for reason in caught.value.reasons)
    assert pids(sim) == before
    again(sim, ignore_round=True)
    assert pids(sim) != before


def test_a_pending_reward_does_not_keep_a_stalled_geth_from_being_cured() -> None:
    sim = node()
    sim.rounds.last_reward = sim.rounds.current - 1
    sim.machine(NODE).faults.geth_stalls_at = sim.clock.monotonic()
    sim.clock.sleep(600.0)
    console = again(sim)
    assert any("cannot be before geth follows the chain again" in note for note in console.shown[0].notes)


def turn_round(sim: Simulation, *, rewarded_after: float | None) -> None:
    """A new round begins, and livepeer calls its reward after so many seconds, or never."""
    rounds = sim.rounds
    rounds.current += 1
    if rewarded_after is not None:
        sim.cloud.later(rewarded_after, lambda: setattr(rounds, "last_reward", rounds.current))


def test_a_round_that_begins_while_geth_restarts_gets_its_reward_before_livepeer_stops() -> None:
    sim = node()
    sim.machine(NODE).faults.geth_stop_takes = 60.0
    sim.cloud.later(30.0, lambda: turn_round(sim, rewarded_after=300.0))
    began = sim.clock.monotonic()
    again(sim)
    assert sim.clock.monotonic() - began > 330.0
    assert sim.machine(NODE).unit(LIVEPEER_UNIT).since - began > 330.0


def test_a_round_that_stays_without_its_reward_keeps_livepeer_as_it_is() -> None:
    sim = node()
    sim.machine(NODE).faults.geth_stop_takes = 60.0
    sim.cloud.later(30.0, lambda: turn_round(sim, rewarded_after=None))
    before = pids(sim)
    with pytest.raises(Failed, match=r"began meanwhile.*was left as it is") as caught:
        again(sim)
    assert "fab reward" in caught.value.hint
    assert pids(sim)[LIVEPEER_UNIT] == before[LIVEPEER_UNIT]
    assert pids(sim)[GETH_UNIT] != before[GETH_UNIT]


def test_the_operator_may_ignore_a_round_that_begins_meanwhile() -> None:
    sim = node()
    sim.machine(NODE).faults.geth_stop_takes = 60.0
    sim.cloud.later(30.0, lambda: turn_round(sim, rewarded_after=None))
    before = pids(sim)
    again(sim, ignore_round=True)
    assert pids(sim)[LIVEPEER_UNIT] != before[LIVEPEER_UNIT]


@pytest.mark.parametrize("offset", [-900.0, 900.0])
def test_a_clock_that_differs_from_the_operators_makes_no_head_old_and_no_stall_young(offset: float) -> None:
    sim = node()
    sim.rounds.last_reward = sim.rounds.current - 1
    faults = sim.machine(NODE).faults
    faults.clock_offset = faults.chain_ahead = offset
    with pytest.raises(Refused, match="is not restarted"):
        again(sim)
    again(sim, ignore_round=True)
    faults.geth_stalls_at = sim.clock.monotonic()
    sim.clock.sleep(600.0)
    again(sim)


def test_answers_that_say_nothing_keep_nobody_from_restarting_and_are_told() -> None:
    sim = node()
    sim.machine(NODE).faults.livepeer_talks_nonsense = True
    console = again(sim, what="livepeer")
    assert any("roundInitialized" in note for note in console.shown[0].notes)


def test_sessions_may_end_first() -> None:
    sim = node()
    sim.machine(NODE).faults.sessions = 2
    sim.cloud.later(120.0, lambda: setattr(sim.machine(NODE).faults, "sessions", 0))
    started = sim.clock.monotonic()
    console = again(sim, what="livepeer")
    assert sim.clock.monotonic() - started > 115.0
    assert [event.reason for event in console.events if event.step.verb == "idle"] == ["", ""]


def test_sessions_that_do_not_end_are_cut_and_that_is_told() -> None:
    sim = node()
    sim.machine(NODE).faults.sessions = 2
    before = pids(sim)
    console = again(sim, what="livepeer", wait_sessions=30.0)
    assert "2 session(s) had not ended within 30 s: they are cut" in [event.reason for event in console.events]
    assert pids(sim)[LIVEPEER_UNIT] != before[LIVEPEER_UNIT]


def test_the_environment_says_how_long_sessions_are_waited_for_where_the_operator_does_not() -> None:
    sim = node(Simulation(world.settings(restart={"wait_sessions_seconds": 45})))
    sim.machine(NODE).faults.sessions = 2
    console = again(sim, what="livepeer")
    assert "2 session(s) had not ended within 45 s: they are cut" in [event.reason for event in console.events]


@pytest.mark.parametrize(
    ("answers", "sessions"),
    [
        (['{"NodeID": "", "Manifests": {"a": {}, "b": {}}}'], 2),
        (['{"NodeID": "", "Manifests": null}'], 0),
        (['{"Manifests": {}}', 'livepeer_current_sessions_total{node="a"} 3\n'], 3),
        (['{"Manifests": {}}', ""], 0),
        (["", ""], None),
    ],
)
def test_sessions_are_counted_by_livepeer_itself_or_by_its_streams(answers: list[str], sessions: int | None) -> None:
    assert livepeer_sessions.parse_sessions(answers) == sessions


def test_the_metrics_are_asked_for_where_there_are_any() -> None:
    assert [len(livepeer_sessions.commands(api_of(version))) for version in ((0, 2, 4), (0, 5, 20))] == [1, 2]


def test_what_was_started_lately_is_left_alone() -> None:
    sim = node()
    sim.clock.sleep(300.0)
    again(sim, what="geth")
    before = pids(sim)
    console = again(sim, max_age=200.0)
    assert ended(console) == ["livepeer/idle", "livepeer/stop", "livepeer/start", "livepeer/healthy"]
    assert any("geth.service runs since" in note for note in console.shown[0].notes)
    assert pids(sim)[GETH_UNIT] == before[GETH_UNIT]
    outcome, _ = perform(restart.operation(restart.Request(NODE, max_age=200.0)), sim)
    assert outcome.nothing_to_do


def test_a_geth_that_has_stalled_is_restarted_however_young_it_is() -> None:
    sim = node()
    sim.machine(NODE).faults.geth_stalls_at = sim.clock.monotonic()
    sim.clock.sleep(600.0)
    console = again(sim, max_age=86400.0)
    assert ended(console)[0] == "geth/stop"
    assert ended(console)[-1] == "livepeer/healthy"


def test_a_node_without_geth_has_its_livepeer_restarted() -> None:
    sim = node(Simulation(without_geth()))
    console = again(sim)
    assert ended(console) == ["livepeer/idle", "livepeer/stop", "livepeer/start", "livepeer/healthy"]
    with pytest.raises(Refused, match="has no geth of its own"):
        again(sim, what="geth")


def test_a_service_that_does_not_run_is_started() -> None:
    sim = node()
    sim.machine(NODE).stop(LIVEPEER_UNIT)
    again(sim)
    assert sim.machine(NODE).unit(LIVEPEER_UNIT).active == "active"


def test_units_that_are_held_are_not_started_behind_a_migrations_back() -> None:
    sim = node()
    sim.machine(NODE).held = {LIVEPEER_UNIT}
    with pytest.raises(Refused) as caught:
        again(sim)
    assert any("held" in reason for reason in caught.value.reasons)


def test_a_node_that_somebody_else_works_on_is_left_alone() -> None:
    sim = node()
    sim.cloud.locks[NODE] = Lock("ada", "elsewhere", 1, "2026-01-01T00:00:00+00:00", "fab migrate")
    with pytest.raises(Refused, match="ada"):
        again(sim)


def test_a_second_node_with_the_same_account_is_not_started() -> None:
    sim = node()
    copy = sim.cloud.add_volume(ours(LIVEPEER, "copy", KEY), ZONE, {tags.NODE: "copy", tags.ENVIRONMENT: "other"})
    sim.cloud.tag(copy.id, {tags.ADDRESS: KEY})
    before = pids(sim)
    with pytest.raises(Refused, match="claimed twice") as caught:
        again(sim)
    assert caught.value.reasons == (f"node copy of other has it, too: {copy.id}",)
    assert pids(sim) == before
    again(sim, what="geth")
    sim.cloud.tag(copy.id, {tags.REPLACED_BY: "vol-elsewhere"})
    again(sim)


def test_what_is_not_there_to_be_restarted_is_refused() -> None:
    with pytest.raises(Refused, match="'chrony' is not one of all, geth, livepeer"):
        again(node(), what="chrony")
    with pytest.raises(Refused, match="no instance carries"):
        again(Simulation())


def test_a_dry_run_stops_nothing() -> None:
    sim = node()
    before = pids(sim)
    operate.preview(restart.operation(restart.Request(NODE)), sim.world, Console())
    assert pids(sim) == before
    assert sim.hosts.mutations == []


@settings(max_examples=60, deadline=None)
@given(
    at=st.integers(0, 12),
    after=st.booleans(),
    what=st.sampled_from(["all", "livepeer", "geth"]),
    down=st.sets(st.sampled_from([GETH_UNIT, LIVEPEER_UNIT])),
    stalled=st.booleans(),
    max_age=st.sampled_from([0.0, 86400.0]),
)
def test_broken_off_anywhere_and_typed_again_both_run(
    at: int, after: bool, what: str, down: set[str], stalled: bool, max_age: float
) -> None:
    sim = node()
    for unit in down:
        sim.machine(NODE).stop(unit)
    if stalled:
        sim.machine(NODE).faults.geth_stalls_at = sim.clock.monotonic()
        sim.clock.sleep(120.0)
    cut = Cut(at, after=after)
    try:
        operate.operate(restart.operation(restart.Request(NODE, what, max_age=max_age)), cut.world(sim), Console())
    except ProcessDied:
        sim.cloud.locks = {name: replace(lock, pid=2**22 + 1) for name, lock in sim.cloud.locks.items()}
    again(sim, what=what, max_age=max_age)
    wanted = {"all": {GETH_UNIT, LIVEPEER_UNIT}, "livepeer": {LIVEPEER_UNIT}, "geth": {GETH_UNIT}}[what]
    assert {unit for unit in wanted if sim.machine(NODE).unit(unit).active != "active"} == set()
    assert not stalled or GETH_UNIT not in wanted or sim.machine(NODE).faults.geth_stalls_at == 0.0
    assert not sim.machine(NODE).held
    assert not sim.cloud.locks
    sim.assert_nothing_lost()
