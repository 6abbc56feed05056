"""Look, plan, show, ask, lock, act, look again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest

from tests.simulated.world import NODE, Console, Simulation, perform
from transcoder import operate
from transcoder.errors import Failed, Refused
from transcoder.operate import Operation
from transcoder.recipes import migrate
from transcoder.step import Plan, Skip, Step
from transcoder.world import Lock, World

OTHER = Lock("ann", "bastion", 4711, "2026-11-22T10:00:00+00:00", "fab migrate --to new")


@dataclass(frozen=True, kw_only=True)
class Reach(Step):
    """Bring a number in the world up to ``level``."""

    level: int
    counter: Counter
    verb = "reach"

    @property
    def title(self) -> str:
        return f"reach {self.level}"

    def is_done(self, world: World) -> bool:
        return self.counter.value >= self.level

    def do(self, world: World) -> None:
        assert world.cloud.lock_holder(NODE) is not None, "it acts without the lock"
        self.counter.value = self.level


@dataclass
class Counter:
    """The world of these tests."""

    value: int = 0
    goal: int = 1
    refuses_at: int = 99
    given_back: bool = False

    def plan(self, world: World) -> Plan:
        if self.value >= self.refuses_at:
            raise Refused("the look refused it", reasons=["a", "b"])
        step = Reach(level=self.value + 1, counter=self, skip=Skip.DONE if self.value >= self.goal else None)
        return Plan(f"from {self.value}", (step,))

    def operation(self) -> Operation:
        return Operation("count", NODE, self.plan, self.give_back)

    def give_back(self, world: World) -> Plan | None:
        self.given_back = True
        return Plan("give back", (Reach(level=100, counter=self),))


def test_it_plans_shows_asks_runs_and_looks_again() -> None:
    counter = Counter()
    outcome, console = perform(counter.operation(), Simulation())
    assert [plan.title for plan in console.shown] == ["from 0"]
    assert console.questions == ["from 0: go on?"]
    assert counter.value == 1
    assert not outcome.nothing_to_do


def test_the_plan_object_that_was_shown_is_equal_to_the_one_that_is_run() -> None:
    outcome, console = perform(Counter().operation(), Simulation())
    assert outcome.results[0].plan == console.shown[0] == outcome.plan


def test_an_operation_in_stages_shows_each_stage_and_asks_once() -> None:
    counter = Counter(goal=3)
    outcome, console = perform(counter.operation(), Simulation())
    assert [plan.title for plan in console.shown] == ["from 0", "from 1", "from 2"]
    assert len(console.questions) == 1
    assert len(outcome.results) == 3


def test_a_world_that_is_as_wanted_is_neither_asked_about_nor_locked() -> None:
    sim, counter = Simulation(), Counter(value=1)
    outcome, console = perform(counter.operation(), sim)
    assert outcome.nothing_to_do
    assert console.questions == []
    assert sim.cloud.mutations == []


def test_a_preview_shows_the_very_plan_and_changes_nothing() -> None:
    sim, counter, console = Simulation(), Counter(), Console()
    outcome = operate.preview(counter.operation(), sim.world, console)
    assert console.shown == [outcome.plan]
    assert console.shown[0] is outcome.plan
    assert counter.value == 0
    assert sim.cloud.mutations == []
    assert outcome.nothing_to_do


@pytest.mark.parametrize("to", ["tc001-b", "new"])
def test_the_plan_of_a_dry_run_is_the_plan_that_a_run_takes_up(to: str) -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    operation = migrate.operation(migrate.Request(NODE, to))
    previewed = operate.preview(operation, sim.world, Console())
    console = Console()
    operate.operate(operation, sim.world, console)
    assert console.shown[0] == previewed.plan


def test_who_says_no_is_obeyed_before_anything_is_locked() -> None:
    class Unwilling(Console):
        def confirm(self, question: str) -> None:
            raise Refused("not confirmed")

    sim, counter = Simulation(), Counter()
    with pytest.raises(Refused, match="not confirmed"):
        operate.operate(counter.operation(), sim.world, Unwilling())
    assert counter.value == 0
    assert sim.cloud.mutations == []


def test_a_world_that_moved_while_it_was_asked_is_shown_and_asked_about_again() -> None:
    counter = Counter(goal=3)

    class Slow(Console):
        def confirm(self, question: str) -> None:
            super().confirm(question)
            counter.value = max(counter.value, 1)

    console = Slow()
    operate.operate(counter.operation(), Simulation().world, console)
    assert [plan.title for plan in console.shown] == ["from 0", "from 1", "from 2"]
    assert len(console.questions) == 2
    assert "has moved" in console.questions[1]


def test_the_lock_is_freed_afterwards_and_after_an_error() -> None:
    sim = Simulation()
    perform(Counter().operation(), sim)
    assert sim.cloud.locks == {}
    with pytest.raises(Refused):
        perform(Counter(goal=3, refuses_at=2).operation(), sim)
    assert sim.cloud.locks == {}


def test_a_node_that_somebody_else_works_on_is_refused_with_who_where_what_and_the_way_out() -> None:
    sim, counter = Simulation(), Counter()
    sim.cloud.locks[NODE] = OTHER
    with pytest.raises(Refused) as caught:
        perform(counter.operation(), sim)
    for part in ("ann", "bastion", "4711", "fab migrate --to new", "2026-11-22T10:00"):
        assert part in caught.value.message
    assert f"fab unlock --node {NODE}" in caught.value.hint
    assert counter.value == 0
    assert sim.cloud.locks == {NODE: OTHER}


def _dead_here() -> Lock:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(OTHER, where=socket.gethostname(), pid=process.pid)


def test_the_lock_of_a_process_of_this_machine_that_died_is_taken_over() -> None:
    sim, counter = Simulation(), Counter()
    sim.cloud.locks[NODE] = _dead_here()
    perform(counter.operation(), sim)
    assert counter.value == 1
    assert sim.cloud.locks == {}


def test_the_lock_of_a_process_that_died_after_its_work_was_complete_is_freed() -> None:
    sim = Simulation()
    sim.cloud.locks[NODE] = _dead_here()
    perform(Counter(value=1).operation(), sim)
    assert sim.cloud.locks == {}


def test_a_live_lock_stays_when_there_is_nothing_to_do() -> None:
    sim = Simulation()
    sim.cloud.locks[NODE] = OTHER
    perform(Counter(value=1).operation(), sim)
    assert sim.cloud.locks == {NODE: OTHER}


def test_the_lock_of_a_living_process_here_or_of_any_elsewhere_is_not_taken_over() -> None:
    assert not operate.is_gone(replace(OTHER, where=socket.gethostname(), pid=os.getpid()))
    assert not operate.is_gone(replace(OTHER, pid=_dead_here().pid))


def test_this_process_says_who_it_is() -> None:
    lock = operate.this_process("fab attach")
    assert (lock.where, lock.pid, lock.what) == (socket.gethostname(), os.getpid(), "fab attach")
    assert lock.when.endswith("+00:00")


def test_a_lock_that_was_freed_by_hand_and_taken_by_somebody_else_is_left_to_them() -> None:
    sim, counter = Simulation(), Counter(goal=2)

    class Meddler(Console):
        def show(self, plan: Plan) -> None:
            if plan.title == "from 1":
                sim.cloud.locks[NODE] = OTHER

    operate.operate(counter.operation(), sim.world, Meddler())
    assert sim.cloud.locks == {NODE: OTHER}


def test_a_later_stage_that_refuses_has_what_was_done_given_back_under_the_lock() -> None:
    counter = Counter(goal=3, refuses_at=2)
    sim, console = Simulation(), Console()
    with pytest.raises(Refused, match="the look refused it"):
        operate.operate(counter.operation(), sim.world, console)
    assert counter.given_back
    assert counter.value == 100
    assert console.shown[-1].title == "give back"


def test_a_first_stage_that_refuses_gives_nothing_back() -> None:
    counter = Counter(refuses_at=0)
    with pytest.raises(Refused):
        perform(counter.operation(), Simulation())
    assert not counter.given_back


def test_a_later_look_that_fails_for_another_reason_gives_nothing_back() -> None:
    counter = Counter(goal=3)
    looks = iter([None, None, Failed("the machine fell silent")])

    def plan(world: World) -> Plan:
        if problem := next(looks):
            raise problem
        return counter.plan(world)

    with pytest.raises(Failed, match="fell silent"):
        perform(Operation("count", NODE, plan, counter.give_back), Simulation())
    assert not counter.given_back


def test_an_operation_that_never_becomes_empty_is_an_error_and_not_an_endless_loop() -> None:
    with pytest.raises(Failed, match="still to be done after 10 stages"):
        perform(Counter(goal=1000).operation(), Simulation())
