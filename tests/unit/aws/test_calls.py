"""Throttling, silence and dry runs: how long a call is tried, and what is repeated."""

from __future__ import annotations

import pytest
from botocore.exceptions import NoCredentialsError, ParamValidationError

from tests.simulated.world import settings
from tests.unit.aws.scripted import Answer, Rig, error, lost, refused
from transcoder.aws_calls import ATTEMPTS, LOOK_BUDGET, WRITE_BUDGET, connector, user_agent
from transcoder.errors import Failed, NameTaken, NotReady, Refused, Unreachable
from transcoder.world import ApiCall

THROTTLED = error("RequestLimitExceeded", "Request limit exceeded.", 503)
NONE: Answer = {"Volumes": []}
ATTACH = ApiCall("AttachVolume", {"VolumeId": "vol-1", "InstanceId": "i-1", "Device": "/dev/sdg"})


def test_a_throttled_call_is_made_again_until_it_is_heard() -> None:
    rig = Rig(stop_instances=[THROTTLED, THROTTLED, {}])
    rig.aws.stop("i-1")
    assert rig.client.count("stop_instances") == 3


def test_pauses_grow_to_a_limit_and_the_call_ends_within_its_budget() -> None:
    rig = Rig(stop_instances=[THROTTLED])
    with pytest.raises(Unreachable, match=r"StopInstances.*RequestLimitExceeded") as caught:
        rig.aws.stop("i-1")
    assert rig.clock.slept[:5] == [0.5, 1.0, 2.0, 4.0, 5.0]
    assert max(rig.clock.slept) == 5.0
    assert WRITE_BUDGET - 5 <= rig.clock.monotonic() <= WRITE_BUDGET
    assert "run the same command again" in caught.value.hint


def test_a_look_gives_up_sooner_for_who_polls_asks_again() -> None:
    rig = Rig(describe_volumes=[THROTTLED])
    with pytest.raises(Unreachable):
        rig.aws.volumes()
    assert rig.clock.monotonic() <= LOOK_BUDGET < WRITE_BUDGET


def test_the_pauses_are_jittered_and_the_attempts_are_counted() -> None:
    rig = Rig(jitter=0.0, stop_instances=[THROTTLED])
    with pytest.raises(Unreachable):
        rig.aws.stop("i-1")
    assert rig.client.count("stop_instances") == ATTEMPTS


def test_two_computers_do_not_pause_in_step() -> None:
    ours, theirs = Rig(jitter=None, stop_instances=[THROTTLED]), Rig(jitter=None, stop_instances=[THROTTLED])
    for rig in (ours, theirs):
        with pytest.raises(Unreachable):
            rig.aws.stop("i-1")
    assert ours.clock.slept != theirs.clock.slept


def test_an_ec2_that_nobody_reaches_is_given_up_within_seconds() -> None:
    rig = Rig(stop_instances=[refused()])
    with pytest.raises(Unreachable, match=r"no answer from AWS in us-east-1") as caught:
        rig.aws.stop("i-1")
    assert rig.client.count("stop_instances") == 4
    assert rig.clock.monotonic() < 5
    assert "simulated" in caught.value.hint


def test_a_look_that_broke_is_made_again() -> None:
    rig = Rig(describe_volumes=[lost(), error("InternalError", status=500), error("SomethingNew"), NONE])
    assert rig.aws.volumes() == ()


def test_a_no_is_not_asked_for_twice() -> None:
    rig = Rig(attach_volume=[error("AttachmentLimitExceeded")])
    with pytest.raises(Failed, match="AttachmentLimitExceeded") as caught:
        rig.aws.attach("vol-1", "i-1", "/dev/sdg")
    assert getattr(caught.value, "code", "") == "AttachmentLimitExceeded"
    assert rig.client.count("attach_volume") == 1
    assert rig.clock.slept == []


def test_what_is_missing_in_a_policy_is_refused_by_its_name() -> None:
    rig = Rig(detach_volume=[error("UnauthorizedOperation", "You are not authorized.", 403)])
    with pytest.raises(Refused, match="ec2:DetachVolume is not permitted"):
        rig.aws.detach("vol-1", "i-1")


def test_a_computer_without_credentials_is_refused() -> None:
    rig = Rig(describe_volumes=[NoCredentialsError()])
    with pytest.raises(Refused, match="Unable to locate credentials"):
        rig.aws.volumes()


def test_a_request_that_boto3_finds_wrong_is_our_own_mistake() -> None:
    rig = Rig(describe_volumes=[ParamValidationError(report="Unknown parameter")])
    with pytest.raises(ParamValidationError):
        rig.aws.volumes()


def test_every_page_is_read_and_a_throttled_page_is_asked_for_again() -> None:
    def page(number: int, token: str = "") -> Answer:
        tags = [{"Key": "n", "Value": str(number)}]
        volume = {"VolumeId": f"vol-{number}", "AvailabilityZone": "a", "Size": 1, "State": "available", "Tags": tags}
        return {"Volumes": [volume], **({"NextToken": token} if token else {})}

    rig = Rig(describe_volumes=[page(1, "more"), THROTTLED, page(2)])
    assert [volume.id for volume in rig.aws.volumes()] == ["vol-1", "vol-2"]
    assert rig.client.request("describe_volumes")["NextToken"] == "more"


def test_nothing_is_cached() -> None:
    rig = Rig(describe_volumes=[NONE])
    rig.aws.volumes()
    rig.aws.volumes()
    assert rig.client.count("describe_volumes") == 2


def test_botocore_repeats_nothing_by_itself() -> None:
    client = connector(settings())("ec2")
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 1}


# what is not ready, and names that are taken


def test_a_volume_that_is_in_use_elsewhere_is_not_ready() -> None:
    rig = Rig(attach_volume=[error("VolumeInUse")], describe_volumes=[NONE])
    with pytest.raises(NotReady) as caught:
        rig.aws.attach("vol-1", "i-1", "/dev/sdg")
    assert getattr(caught.value, "code", "") == "VolumeInUse"


def test_a_device_name_in_use_is_told_from_other_wrong_values() -> None:
    taken = error("InvalidParameterValue", "Attachment point /dev/sdg is already in use")
    rig = Rig(attach_volume=[taken, error("InvalidParameterValue", "/dev/sdg is not valid")], describe_volumes=[NONE])
    with pytest.raises(NameTaken):
        rig.aws.attach("vol-1", "i-1", "/dev/sdg")
    with pytest.raises(Failed) as caught:
        rig.aws.attach("vol-1", "i-1", "/dev/sdg")
    assert not isinstance(caught.value, NameTaken)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/usr/bin/fab migrate --to new", "livepeer-transcoder-ops task/fab.migrate"),
        ("invoke lab.up", "livepeer-transcoder-ops task/invoke.lab.up"),
        ("fab --list", "livepeer-transcoder-ops"),
        ("fab s3cret/x", "livepeer-transcoder-ops"),
        ("pytest tests", "livepeer-transcoder-ops"),
        ("", "livepeer-transcoder-ops"),
    ],
)
def test_a_call_says_which_task_it_is_of_and_nothing_else_of_the_command_line(line: str, said: str) -> None:
    assert user_agent(line.split()) == said


# dry runs


@pytest.mark.parametrize("code", ["DryRunOperation", "VolumeInUse", "IncorrectState", "InvalidVolume.NotFound"])
def test_whoever_may_make_a_call_hears_nothing_against_it(code: str) -> None:
    rig = Rig(attach_volume=[error(code, status=412)])
    assert rig.aws.denial(ATTACH) == ""
    assert rig.client.request("attach_volume") == {**ATTACH.arguments, "DryRun": True}


def test_whoever_may_not_hears_the_action_and_ec2s_words() -> None:
    rig = Rig(attach_volume=[error("UnauthorizedOperation", "You are not authorized.", 403)])
    said = "ec2:AttachVolume is not permitted (UnauthorizedOperation): You are not authorized."
    assert rig.aws.denial(ATTACH) == f"{said}; granted by templates/iam/operator.json"


def test_a_throttled_dry_run_is_made_again() -> None:
    rig = Rig(attach_volume=[THROTTLED, lost(), error("DryRunOperation")])
    assert rig.aws.denial(ATTACH) == ""


def test_a_dry_run_that_never_gets_an_answer_is_no_permission() -> None:
    with pytest.raises(Unreachable):
        Rig(attach_volume=[THROTTLED]).aws.denial(ATTACH)


def test_a_dry_run_that_was_done_is_an_alarm() -> None:
    with pytest.raises(Failed, match="was not a trial"):
        Rig(attach_volume=[{}]).aws.denial(ATTACH)


def test_an_action_that_does_not_exist_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="AttachVolumes"):
        Rig(attach_volume=[{}]).aws.denial(ApiCall("AttachVolumes", {}))
