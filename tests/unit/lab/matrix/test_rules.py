from __future__ import annotations

from lab.fault_checks.table import FELT
from lab.faults import NAMES, find
from lab.faults.options import check
from lab.matrix.inject import options_of
from lab.matrix.plan import read_steps
from lab.matrix.rules import FOR_CHECKS, TROUBLES, cells, chosen
from tests.unit.lab.matrix.made_up import ROLES, SOURCE, TARGET, document

CELLS = cells(read_steps(document(), ROLES))
NAMED = {cell.name for cell in CELLS}


def test_every_fault_of_the_lab_has_cells() -> None:
    used = {cell.trouble.fault for cell in CELLS} | {"kill_operator"}
    assert used - {""} | FOR_CHECKS.keys() == set(NAMES)
    assert not used & FOR_CHECKS.keys()


def test_a_fault_without_cells_is_one_that_the_nodes_watch_is_to_see() -> None:
    assert FOR_CHECKS.keys() <= {felt.fault for felt in FELT}


def test_the_operator_is_killed_at_every_step() -> None:
    steps = {step.name for step in read_steps(document(), ROLES)}
    assert {cell.step for cell in CELLS if cell.trouble.name == "kill_operator"} == steps


def test_the_source_loses_its_power_as_long_as_anything_may_be_to_do_there() -> None:
    assert "livepeer/mount:power_off_source" in NAMED, "geth may still be at the source"
    assert "node/start:power_off_source" not in NAMED
    assert "prepare/hold:power_off_source" in NAMED


def test_calls_go_wrong_only_where_a_step_calls_ec2() -> None:
    assert "livepeer/attach:api_error_lost_answer" in NAMED
    assert "livepeer/mount:api_error_lost_answer" not in NAMED


def test_a_fault_of_the_whole_run_has_one_cell() -> None:
    assert [name for name in NAMED if name.endswith("lagging_reads")] == ["start:lagging_reads"]


def test_every_cell_switches_its_fault_on_with_options_that_it_takes() -> None:
    for cell in CELLS:
        if cell.trouble.fault:
            check(cell.trouble.fault, find(cell.trouble.fault).OPTIONS, options_of(cell, ROLES))


def test_a_fault_is_about_its_machine_its_volume_and_its_call() -> None:
    by_name = {cell.name: options_of(cell, ROLES) for cell in CELLS if cell.trouble.fault}
    assert by_name["geth/stop:partition_source"] == {"instance": SOURCE}
    assert by_name["geth/attach:partition_target"] == {"instance": TARGET}
    assert by_name["geth/attach:stuck_attaching"] == {"volume": "geth"}
    assert by_name["geth/attach:api_error_denied"] == {"action": "AttachVolume", "code": "UnauthorizedOperation"}


def test_patterns_pick_cells_and_one_without_a_colon_is_about_the_fault() -> None:
    picked = {cell.name for cell in chosen(CELLS, ["livepeer/*:power_off*", "slow_stop"])}
    assert "geth/stop:slow_stop" in picked
    assert "livepeer/stop:power_off_source" in picked
    assert not any(name.startswith("geth/") and "power_off" in name for name in picked)


def test_shards_are_all_cells_once() -> None:
    parts = [chosen(CELLS, shard=(number, 3)) for number in (1, 2, 3)]
    assert sorted(cell.name for part in parts for cell in part) == sorted(cell.name for cell in CELLS)
    assert len(CELLS) == len(NAMED)


def test_names_of_troubles_are_unique() -> None:
    assert len({trouble.name for trouble in TROUBLES}) == len(TROUBLES)
