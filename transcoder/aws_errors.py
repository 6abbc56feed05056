"""What EC2 and SSM mean by their error codes: one table, and the error that each kind becomes. Pure."""

from __future__ import annotations

import re
from enum import Enum

from transcoder import grants
from transcoder.errors import Failed, NameTaken, NotReady, Refused, TranscoderError, Unreachable

AGAIN = "run the same command again: it goes on where it stopped"


class Kind(Enum):
    """What to do about an answer that is no success."""

    RETRY = "turned away before anything was done: ask again, later each time"
    UNSURE = "it broke on the way: whether it was done is not known"
    DONE = "what was asked for is so already"
    NOT_READY = "not in the state that the thing is in now"
    NAME_TAKEN = "the device name is in use, or EC2 believes so"
    DENIED = "not permitted, or not with these credentials"
    GONE = "EC2 does not know the thing"
    FINAL = "no, and asking again changes nothing"


RETRY = frozenset(
    {"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException", "Unavailable"}
    | {"EC2ThrottledException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "SlowDown"}
    | {"BandwidthLimitExceeded", "TooManyUpdates", "SnapshotCreationPerVolumeRateExceeded", "429"}
)
"""Throttled (aws-ebs-csi-driver pkg/cloud/retry_manager.go, amazon.aws retries.py, botocore retries/standard.py).

``TooManyUpdates`` is SSM's; ``SnapshotCreationPerVolumeRateExceeded`` means at most one snapshot of a volume in 15 s.
"""
UNSURE = frozenset(
    {"ServiceUnavailable", "InternalError", "InternalFailure", "InternalServerError", "InternalServiceError"}
    | {"RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete", "500", "502", "503", "504"}
)
"""Answers of a server that broke (the same sources): a call that has no token may have been done all the same."""
DENIED = frozenset(
    {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthFailure", "InvalidClientTokenId"}
    | {"UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException", "RequestExpired", "OptInRequired"}
    | {"SignatureDoesNotMatch"}
)
NO_PERMISSION = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
"""Of `DENIED`, those that speak of a policy."""
DONE = {
    # aws-ebs-csi-driver pkg/cloud/cloud.go, DetachDisk
    "DetachVolume": frozenset({"IncorrectState", "InvalidAttachment.NotFound", "InvalidVolume.NotFound"}),
    "DeleteVolume": frozenset({"InvalidVolume.NotFound"}),
    "DeleteSnapshot": frozenset({"InvalidSnapshot.NotFound"}),
    "DeregisterImage": frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"}),
    "DeleteParameter": frozenset({"ParameterNotFound"}),
    "AuthorizeSecurityGroupIngress": frozenset({"InvalidPermission.Duplicate"}),
}
"""Action -> codes that say that it has been done before, by somebody else or by a call whose answer was lost."""
NOT_READY = frozenset(
    {"VolumeInUse", "IncorrectState", "IncorrectInstanceState"}
    | {"ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded"}
)
"""A volume that is not ``available`` yet, an instance still ``pending``, too many snapshots being made at the time."""
ANYWHERE = {Kind.RETRY: RETRY, Kind.DENIED: DENIED, Kind.NOT_READY: NOT_READY, Kind.UNSURE: UNSURE}
"""What codes mean whichever action answers them, where its own meaning (`DONE`) does not come first."""
WRONG_KEY = frozenset(
    {"InvalidKeyId", "DecryptionFailure", "EncryptionFailure", "NotFoundException", "DisabledException"}
    | {"KMSInvalidStateException", "KMSDisabledException", "KMSNotFoundException"}
)
"""The KMS key is not there, not enabled, or not one that this service can use (SSM's, Secrets Manager's and KMS's API
references). Asking again changes nothing, also for a look."""
WRONG_REQUEST = ("Invalid", "Malformed", "Missing", "Unknown", "Unsupported", "Validation", "DryRunOperation")
"""How codes begin that speak of the request itself."""


def is_read(action: str) -> bool:
    """Tell whether an action only looks, so that repeating it is harmless."""
    return action.startswith(("Describe", "Get", "List"))


def classify(action: str, code: str, message: str = "", status: int = 0) -> Kind:
    """Return what a code means.

    :param action: EC2's or SSM's own name, such as ``AttachVolume``.
    :param status: the HTTP status, where it is known; the server's own troubles begin at 500.
    """
    if code in DONE.get(action, ()):
        return Kind.DONE
    if action == "AttachVolume" and code == "InvalidParameterValue" and "already in use" in message:
        return Kind.NAME_TAKEN  # aws-ebs-csi-driver pkg/cloud/cloud.go, isAWSErrorBlockDeviceInUse
    for kind, codes in ANYWHERE.items():
        if code in codes:
            return kind
    if code in WRONG_KEY:
        return Kind.FINAL
    if code.endswith(("NotFound", "NotFoundException")):
        return Kind.GONE
    # aws-ebs-csi-driver ignores whatever a Describe answers while it waits, and asks again.
    broken = status >= 500 or (is_read(action) and not code.startswith(WRONG_REQUEST))
    return Kind.UNSURE if broken else Kind.FINAL


class Answered(Failed):
    """EC2 or SSM said no, with a ``code`` of its own."""

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class AnsweredNotReady(Answered, NotReady):
    """`NotReady`, with EC2's code."""


class AnsweredNameTaken(Answered, NameTaken):
    """`NameTaken`, with EC2's code."""


class LostAnswer(Unreachable):
    """Whether a call that must not be repeated blindly was done is not known: look first."""


def translate(service: str, action: str, kind: Kind, code: str, message: str) -> TranscoderError:
    """Return the error that an answer becomes."""
    if kind in (Kind.RETRY, Kind.UNSURE):
        return Unreachable(f"{action}: {service.upper()} is busy ({code}): {message}", hint=AGAIN)
    if kind is Kind.DENIED:
        return Refused(denial_text(service, action, code, message), hint=_remedy(service, action, code, message))
    text = f"{action}: {code}: {message}"
    if kind is Kind.NOT_READY:
        return AnsweredNotReady(text, code=code)
    if kind is Kind.NAME_TAKEN:
        return AnsweredNameTaken(text, code=code)
    return Answered(text, code=code)


def denial_text(service: str, action: str, code: str, message: str) -> str:
    """Return a denial in words: the action that is missing, and what EC2 says.

    The encoded part of EC2's message is left out: reading it needs a permission of its own. The action that EC2 names
    can be another one than was called: RunInstances with tags needs ``ec2:CreateTags``.
    """
    words = message.split(" Encoded authorization failure message:", maxsplit=1)[0].strip()
    missing = _missing(service, action, message)
    files = [f"templates/iam/{kind}.json" for kind in grants.granting(missing)] if code in NO_PERMISSION else []
    where = f"; granted by {' and '.join(files)}" if files else ""
    return f"{missing} is not permitted ({code}): {words}{where}"


def _missing(service: str, action: str, message: str) -> str:
    named = re.search(r"\bperform: ([a-z0-9-]+:[A-Za-z0-9]+)", message)
    return named[1] if named else f"{service}:{action}"


def _remedy(service: str, action: str, code: str, message: str) -> str:
    """Return what to do: which policy of this project to compare, where it is a policy that lacks something."""
    kinds = grants.granting(_missing(service, action, message)) if code in NO_PERMISSION else ()
    if not kinds:
        return f"check the credentials and their policy; then {AGAIN}"
    return f"compare the policy of these credentials with `invoke iam --policy {kinds[0]}`; then {AGAIN}"
