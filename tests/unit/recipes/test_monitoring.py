"""`invoke monitoring.deploy`, `diff`, `remove`: what they ask of CloudFormation, leave behind, and say of a failure."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulated.stacks import SimulatedStacks
from tests.simulated.world import ENVIRONMENT, Simulation, settings
from transcoder import alarms, tags
from transcoder.errors import Failed, Refused
from transcoder.recipes import monitoring
from transcoder.settings import Settings
from transcoder.stacks import BROKEN, EMPTY, Change, StackEvent
from transcoder.world import World

NAME = f"transcoder-{ENVIRONMENT}"
OURS = {tags.ENVIRONMENT: ENVIRONMENT}
ON = {"cloudwatch": True, "emails": ["ops@example.org"]}


class Console:
    """Remembers what it was told; ``agrees`` or not."""

    def __init__(self, *, agrees: bool = True) -> None:
        self.agrees = agrees
        self.changes: list[tuple[Change, ...]] = []
        self.events: list[StackEvent] = []
        self.questions: list[str] = []

    def show_changes(self, stack: str, changes: tuple[Change, ...]) -> None:
        self.changes.append(changes)

    def confirm(self, question: str) -> None:
        self.questions.append(question)
        if not self.agrees:
            raise Refused("not run: not confirmed")

    def tell(self, event: StackEvent) -> None:
        self.events.append(event)


def on(**more: object) -> Settings:
    return settings(aws={"instance_profile": "node"}, monitoring={**ON, **more})


class Rig:
    """An environment with one node and CloudWatch switched on."""

    def __init__(self, own: Settings | None = None) -> None:
        self.simulation = Simulation(own or on())
        self.simulation.node()
        self.world: World = self.simulation.world
        self.stacks: SimulatedStacks = self.simulation.cloud.stacks()

    def deploy(self, console: Console | None = None) -> monitoring.Outcome:
        return monitoring.deploy(self.world, console or Console())

    @property
    def left(self) -> list[str]:
        """The stacks that there are, with their status."""
        return [made.stack.status for made in self.stacks.made.values() if made.stack.status != "DELETE_COMPLETE"]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_deployment_shows_the_changes_asks_and_waits_for_the_end(rig: Rig) -> None:
    console = Console()
    outcome = rig.deploy(console)

    assert (outcome.status, outcome.done, outcome.nodes) == ("CREATE_COMPLETE", True, ("tc001",))
    assert console.changes == [outcome.changes]
    assert console.questions == [f"stack {NAME}: carry it out?"]
    assert [event.status for event in console.events] == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE"]
    assert rig.stacks.find_stack(NAME).tags == OURS  # type: ignore[union-attr]
    assert not rig.stacks.sets


def test_typed_twice_the_second_time_nothing_is_done_and_nothing_asked(rig: Rig) -> None:
    rig.deploy()
    console = Console()

    outcome = rig.deploy(console)

    assert (outcome.changes, outcome.done, outcome.status) == ((), False, "CREATE_COMPLETE")
    assert (console.questions, console.events, rig.stacks.sets) == ([], [], {})


def test_a_no_leaves_nothing_behind(rig: Rig) -> None:
    with pytest.raises(Refused, match="not confirmed"):
        rig.deploy(Console(agrees=False))

    assert (rig.left, rig.stacks.sets) == ([], {})


def test_a_look_leaves_nothing_behind_and_changes_nothing(rig: Rig) -> None:
    looked = monitoring.diff(rig.world, Console())
    assert ({change.action for change in looked.changes}, rig.left, rig.stacks.sets) == ({"Add"}, [], {})

    rig.deploy()
    again = Rig(on(checks=["unit"]))
    again.stacks.made.update(rig.stacks.made)
    looked = monitoring.diff(again.world, Console())
    assert {change.action for change in looked.changes} == {"Modify", "Remove"}
    assert (again.left, again.stacks.sets) == (["CREATE_COMPLETE"], {})


def test_an_interrupted_look_is_tidied_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rig.stacks, "proposal", interrupted)
    with pytest.raises(KeyboardInterrupt):
        monitoring.diff(rig.world, Console())

    assert (rig.left, rig.stacks.sets) == ([], {})


def test_what_an_earlier_try_left_empty_is_taken_away_first(rig: Rig) -> None:
    rig.stacks.put(NAME, EMPTY, {})

    assert rig.deploy().status == "CREATE_COMPLETE"
    assert rig.left == ["CREATE_COMPLETE"]


def test_a_stack_that_cannot_be_made_says_why_and_what_to_type(rig: Rig) -> None:
    rig.stacks.fails = {"Topic": "User: arn:aws:iam::1:user/ada is not authorized to perform: SNS:CreateTopic"}

    with pytest.raises(Failed) as caught:
        rig.deploy()

    assert "ended as ROLLBACK_COMPLETE" in caught.value.message
    assert "Topic (AWS::Something): User: arn:aws:iam::1:user/ada is not authorized" in caught.value.message
    assert "cancelled" not in caught.value.message
    assert caught.value.hint == "invoke monitoring.remove, then invoke monitoring.deploy"


def test_a_change_that_fails_is_taken_back_by_cloudformation_and_may_be_tried_again(rig: Rig) -> None:
    rig.stacks.put(NAME, "CREATE_COMPLETE", OURS)
    rig.stacks.fails = {"Topic": "no"}
    with pytest.raises(Failed, match="ended as UPDATE_ROLLBACK_COMPLETE") as caught:
        rig.deploy()
    assert caught.value.hint == "when the cause is gone: invoke monitoring.deploy"

    rig.stacks.fails = {}
    assert rig.deploy().status == "UPDATE_COMPLETE"


def test_a_change_that_cannot_be_taken_back_says_how_it_can(rig: Rig) -> None:
    rig.stacks.put(NAME, "CREATE_COMPLETE", OURS)
    rig.stacks.fails, rig.stacks.stuck = {"Topic": "no"}, True
    for error in (Failed, Refused):
        with pytest.raises(error) as caught:
            rig.deploy()
        assert caught.value.hint.startswith(f"aws cloudformation continue-update-rollback --stack-name {NAME}")


@pytest.mark.parametrize("status", sorted(BROKEN))
def test_a_broken_stack_is_refused_with_what_to_type_and_can_be_removed(rig: Rig, status: str) -> None:
    rig.stacks.put(NAME, status, OURS)
    for task in (monitoring.deploy, monitoring.diff):
        with pytest.raises(Refused, match=status) as caught:
            task(rig.world, Console())
        assert caught.value.hint == "invoke monitoring.remove, then invoke monitoring.deploy"

    assert monitoring.remove(rig.world, Console()).done
    assert rig.deploy().status == "CREATE_COMPLETE"


def test_a_template_that_cloudformation_does_not_take_is_an_error_with_its_words(rig: Rig) -> None:
    rig.stacks.wrong = "Template format error: unsupported value"
    with pytest.raises(Failed, match="unsupported value"):
        rig.deploy()
    assert rig.left == []


@pytest.mark.parametrize("task", [monitoring.deploy, monitoring.diff, monitoring.remove])
def test_a_stack_that_is_being_changed_or_is_anothers_is_left_alone(
    rig: Rig, task: Callable[[World, Console], object]
) -> None:
    identity = rig.stacks.put(NAME, "UPDATE_IN_PROGRESS", OURS)
    with pytest.raises(Refused, match=r"is being changed \(UPDATE_IN_PROGRESS\)"):
        task(rig.world, Console())

    del rig.stacks.made[identity]
    rig.stacks.put(NAME, "CREATE_COMPLETE", {tags.ENVIRONMENT: "another"})
    with pytest.raises(Refused, match="is not of environment simulated: its tag transcoder:environment is another"):
        task(rig.world, Console())
    assert rig.left == ["CREATE_COMPLETE"]


def test_removing_twice_is_nothing_the_second_time_and_a_trial_changes_nothing(rig: Rig) -> None:
    rig.deploy()
    assert not monitoring.remove(rig.world, Console(), dry_run=True).done
    assert rig.left == ["CREATE_COMPLETE"]

    console = Console()
    assert monitoring.remove(rig.world, console).done
    assert [event.status for event in console.events] == ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"]
    assert monitoring.remove(rig.world, Console()).describe()["nothing_to_do"]


def test_what_cannot_be_removed_says_why(rig: Rig) -> None:
    rig.deploy()
    rig.stacks.fails = {"Topic": "not authorized to perform: SNS:DeleteTopic"}
    with pytest.raises(Failed, match="SNS:DeleteTopic") as caught:
        monitoring.remove(rig.world, Console())
    assert caught.value.hint == "when the cause is gone: invoke monitoring.remove"


def test_without_a_node_or_without_cloudwatch_there_is_nothing_to_alarm_about() -> None:
    with pytest.raises(Refused, match="no node in environment simulated"):
        monitoring.template(Simulation(on()).world)
    off = Rig(settings())
    with pytest.raises(Refused, match="sends nothing to CloudWatch") as caught:
        monitoring.deploy(off.world, Console())
    assert "monitoring.cloudwatch = true" in caught.value.hint


def test_a_node_that_has_gone_to_another_region_has_no_alarms_here(rig: Rig) -> None:
    rig.simulation.cloud.tag(
        next(v.id for v in rig.simulation.cloud.volumes() if v.tags.get(tags.ROLE) == "livepeer"),
        {tags.GONE_TO: "west"},
    )
    with pytest.raises(Refused, match="no node"):
        monitoring.observe(rig.world)


def test_the_template_that_is_shown_is_the_one_that_is_sent(rig: Rig) -> None:
    shown = monitoring.template(rig.world)
    rig.deploy()

    (made,) = rig.stacks.made.values()
    assert made.template == shown == alarms.template(rig.world.settings, ["tc001"])
