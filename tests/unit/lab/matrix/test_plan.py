from __future__ import annotations

from lab.matrix.plan import read_steps
from tests.unit.lab.matrix.made_up import ROLES, SOURCE, document


def test_steps_are_named_by_role_so_that_a_cell_is_the_same_in_both_directions() -> None:
    names = [step.name for step in read_steps(document(), ROLES)]
    assert names[-1] == "tags/tag source"
    assert ROLES.keyed("tags/tag source") == f"tags/tag {SOURCE}"
    assert ROLES.keyed("livepeer/attach") == "livepeer/attach"


def test_a_step_knows_its_machine_also_when_it_is_about_a_volume_there() -> None:
    machines = {step.name: step.machine for step in read_steps(document(), ROLES)}
    assert (machines["livepeer/stop"], machines["livepeer/mount"], machines["tags/tag source"]) == (
        "source",
        "target",
        "",
    )


def test_a_step_knows_all_that_has_ended_before_it_through_every_lane() -> None:
    steps = {step.name: step for step in read_steps(document(), ROLES)}
    assert steps["livepeer/attach"].before == {"prepare/hold", "livepeer/stop", "livepeer/detach"}
    assert "geth/stop" in steps["node/start"].before


def test_what_is_done_already_makes_no_cell() -> None:
    made = document()
    made["plan"]["steps"][0]["skip"] = "already so"
    assert "prepare/hold" not in {step.name for step in read_steps(made, ROLES)}
