"""EC2's error codes: what each one means, row by row, with the source that says so."""

from __future__ import annotations

import pytest

from transcoder.aws_errors import ANYWHERE, DONE, Kind, classify, translate
from transcoder.errors import Failed, NameTaken, NotReady, Refused, TranscoderError, Unreachable

CSI_RETRY = "aws-ebs-csi-driver pkg/cloud/retry_manager.go; amazon.aws plugins/module_utils/retries.py"
CSI_DETACH = "aws-ebs-csi-driver pkg/cloud/cloud.go DetachDisk"
BOTOCORE = "botocore retries/standard.py"
IN_USE = "Invalid value '/dev/sdg' for unixDevice. Attachment point /dev/sdg is already in use"

TABLE = [
    # action, code, message, kind, source
    ("AttachVolume", "RequestLimitExceeded", "", Kind.RETRY, CSI_RETRY),
    ("DetachVolume", "Throttling", "", Kind.RETRY, CSI_RETRY),
    ("PutParameter", "ThrottlingException", "", Kind.RETRY, BOTOCORE),
    ("CreateVolume", "TooManyRequestsException", "", Kind.RETRY, CSI_RETRY),
    ("CreateVolume", "Unavailable", "", Kind.RETRY, CSI_RETRY),
    ("CreateSnapshot", "SnapshotCreationPerVolumeRateExceeded", "", Kind.RETRY, "EC2 error codes: once in 15 s"),
    ("PutParameter", "TooManyUpdates", "", Kind.RETRY, "SSM PutParameter, errors"),
    ("AttachVolume", "429", "", Kind.RETRY, BOTOCORE),
    ("AttachVolume", "ServiceUnavailable", "", Kind.UNSURE, CSI_RETRY),
    ("AttachVolume", "InternalError", "", Kind.UNSURE, CSI_RETRY),
    ("AttachVolume", "InternalFailure", "", Kind.UNSURE, CSI_RETRY),
    ("AttachVolume", "RequestTimeout", "", Kind.UNSURE, BOTOCORE),
    ("AttachVolume", "503", "", Kind.UNSURE, BOTOCORE),
    ("DetachVolume", "IncorrectState", "", Kind.DONE, CSI_DETACH),
    ("DetachVolume", "InvalidAttachment.NotFound", "", Kind.DONE, CSI_DETACH),
    ("DetachVolume", "InvalidVolume.NotFound", "", Kind.DONE, CSI_DETACH),
    ("DetachVolume", "InvalidInstanceID.NotFound", "", Kind.GONE, "inferred: the host is gone, look at the volume"),
    ("DetachVolume", "UnsupportedOperation", "", Kind.FINAL, "EC2 API reference, DetachVolume: managed volumes"),
    ("DescribeVolumes", "InvalidVolume.NotFound", "", Kind.GONE, "aws-ebs-csi-driver pkg/cloud/cloud.go, final"),
    ("DescribeVolumes", "SomethingNew", "", Kind.UNSURE, "aws-ebs-csi-driver: ignored while waiting, and polled on"),
    ("DescribeVolumes", "InvalidParameterValue", "", Kind.FINAL, "the request is wrong: it will not get better"),
    ("AttachVolume", "InvalidParameterValue", IN_USE, Kind.NAME_TAKEN, "cloud.go isAWSErrorBlockDeviceInUse"),
    ("AttachVolume", "InvalidParameterValue", "/dev/nonsense is not a device", Kind.FINAL, "the same"),
    ("CreateVolume", "InvalidParameterValue", IN_USE, Kind.FINAL, "device names are taken by attachments alone"),
    ("AttachVolume", "AttachmentLimitExceeded", "", Kind.FINAL, "aws-ebs-csi-driver: ResourceExhausted"),
    ("AttachVolume", "VolumeInUse", "", Kind.NOT_READY, "inferred: aws-ebs-csi-driver PR 2183"),
    ("AttachVolume", "IncorrectState", "", Kind.NOT_READY, "kubernetes#77389: it flaps to detaching"),
    ("AttachVolume", "IncorrectInstanceState", "", Kind.NOT_READY, "EC2 user guide: running or stopped"),
    ("AttachVolume", "InvalidVolume.ZoneMismatch", "", Kind.FINAL, "messages seen by users"),
    ("DeleteVolume", "VolumeInUse", "", Kind.NOT_READY, "EC2 API reference, DeleteVolume: available"),
    ("DeleteVolume", "InvalidVolume.NotFound", "", Kind.DONE, "aws-ebs-csi-driver DeleteDisk"),
    ("DeleteSnapshot", "InvalidSnapshot.NotFound", "", Kind.DONE, "aws-ebs-csi-driver DeleteSnapshot"),
    ("DeleteSnapshot", "InvalidSnapshot.InUse", "", Kind.FINAL, "EC2 error codes: an AMI uses it"),
    ("CreateVolume", "IncorrectState", "snapshot is pending", Kind.NOT_READY, "EC2 error codes"),
    ("CreateVolume", "InvalidSnapshot.NotFound", "", Kind.GONE, "EC2 error codes"),
    ("CopySnapshot", "ConcurrentSnapshotLimitExceeded", "", Kind.NOT_READY, "EC2 error codes"),
    ("StopInstances", "IncorrectInstanceState", "", Kind.NOT_READY, "EC2 error codes"),
    ("TerminateInstances", "InvalidInstanceID.NotFound", "", Kind.GONE, "just launched, reads that lag: not `DONE`"),
    ("DeleteParameter", "ParameterNotFound", "", Kind.DONE, "SSM DeleteParameter, errors"),
    ("GetParameter", "ParameterNotFound", "", Kind.GONE, "SSM GetParameter, errors"),
    ("PutParameter", "ParameterAlreadyExists", "", Kind.FINAL, "SSM PutParameter, errors"),
    ("AuthorizeSecurityGroupIngress", "InvalidPermission.Duplicate", "", Kind.DONE, "EC2 error codes"),
    ("AttachVolume", "UnauthorizedOperation", "", Kind.DENIED, "EC2 error codes"),
    ("DescribeVolumes", "UnauthorizedOperation", "", Kind.DENIED, "EC2 error codes"),
    ("PutParameter", "AccessDeniedException", "", Kind.DENIED, "SSM common errors"),
    ("AttachVolume", "AuthFailure", "", Kind.DENIED, "EC2 error codes"),
    ("AttachVolume", "ExpiredToken", "", Kind.DENIED, "STS common errors"),
    ("RunInstances", "InsufficientInstanceCapacity", "", Kind.FINAL, "EC2 error codes"),
]


@pytest.mark.parametrize(("action", "code", "message", "kind", "source"), TABLE, ids=[f"{r[0]}-{r[1]}" for r in TABLE])
def test_a_code_means_what_its_source_says(action: str, code: str, message: str, kind: Kind, source: str) -> None:
    assert classify(action, code, message) is kind, source


def test_an_unknown_answer_of_a_server_that_broke_leaves_open_whether_it_was_done() -> None:
    assert classify("CreateSnapshot", "Whatever", status=500) is Kind.UNSURE
    assert classify("CreateSnapshot", "Whatever", status=400) is Kind.FINAL


def test_no_code_has_two_meanings() -> None:
    seen: set[str] = set()
    for codes in ANYWHERE.values():
        assert not seen & codes
        seen |= codes


def test_nothing_is_called_done_that_only_looks_or_creates() -> None:
    assert all(action.startswith(("Detach", "Delete", "Deregister", "Authorize")) for action in DONE)


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        (Kind.RETRY, Unreachable),
        (Kind.UNSURE, Unreachable),
        (Kind.NOT_READY, NotReady),
        (Kind.NAME_TAKEN, NameTaken),
        (Kind.DENIED, Refused),
        (Kind.GONE, Failed),
        (Kind.FINAL, Failed),
    ],
)
def test_each_kind_has_its_family_of_errors(kind: Kind, family: type[TranscoderError]) -> None:
    error = translate("ec2", "AttachVolume", kind, "SomeCode", "in EC2's words")
    assert isinstance(error, family)
    assert "AttachVolume" in error.message
    assert "SomeCode" in error.message
    assert "in EC2's words" in error.message
    if isinstance(error, Failed):
        assert getattr(error, "code", "") == "SomeCode"


def test_a_denial_names_the_action_and_leaves_out_what_nobody_can_read() -> None:
    said = "You are not authorized to perform this operation. Encoded authorization failure message: 8sJ2kQp9"
    error = translate("ec2", "AttachVolume", Kind.DENIED, "UnauthorizedOperation", said)
    assert "ec2:AttachVolume is not permitted (UnauthorizedOperation): You are not authorized" in error.message
    assert "8sJ2kQp9" not in str(error)


def test_a_denial_names_the_action_that_ec2_names() -> None:
    said = "User: arn:aws:iam::1:user/ada is not authorized to perform: ec2:CreateTags on resource: *"
    error = translate("ec2", "RunInstances", Kind.DENIED, "UnauthorizedOperation", said)
    assert error.message.startswith("ec2:CreateTags is not permitted")


def test_what_ec2_was_too_busy_for_is_tried_again_by_the_same_command() -> None:
    error = translate("ec2", "AttachVolume", Kind.RETRY, "RequestLimitExceeded", "Request limit exceeded.")
    assert "run the same command again" in error.hint
