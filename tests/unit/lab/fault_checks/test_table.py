"""No fault and no check is forgotten, and what the table says can be typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import faults
from lab.fault_checks.environment import QUICK, TRENDS, write_lab_time
from lab.fault_checks.main import chosen
from lab.fault_checks.table import FELT, UNFELT, UNTRIED, Felt
from lab.fault_checks.trial import latest, threshold_of
from lab.faults import options
from lab.matrix.environment import OwnLab
from transcoder.checks import BY_NAME, CHECKS
from transcoder.errors import Refused
from transcoder.settings import Settings, load

NAMES = [felt.name for felt in FELT]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load(str(write_lab_time(tmp_path_factory.mktemp("checks"), OwnLab("checks", "172.31.218", 5618))))


def test_every_fault_is_felt_or_there_is_a_reason() -> None:
    felt = {felt.fault for felt in FELT}
    assert felt | UNFELT.keys() == set(faults.NAMES)
    assert not felt & UNFELT.keys()


def test_every_check_is_turned_red_or_there_is_a_reason() -> None:
    red = {red.check.partition("/")[0] for felt in FELT for red in felt.red}
    assert red | UNTRIED.keys() == {check.name for check in CHECKS}
    assert not red & UNTRIED.keys()


@pytest.mark.parametrize("felt", FELT, ids=NAMES)
def test_a_row_names_options_that_the_fault_takes_and_checks_that_exist(felt: Felt) -> None:
    options.check(felt.fault, faults.find(felt.fault).OPTIONS, felt.options)
    named = [red.check for red in felt.red] + list(felt.also)
    assert {name.partition("/")[0] for name in named} <= BY_NAME.keys()


def test_a_row_is_named_as_it_is_typed_and_no_two_alike() -> None:
    assert "full_disk --volume geth" in NAMES
    assert len(set(NAMES)) == len(NAMES)


def test_in_lab_time_a_check_waits_for_seconds_and_trends_for_hours(settings: Settings) -> None:
    after = settings.watch.after_seconds
    assert set(after.values()) == {QUICK}
    assert not set(TRENDS) & after.keys()
    assert {check.name for check in CHECKS if check.name not in after} >= {"restarts", "slashed"}, "at once"


def test_a_row_knows_how_long_it_takes(settings: Settings) -> None:
    found = {f"{felt.name}: {red.check}": red for felt in FELT for red in felt.red}
    stalled, rewarded = found["geth_stall: geth-advancing"], found["missed_reward: reward"]
    assert threshold_of(settings, stalled) == QUICK
    assert latest(settings, stalled) == 2 * settings.geth.head_age_seconds + QUICK
    assert latest(settings, rewarded) == 1.5 * 180 + QUICK, "a round and a half of 90 blocks of 2 s"
    assert threshold_of(settings, found["crashing_service --unit geth: restarts/geth"]) == 0


def test_faults_are_chosen_by_name_and_by_pattern() -> None:
    assert [felt.name for felt in chosen(["full_disk"])] == ["full_disk --volume geth", "full_disk --volume livepeer"]
    assert [felt.name for felt in chosen(["*--unit chrony", "geth_stall"])] == [
        "geth_stall",
        "stopped_service --unit chrony",
    ]
    assert chosen([]) == FELT
    with pytest.raises(Refused, match="full_dsk"):
        chosen(["full_dsk"])


def test_the_environment_of_the_lab_is_left_as_it_is(tmp_path: Path) -> None:
    write_lab_time(tmp_path, OwnLab("checks", "172.31.218", 5618))
    assert load("lab").watch.after_seconds == {}
