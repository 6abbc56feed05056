"""Plans and the loop that runs them: lanes side by side, order honoured, a failure that ends in good order."""

from __future__ import annotations

import _thread
import gc
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulated.world import Simulation
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.step import Event, Outcome, Plan, Skip, Step, run, walk
from transcoder.world import World

PATIENCE = 10.0
"""Seconds of the real clock after which a test that waits for another thread has failed."""


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Act(Step):
    """A step that calls a function."""

    name: str
    act: Callable[[], None] = field(default=nothing, compare=False)
    already: bool = False
    proof: bool = True
    verb = "act"

    @property
    def key(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        return f"do {self.name}"

    def is_done(self, world: World) -> bool:
        return self.already

    def do(self, world: World) -> None:
        self.act()

    def verify(self, world: World) -> None:
        if not self.proof:
            super().verify(world)


def step(name: str, act: Callable[[], None] = nothing, *, lane: str = "main", after: tuple[str, ...] = ()) -> Act:
    return Act(name=name, act=act, lane=lane, after=after)


def execute(*steps: Step) -> tuple[list[str], list[Event]]:
    """Run a plan; return the keys in the order in which they ended, and all events."""
    events: list[Event] = []
    result = run(Plan("a plan", steps), Simulation().world, events.append)
    return [event.step.key for event in result.events], events


def failing(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_steps_of_a_lane_run_in_their_order() -> None:
    assert execute(step("one"), step("two"), step("three"))[0] == ["one", "two", "three"]


def test_lanes_run_side_by_side() -> None:
    meeting = threading.Barrier(3)

    def meet() -> None:
        meeting.wait(PATIENCE)  # only lanes that run at the same time can meet

    execute(*(step(name, meet, lane=name) for name in ("livepeer", "geth", "address")))


def test_after_is_honoured_across_lanes() -> None:
    started = threading.Event()

    def slow() -> None:
        assert not started.wait(0.05), "the other lane did not wait"

    order, _ = execute(step("slow", slow, lane="a"), step("second", started.set, lane="b", after=("slow",)))
    assert order == ["slow", "second"]


def test_a_step_that_is_done_already_is_skipped_and_its_followers_run() -> None:
    def never() -> None:
        raise AssertionError("it was run")

    done = Act(name="done", act=never, already=True)
    known = Act(name="known", act=never, skip=Skip.NOT_NEEDED, lane="other")
    _, events = execute(done, known, step("next", after=("known",)))
    ended = {event.step.key: (event.outcome, event.reason) for event in events if event.outcome}
    assert ended == {
        "done": (Outcome.SKIPPED, "already so"),
        "known": (Outcome.SKIPPED, "not needed here"),
        "next": (Outcome.DONE, ""),
    }


def test_a_step_that_did_not_take_effect_is_an_error() -> None:
    with pytest.raises(Failed, match="do it: done, but the world does not show it"):
        execute(Act(name="it", proof=False))


def test_every_step_that_runs_has_a_begin_and_an_end_and_watchers_are_called_one_at_a_time() -> None:
    inside = threading.Lock()
    seen: list[tuple[str, Outcome | None]] = []

    def watch(event: Event) -> None:
        assert inside.acquire(blocking=False), "two threads at once"
        seen.append((event.step.key, event.outcome))
        inside.release()

    steps = tuple(step(f"{lane}{n}", lane=lane) for lane in "abc" for n in range(5))
    run(Plan("a plan", steps), Simulation().world, watch)
    for each in steps:
        assert [outcome for key, outcome in seen if key == each.key] == [None, Outcome.DONE]


def test_the_seconds_of_an_event_are_those_of_the_worlds_clock() -> None:
    sim = Simulation()
    result = run(Plan("a plan", (step("one", lambda: sim.clock.sleep(3.0)),)), sim.world, lambda _event: None)
    assert result.events[0].seconds == 3.0
    assert result.ended - result.started == 3.0
    assert json.loads(json.dumps(result.describe()))["steps"][0]["seconds"] == 3.0


def test_when_a_step_fails_the_other_lane_ends_its_step_and_begins_no_other() -> None:
    begun, failed, ran = threading.Event(), threading.Event(), list[str]()

    def fail() -> None:
        assert begun.wait(PATIENCE)
        failed.set()
        raise Failed("broken")

    def slow() -> None:
        begun.set()
        assert failed.wait(PATIENCE)
        ran.append("slow")

    events: list[Event] = []
    plan = Plan("a plan", (step("bad", fail, lane="a"), step("slow", slow, lane="b"), step("never", lane="b")))
    with pytest.raises(Failed, match="broken"):
        run(plan, Simulation().world, events.append)
    assert ran == ["slow"]
    assert {e.step.key: e.outcome for e in events if e.outcome} == {"bad": Outcome.FAILED, "slow": Outcome.DONE}


def test_the_error_names_what_was_done_before_it_and_how_to_go_on() -> None:
    with pytest.raises(Failed) as caught:
        execute(step("one"), Act(name="two", already=True), step("bad", failing(Failed("broken"))))
    assert caught.value.done == ("do one",)
    assert "run the same command again" in caught.value.hint


def test_a_hint_of_the_step_itself_is_kept() -> None:
    with pytest.raises(Failed) as caught:
        execute(step("bad", failing(Failed("broken", hint="fab logs"))))
    assert caught.value.hint == "fab logs"


def test_a_refusal_within_a_run_is_a_failure_since_something_was_done() -> None:
    refusal = Refused("not permitted", reasons=["CreateTags"], hint="check the policy")
    with pytest.raises(Failed) as caught:
        execute(step("one"), step("bad", failing(refusal)))
    assert caught.value.exit_code == 4
    assert "CreateTags" in caught.value.message
    assert caught.value.done == ("do one",)
    assert caught.value.hint == "check the policy"


def test_a_machine_that_does_not_answer_keeps_its_exit_code_and_names_what_was_done() -> None:
    with pytest.raises(Unreachable) as caught:
        execute(step("one"), step("bad", failing(Unreachable("no answer"))))
    assert caught.value.exit_code == 5
    assert "done before it: do one" in str(caught.value)


def test_a_bug_in_a_step_keeps_its_own_type() -> None:
    with pytest.raises(ZeroDivisionError):
        execute(step("bug", failing(ZeroDivisionError("a bug"))))


@pytest.mark.parametrize("breaks_at", [None, Outcome.DONE, Outcome.FAILED])
def test_a_watcher_that_fails_ends_the_run_instead_of_leaving_it_to_hang(breaks_at: Outcome | None) -> None:
    def watch(event: Event) -> None:
        if event.outcome is breaks_at:
            raise BrokenPipeError("the terminal is gone")

    acts = [failing(Failed("broken"))] if breaks_at is Outcome.FAILED else [nothing]
    plan = Plan("a plan", (step("one", acts[0], lane="a"), step("two", lane="b", after=("one",))))
    with pytest.raises((BrokenPipeError, Failed)):
        run(plan, Simulation().world, watch)


@pytest.fixture
def _nobody_else_in_the_main_thread() -> Iterator[None]:
    """Hypothesis, for one, has a callback of the garbage collector, and an interrupt that hits it there is lost."""
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks.extend(callbacks)


@pytest.mark.usefixtures("_nobody_else_in_the_main_thread")
def test_ctrl_c_lets_every_lane_end_its_step_and_begins_no_other() -> None:
    ended: list[str] = []

    def interrupted() -> None:
        _thread.interrupt_main()
        threading.Event().wait(0.2)  # the main thread has it by then, and waits for this step
        ended.append("first")

    plan = Plan("a plan", (step("first", interrupted), step("never", lambda: ended.append("never"))))
    with pytest.raises(Failed, match="interrupted") as caught:
        run(plan, Simulation().world, lambda _event: None)
    assert ended == ["first"]
    assert caught.value.done == ("do first",)
    assert "fab status" in caught.value.hint


def test_steps_that_wait_for_each_other_are_refused_when_the_plan_is_made() -> None:
    with pytest.raises(ValueError, match="wait for each other"):
        Plan("a circle", (step("a", lane="a", after=("b",)), step("b", lane="b", after=("a",))))


def test_a_lane_that_waits_for_its_own_later_step_is_refused() -> None:
    with pytest.raises(ValueError, match="wait for each other"):
        Plan("a circle", (step("a", after=("b",)), step("b")))


def test_keys_used_twice_and_unknown_ones_are_refused() -> None:
    with pytest.raises(ValueError, match=r"used twice \{'a'\}"):
        Plan("doubled", (step("a"), step("a", lane="other")))
    with pytest.raises(ValueError, match=r"unknown in after \{'x'\}"):
        Plan("unknown", (step("a", after=("x",)),))


def test_a_plan_of_steps_that_have_nothing_to_do_is_empty() -> None:
    assert Plan("idle", (Act(name="a", skip=Skip.DONE),)).empty
    assert not Plan("busy", (Act(name="a", skip=Skip.DONE), step("b"))).empty


def test_an_empty_plan_runs_to_its_end_at_once() -> None:
    assert run(Plan("nothing", ()), Simulation().world, lambda _event: None).events == ()


@st.composite
def plans(draw: st.DrawFn) -> tuple[Act, ...]:
    """A random plan without a circle: a step waits only for steps that stand before it."""
    steps: list[Act] = []
    for number in range(draw(st.integers(1, 9))):
        earlier = [each.name for each in steps]
        after = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        lane = draw(st.sampled_from(["livepeer", "geth", "address"]))
        skip = draw(st.sampled_from([None, None, Skip.DONE]))
        steps.append(Act(name=f"s{number}", lane=lane, after=tuple(after), skip=skip))
    return tuple(steps)


@settings(deadline=None, max_examples=60)
@given(plans())
def test_any_plan_runs_every_step_once_in_a_legal_order(steps: tuple[Act, ...]) -> None:
    plan = Plan("random", steps)
    order, _ = execute(*steps)
    assert sorted(order) == sorted(each.key for each in steps)
    for each in steps:
        assert all(order.index(key) < order.index(each.key) for key in plan.before(each))


@settings(deadline=None, max_examples=40)
@given(plans(), st.data())
def test_any_plan_that_breaks_at_any_step_runs_nothing_that_comes_after_it(
    steps: tuple[Act, ...], data: st.DataObject
) -> None:
    bad = data.draw(st.sampled_from([each.name for each in steps if each.skip is None] or [""]))
    broken = tuple(
        Act(
            name=e.name, lane=e.lane, after=e.after, skip=e.skip, act=failing(Failed("x")) if e.name == bad else nothing
        )
        for e in steps
    )
    plan, events = Plan("random", broken), list[Event]()
    if not bad:
        run(plan, Simulation().world, events.append)
        return
    with pytest.raises(Failed):
        run(plan, Simulation().world, events.append)
    ended = {event.step.key for event in events if event.outcome in (Outcome.DONE, Outcome.SKIPPED)}
    for each in plan.steps:
        if each.key in ended:
            assert plan.before(each) <= ended
    assert bad not in ended


@settings(deadline=None, max_examples=40)
@given(plans())
def test_walking_a_plan_is_a_legal_order_too(steps: tuple[Act, ...]) -> None:
    plan, seen = Plan("random", steps), set[str]()
    for each in walk(plan):
        assert plan.before(each) <= seen
        seen.add(each.key)
    assert len(seen) == len(steps)
