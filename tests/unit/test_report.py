"""Plans and results for people and for programs: every step there is can be shown as both."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from rich.console import Console as RichConsole

from tests.simulated.disk import by_hand, ours
from tests.simulated.world import NODE, OTHER_ZONE, WEST, Console, Simulation, perform, settings, without_geth
from transcoder import operate, report, tags
from transcoder.errors import Failed, Refused
from transcoder.layout import LIVEPEER
from transcoder.model import Image
from transcoder.recipes import (
    adopt,
    attach,
    backup_keys,
    confirm,
    create_key,
    detach,
    launch,
    migrate,
    publish,
    relocate,
    relocate_confirm,
    restart,
    restore_keys,
    retire_amis,
    reward,
    status,
)
from transcoder.step import Event, Outcome, Plan, Skip, Step


def shown(console: Console) -> list[Plan]:
    return console.shown


def from_nothing() -> list[Plan]:
    """Every plan of a node's life: launch, attach, key, start, migration, detach, terminate."""
    sim, plans = Simulation(), list[Plan]()
    for operation in (
        launch.operation(launch.Request(NODE)),
        attach.operation(attach.Request(NODE)),
        create_key.operation(NODE),
        attach.operation(attach.Request(NODE)),
        migrate.operation(migrate.Request(NODE, "new")),
        migrate.operation(migrate.Request(NODE, NODE)),
        detach.operation(detach.Request(NODE, terminate=True)),
    ):
        plans += shown(perform(operation, sim)[1])
    return plans


def adopted() -> list[Plan]:
    sim = Simulation()
    sim.instance("tc001")
    volume = sim.volume(by_hand(LIVEPEER))
    return shown(perform(adopt.operation(adopt.Request(NODE, volume.id, "livepeer", "tc001")), sim)[1])


def picked_up() -> list[Plan]:
    """A migration whose volumes had left the source already."""
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    perform(detach.operation(detach.Request(NODE)), sim)
    return [operate.preview(migrate.operation(migrate.Request(NODE, "tc001-b")), sim.world, Console()).plan]


def across_zones() -> list[Plan]:
    """To another zone, and confirmed."""
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b", zone=OTHER_ZONE)
    plans = shown(perform(migrate.operation(migrate.Request(NODE, "tc001-b")), sim)[1])
    sim.clock.sleep(5.0)
    return plans + shown(perform(confirm.operation(NODE), sim)[1])


def to_another_region() -> list[Plan]:
    """To another region, and confirmed."""
    sim = Simulation()
    sim.node()
    west = Simulation(settings(WEST, aws={"region": "us-west-2", "availability_zone": "us-west-2a"}), beside=sim)
    plans = shown(perform(relocate.operation(migrate.Request(NODE, "new"), west.world), sim)[1])
    sim.clock.sleep(5.0)
    return plans + shown(perform(relocate_confirm.operation(NODE, west.world), sim)[1])


def discarded() -> list[Plan]:
    """A copy of an earlier try, while the node runs on its own volume."""
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b", zone=OTHER_ZONE)
    sim.volume(ours(LIVEPEER, NODE), None, {**ours_tags(sim), tags.COPY_OF: sim.of(LIVEPEER).id}, zone=OTHER_ZONE)
    return [operate.preview(migrate.operation(migrate.Request(NODE, "tc001-b")), sim.world, Console()).plan]


def ours_tags(sim: Simulation) -> dict[str, str]:
    return {tags.ENVIRONMENT: sim.settings.name, tags.ROLE: LIVEPEER.role}


def rewarded() -> list[Plan]:
    """The reward of this round."""
    sim = Simulation()
    sim.node()
    sim.rounds.last_reward -= 1
    return shown(perform(reward.operation(reward.Request(NODE)), sim)[1])


def fetched() -> list[Plan]:
    """A machine that fetches the passphrase of its key, from the first key on."""
    livepeer, keys = {"version": "0.5.13"}, {"passphrase_store": "ssm"}
    sim, plans = Simulation(settings(livepeer=livepeer, keys=keys, aws={"instance_profile": "node"})), list[Plan]()
    for operation in (
        launch.operation(launch.Request(NODE)),
        attach.operation(attach.Request(NODE)),
        create_key.operation(NODE),
    ):
        plans += shown(perform(operation, sim)[1])
    return plans


def lost() -> list[Plan]:
    """A source that does not answer."""
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    sim.machine(NODE).faults.unreachable = True
    lost = migrate.Request(NODE, "tc001-b", source_lost=True)
    return [operate.preview(migrate.operation(lost), sim.world, Console()).plan]


def images() -> list[Plan]:
    """An AMI gets its date and a copy in another region; later it goes, with its snapshot."""
    west = "us-west-2"
    sim = Simulation(settings(image={"copy_to": [west], "deprecate_after_days": 90}))
    own = {tags.ENVIRONMENT: sim.settings.name, tags.DIGEST: "d", tags.VERIFIED: "2027-01-01T00:01:00Z 0123"}
    old, new = (
        Image(f"ami-{day}", f"node {day}", "available", f"2027-01-0{day}T00:00:00Z", "", (f"snap-{day}",), own)
        for day in (1, 2)
    )
    sim.cloud.amis, sim.cloud.regions[west] = {old.id: old, new.id: new}, Simulation(beside=sim).cloud
    sim.cloud.regions[sim.settings.aws.region] = sim.cloud
    published = operate.preview(publish.operation(new.id), sim.world, Console()).plan
    return [published, operate.preview(retire_amis.operation(1), sim.world, Console()).plan]


def keys() -> list[Plan]:
    """A key that is backed up, gets another passphrase, and is restored."""
    from tests.unit.recipes.test_backup_and_restore_keys import emptied, node, request
    from tests.unit.recipes.test_verify_keys import backed_up, rotation

    sim = node()
    plans = shown(perform(backup_keys.operation(backup_keys.Request(NODE)), sim)[1])
    plans += shown(perform(restore_keys.operation(request()), emptied(sim))[1])
    return [*plans, operate.preview(rotation(), backed_up().world, Console()).plan]


def restarted() -> list[Plan]:
    """A node whose services are restarted."""
    sim = Simulation()
    sim.node()
    return [operate.preview(restart.operation(restart.Request(NODE)), sim.world, Console()).plan]


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    across = [*across_zones(), *to_another_region()]
    own = [*adopted(), *picked_up(), *discarded(), *rewarded(), *fetched(), *restarted(), *lost()]
    return [*from_nothing(), *own, *across, *images(), *keys()]


def every_step_class(parent: type[Step] = Step) -> Iterator[type[Step]]:
    for child in parent.__subclasses__():
        if child.__module__.startswith("transcoder.") and hasattr(child, "verb"):
            yield child
        yield from every_step_class(child)


def render(plan: Plan) -> str:
    out = io.StringIO()
    RichConsole(file=out, width=200).print(report.render_plan(plan))
    return out.getvalue()


def test_these_plans_have_every_step_there_is(plans: list[Plan]) -> None:
    used = {type(step) for plan in plans for step in plan.steps}
    missing = {kind.__name__ for kind in every_step_class() if kind not in used}
    assert missing == set()


def test_every_plan_is_json_and_holds_the_ids_of_what_it_is_about(
    plans: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    for plan in plans:
        report.print_json(plan.describe())
        read = json.loads(capsys.readouterr().out)
        assert [step["key"] for step in read["steps"]] == [step.key for step in plan.steps]
        for step in read["steps"]:
            if "volume" in step:
                assert step["volume"].startswith("vol-")
            if "instance" in step:
                assert step["instance"].startswith("i-")


def test_every_plan_is_a_table_with_the_title_of_each_step(plans: list[Plan]) -> None:
    for plan in plans:
        text = render(plan)
        for step in plan.steps:
            assert step.title in text


def test_an_empty_plan_is_one_line() -> None:
    assert render(Plan("migrate node tc001", ())).strip() == "migrate node tc001: nothing is to be done"


def test_a_step_that_is_skipped_says_why(plans: list[Plan]) -> None:
    skipped = next(plan for plan in plans if any(s.skip for s in plan.steps) and not plan.empty)
    assert f"({Skip.DONE.value})" in render(skipped)


def test_every_title_is_one_line_and_every_ec2_call_is_named_like_one(plans: list[Plan]) -> None:
    for step in (step for plan in plans for step in plan.steps):
        assert "\n" not in step.title
        assert all(call[0].isupper() and call.isalpha() for call in step.calls)


def test_the_result_of_an_operation_is_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    sim.node()
    sim.instance("tc001-b")
    outcome, _ = perform(migrate.operation(migrate.Request(NODE, "tc001-b")), sim)
    report.print_outcomes([outcome], dry_run=False, json_output=True)
    read = json.loads(capsys.readouterr().out)
    assert (read["dry_run"], read["nothing_to_do"]) == (False, False)
    assert {step["outcome"] for step in read["results"][0]["steps"]} <= {"done", "skipped"}


@pytest.mark.parametrize(("dry_run", "said"), [(True, "dry run: nothing was changed"), (False, "done in")])
def test_the_result_for_people_is_one_line_on_stdout(
    dry_run: bool, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sim = Simulation()
    sim.node()
    act = operate.preview if dry_run else operate.operate
    outcome = act(detach.operation(detach.Request(NODE)), sim.world, Console())
    report.print_outcomes([outcome], dry_run=dry_run, json_output=False)
    out = capsys.readouterr().out
    assert said in out
    assert out.count("\n") == 1


def test_nothing_to_do_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_outcomes([operate.Outcome(Plan("attach", ()), ())], dry_run=False, json_output=False)
    assert capsys.readouterr().out == "attach: nothing is to be done\n"


def test_progress_is_one_line_a_step_on_stderr_with_its_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    sim.node()
    console = report.TerminalConsole(yes=True)
    operate.operate(detach.operation(detach.Request(NODE)), sim.world, console)
    captured = capsys.readouterr()
    assert captured.out == ""
    for event in console.events:
        if event.outcome is Outcome.DONE:
            assert f"✓ {event.seconds:7.1f} s  {event.step.lane:<9} {event.step.title}" in captured.err


def test_with_json_no_plan_is_in_the_progress(capsys: pytest.CaptureFixture[str]) -> None:
    report.TerminalConsole(json_output=True).show(Plan("detach", ()))
    assert capsys.readouterr().err == ""


def test_without_a_terminal_and_without_yes_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(Refused, match="no terminal"):
        report.TerminalConsole().confirm("go on?")
    report.TerminalConsole(yes=True).confirm("go on?")


@pytest.mark.parametrize("answer", ["", "n", "maybe", "yess"])
def test_only_a_yes_is_a_yes(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _prompt: answer)
    with pytest.raises(Refused, match="not confirmed"):
        report.TerminalConsole().confirm("go on?")


def test_an_error_shows_message_what_was_done_and_hint_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_error(Failed("broken [brackets] stay", done=("one", "two"), hint="fab status"))
    assert capsys.readouterr().err == "broken [brackets] stay\ndone before it: one, two\nhint: fab status\n"


def test_a_failed_step_is_marked(capsys: pytest.CaptureFixture[str], plans: list[Plan]) -> None:
    step = plans[0].steps[0]
    report.TerminalConsole().watch(Event(step, 1.0, Outcome.FAILED, 1.0, "broken"))
    assert capsys.readouterr().err.startswith("✗")


def test_a_status_is_one_screen_with_the_problems_below(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    sim.node()
    sim.machine(NODE).stop(LIVEPEER.service.unit)
    statuses = status.observe(sim.world)
    report.print_statuses(statuses, (("tc001-b", "i-2", "running, spare"),))
    out = capsys.readouterr().out
    assert "node tc001" in out
    assert "! livepeer-transcoder.service is inactive" in out
    assert "also here: tc001-b (i-2): running, spare" in out
    assert "healthy" not in out


def test_a_node_without_a_geth_shows_the_round_and_nothing_of_geth(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation(without_geth())
    sim.node()
    report.print_statuses(status.observe(sim.world), ())
    said = capsys.readouterr().out
    assert "1340, initialized; last reward in 1340" in said
    assert "healthy" in said
    assert "geth" not in said


def test_a_status_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    sim.node()
    report.print_json([each.describe() for each in status.observe(sim.world)])
    assert json.loads(capsys.readouterr().out)[0]["healthy"] is True


def test_how_to_reach_a_launched_machine_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    sim = Simulation()
    sim.node()
    report.print_reach(launch.observe(sim.world, launch.Request(NODE)), sim.settings)
    out = capsys.readouterr().out
    assert "ssh ubuntu@203.0.113." in out
    assert "Elastic IP 198.51.100.1" in out
