"""Which calls a fault of the API hits."""

from __future__ import annotations

from lab.faults.counting import LOST, Nth, Share, Target
from lab.faults.seams import FAIR, OBSERVER, Asked, Seams, Verdict, asked_by

CALL = Asked("ec2", "DetachVolume")
DRY = Asked("ec2", "DetachVolume", {"DryRun": "true"})


def codes(judge: Nth | Share, *calls: Asked) -> list[str]:
    """Return the code that each call is answered with."""
    return [judge(call).code for call in calls]


def test_only_the_nth_call_of_the_action_is_hit() -> None:
    judge = Nth(Target("DetachVolume"), 2, 1, "InternalError")
    other = Asked("ec2", "AttachVolume")
    assert codes(judge, CALL, other, CALL, CALL) == ["", "", "InternalError", ""]
    assert judge.over


def test_with_a_count_of_nought_all_from_the_nth_on_are_hit() -> None:
    judge = Nth(Target("DetachVolume"), 2, 0, "InternalError")
    assert codes(judge, CALL, CALL, CALL) == ["", "InternalError", "InternalError"]
    assert not judge.over


def test_a_dry_run_counts_only_where_it_is_wanted() -> None:
    assert codes(Nth(Target("DetachVolume", dry_runs=False), 1, 1, "X"), DRY, CALL) == ["", "X"]
    assert codes(Nth(Target("DetachVolume", dry_runs=True), 1, 1, "X"), DRY, CALL) == ["X", ""]


def test_a_lost_answer_is_no_error_code() -> None:
    assert Nth(Target("DetachVolume"), 1, 1, LOST)(CALL) == Verdict(lost=True)


def test_without_an_action_all_of_ec2_and_nothing_else_is_hit() -> None:
    judge = Share(Target(), 1.0, 0, 1, "RequestLimitExceeded")
    assert codes(judge, CALL, Asked("ssm", "PutParameter")) == ["RequestLimitExceeded", ""]


def test_a_share_is_about_that_share_and_the_same_every_time() -> None:
    first, second = (codes(Share(Target(), 0.3, 0, 7, "X"), *[CALL] * 1000) for _ in range(2))
    assert first == second
    assert 250 < first.count("X") < 350


def test_a_throttle_is_over_when_as_many_were_hit_as_wanted() -> None:
    judge = Share(Target(), 1.0, 2, 1, "X")
    assert codes(judge, CALL, CALL, CALL) == ["X", "X", ""]
    assert judge.over


def test_all_faults_see_a_call_and_the_first_that_objects_decides() -> None:
    seams = Seams()
    first, second = Nth(Target("DetachVolume"), 2, 1, "A"), Nth(Target("DetachVolume"), 2, 1, "B")
    seams.requests.put(first, first)
    seams.requests.put(second, second)
    assert [seams.judge(CALL).code for _ in range(3)] == ["", "A", ""]
    assert second.over


def test_the_observer_meets_no_fault_and_counts_for_none() -> None:
    seams = Seams()
    judge = Nth(Target("DetachVolume"), 1, 1, "A")
    seams.requests.put(judge, judge)
    credential = f"AWS4-HMAC-SHA256 Credential={OBSERVER}/20260101/us-east-1/ec2/aws4_request, Signature=0"
    assert seams.judge(asked_by("ec2", "DetachVolume", {}, credential)) == FAIR
    assert seams.judge(CALL).code == "A"
