"""Every task ends well with its policy; without any one of the actions it ends with an error that names that one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.iam import record
from tests.contract.iam.account import Account, an_account
from tests.contract.iam.scenarios import LINES, Bench, Line
from tests.contract.iam.typed import Desk, whole_policy
from transcoder import grants
from transcoder.errors import Failed, Refused

RECORDED = record.load()
BY_WORDS = {line.words: line for line in LINES}
FIRST = {(line.task, action): line for line in reversed(LINES) for action in reversed(RECORDED.get(line.words, []))}
"""Each action of each task once: with the first line that calls it."""
ENDINGS = dict.fromkeys(("fab bundle", "invoke keys"), (0, Refused.exit_code))
"""Tasks that say what they could not look at and go on with the rest."""
LACKING = [pytest.param(line, action, id=f"{task} without {action}") for (task, action), line in sorted(FIRST.items())]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """An account whose policies are checked."""
    with pytest.MonkeyPatch.context() as monkeypatch, an_account(monkeypatch.setenv) as made:
        yield made


@pytest.fixture
def desk(account: Account, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Where lines are typed."""
    return Desk(account, monkeypatch)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """What the worlds are furnished with."""
    return Bench(monkeypatch, tmp_path)


@pytest.mark.parametrize("line", LINES, ids=[line.words for line in LINES])
def test_with_its_policy_a_task_ends_as_it_should_and_calls_what_is_recorded(
    line: Line, desk: Desk, bench: Bench
) -> None:
    ended = desk.type(whole_policy(line.task), line.argv(bench.directory), line.furnish(bench))
    assert ended == line.ends
    assert sorted(desk.asked) == RECORDED.get(line.words), "python -m tests.contract.iam.record"


@pytest.mark.parametrize(("line", "action"), LACKING)
def test_an_action_that_is_taken_away_is_named_with_the_policy_that_grants_it(
    line: Line, action: str, desk: Desk, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    permitted = whole_policy(line.task) - {action}
    ended = desk.type(permitted, line.argv(bench.directory), line.furnish(bench))
    captured = capsys.readouterr()
    said = captured.err + captured.out
    assert ended in ENDINGS.get(line.task, (Refused.exit_code, Failed.exit_code))
    assert f"{action} is not permitted" in said
    assert all(f"templates/iam/{kind}.json" in said for kind in grants.granting(action))


def test_every_recorded_line_is_typed_here() -> None:
    assert set(RECORDED) == set(BY_WORDS), "python -m tests.contract.iam.record"
