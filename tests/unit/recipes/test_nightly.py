"""Every node in the night: rolling, no further one after a failure, quiet when all is well, never twice at once."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulated import fleet
from tests.simulated.world import Simulation, perform
from transcoder import report_restarts, tags
from transcoder.alone import alone
from transcoder.errors import Refused
from transcoder.layout import LIVEPEER
from transcoder.recipes import migrate, nightly, restart
from transcoder.recipes.nightly import FAILED, LEFT, NOT_BEGUN, RESTARTED, WOULD, Request, Row

NOT_THERE = "environment 'none' does not exist"
PROJECT = Path(__file__).resolve().parents[3]


def many(count: int) -> tuple[Simulation, tuple[str, ...]]:
    sim = Simulation()
    return sim, fleet.furnish(sim, count)


def outcomes(rows: tuple[Row, ...]) -> dict[str, str]:
    return {row.node: row.outcome for row in rows}


def asked_of_ec2(sim: Simulation) -> list[str]:
    """The calls so far, without those of the nodes' locks, which are not EC2's."""
    return [call.name for call in sim.cloud.calls if "lock" not in call.name]


def test_all_are_restarted_one_after_the_other() -> None:
    sim, names = many(3)
    lines: list[str] = []
    rows = nightly.run(sim.world, Request(), lines.append)
    assert outcomes(rows) == dict.fromkeys(names, RESTARTED)
    assert nightly.exit_code(rows) == 0
    spoke = [line.split(":")[0] for line in lines]
    assert spoke == sorted(spoke)


def test_no_further_one_is_begun_after_the_first_that_fails() -> None:
    sim, names = many(4)
    sim.machine(names[1]).faults.geth_finds_no_peers = True
    rows = nightly.run(sim.world, Request())
    assert [row.outcome for row in rows] == [RESTARTED, FAILED, NOT_BEGUN, NOT_BEGUN]
    assert nightly.exit_code(rows) == 4
    assert "0 peers" in rows[1].reason
    assert "livepeer was left as it is" in rows[1].reason
    assert "docs/runbooks/geth-advancing.md" in rows[1].hint


def test_keep_going_takes_the_others_too() -> None:
    sim, names = many(3)
    sim.machine(names[0]).faults.unreachable = True
    rows = nightly.run(sim.world, Request(keep_going=True))
    assert [row.outcome for row in rows] == [FAILED, RESTARTED, RESTARTED]
    assert nightly.exit_code(rows) == 5


def test_in_parallel_every_node_is_restarted_once() -> None:
    sim, names = many(6)
    before = {name: sim.machine(name).unit(LIVEPEER.service.unit).pid for name in names}
    rows = nightly.run(sim.world, Request(parallel=3))
    assert outcomes(rows) == dict.fromkeys(names, RESTARTED)
    assert all(sim.machine(name).unit(LIVEPEER.service.unit).pid != before[name] for name in names)


def test_what_was_restarted_lately_is_left_alone() -> None:
    sim, names = many(2)
    nightly.run(sim.world, Request())
    rows = nightly.run(sim.world, Request(node=restart.Request("", max_age=3600.0)))
    assert outcomes(rows) == dict.fromkeys(names, LEFT)


def test_a_dry_run_says_who_would_be_restarted() -> None:
    sim, names = many(2)
    rows = nightly.run(sim.world, Request(dry_run=True))
    assert outcomes(rows) == dict.fromkeys(names, WOULD)
    assert sim.hosts.mutations == []


def test_two_nodes_with_one_key_are_not_restarted() -> None:
    sim, names = many(3)
    doubled = fleet.account(1)
    volume = next(
        v for v in sim.cloud.blocks.values() if v.tags.get(tags.NODE) == names[1] and v.tags[tags.ROLE] == "livepeer"
    )
    sim.cloud.tag(volume.id, {tags.ADDRESS: doubled})
    rows = nightly.run(sim.world, Request(keep_going=True))
    assert [row.outcome for row in rows] == [FAILED, FAILED, RESTARTED]
    assert f"{names[1]} claims the same account {doubled}" in rows[0].reason


def test_one_node_alone_or_none_that_there_is() -> None:
    sim, names = many(2)
    assert outcomes(nightly.run(sim.world, Request(only=names[1]))) == {names[1]: RESTARTED}
    with pytest.raises(Refused, match="no node tc999"):
        nightly.run(sim.world, Request(only="tc999"))
    with pytest.raises(Refused, match="--parallel 0"):
        nightly.run(sim.world, Request(parallel=0))


@pytest.mark.parametrize("count", [1, 8])
def test_ec2_is_asked_as_often_for_many_nodes_as_for_one(count: int) -> None:
    sim, _ = many(count)
    nightly.run(sim.world, Request(parallel=4))
    assert sorted(asked_of_ec2(sim)) == ["addresses", "instances", "volumes"]


def test_a_long_night_asks_ec2_no_more_often_than_a_short_one() -> None:
    sim, names = many(4)
    for name in names:
        sim.machine(name).faults.geth_stop_takes = 100.0
    began = sim.clock.monotonic()
    rows = nightly.run(sim.world, Request())
    assert outcomes(rows) == dict.fromkeys(names, RESTARTED)
    assert sim.clock.monotonic() - began > 2 * nightly.FRESH
    assert sorted(asked_of_ec2(sim)) == ["addresses", "instances", "volumes"]


def test_a_node_that_has_moved_since_is_restarted_where_it_is_now() -> None:
    sim, names = many(2)
    sim.machine(names[0]).faults.geth_stop_takes = 2 * nightly.FRESH
    spare, lines = sim.instance("spare"), list[str]()

    def say(line: str) -> None:
        if line.startswith(f"{names[0]}: stop geth"):
            perform(migrate.operation(migrate.Request(names[1], spare.id)), sim)
        lines.append(line)

    rows = nightly.run(sim.world, Request(), say)
    assert outcomes(rows) == dict.fromkeys(names, RESTARTED)
    assert f"{names[1]}: it has another machine now" in lines
    assert any(line.startswith(f"{names[1]}: stop geth.service on spare") for line in lines)


def test_many_nodes_that_are_away_do_not_make_ec2_be_asked_for_each_of_them() -> None:
    sim, names = many(6)
    for name in names:
        sim.machine(name).faults.unreachable = True
    rows = nightly.run(sim.world, Request(keep_going=True))
    assert outcomes(rows) == dict.fromkeys(names, FAILED)
    assert nightly.exit_code(rows) == 5
    assert sorted(asked_of_ec2(sim)) == ["addresses", "instances", "volumes"]


WELL = Row("tc001", RESTARTED, 61.2)
BAD = Row("tc002", FAILED, 3.0, "geth is away", "fab logs", 4)


def test_with_quiet_nothing_is_printed_when_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    report_restarts.print_rows([WELL], "lab", quiet=True, as_json=False)
    report_restarts.teller(report_restarts.Log(""), quiet=True)("tc001: stop geth")
    assert capsys.readouterr() == ("", "")


def test_with_quiet_trouble_is_printed_with_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    report_restarts.print_rows([WELL, BAD], "lab", quiet=True, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "lab: 2 node(s): 1 restarted, 1 failed",
        "  ! tc002: geth is away",
        "    hint: fab logs",
    ]


def test_programs_get_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    report_restarts.print_rows([WELL, replace(BAD)], "lab", quiet=False, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == 4
    assert [node["node"] for node in found["nodes"]] == ["tc001", "tc002"]


HOLD = """
import sys
from pathlib import Path
from transcoder.alone import alone
with alone(Path(sys.argv[1]), "a nightly restart"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_never_run_at_once_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "state" / "nightly.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(Refused, match=f"way already .process {holder.pid}"), alone(lock, "a nightly restart"):
        raise AssertionError("both hold it")
    holder.kill()
    holder.communicate()
    with alone(lock, "a nightly restart"):
        pass


def test_a_run_that_did_not_begin_says_why_in_the_log_too(tmp_path: Path) -> None:
    file = tmp_path / "night.log"
    command = [sys.executable, "-m", "invoke", "nightly-restart", "--quiet", "--env", "none", "--log", str(file)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert NOT_THERE in done.stderr
    assert f" none: not run: {NOT_THERE}" in file.read_text()
    assert len(file.read_text().splitlines()) == 1
