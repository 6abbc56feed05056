"""Calls of EC2 and SSM: clients, throttling, lost answers, pages, and EC2's words turned into our errors.

botocore's own retries are switched off. Its `standard` mode counts attempts and not seconds, and repeats a
CreateSnapshot whose answer was lost as readily as a look. Its `adaptive` mode slows down all that a client sends: a
throttled Describe would hold back the AttachVolume after it, while a node is down, though EC2 throttles each action by
itself; and it waits for its tokens without a deadline. aws-ebs-csi-driver has a retryer for each mutating action for
that reason. Here every call has its own: growing pauses with full jitter, at most `ATTEMPTS`, in a budget of seconds.
"""

from __future__ import annotations

import random
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ParamValidationError,
    ProfileNotFound,
    ProxyConnectionError,
)
from botocore.parsers import ResponseParserError

from transcoder.aws_errors import AGAIN, Kind, LostAnswer, classify, denial_text, is_read, translate
from transcoder.aws_shapes import Json
from transcoder.errors import Failed, Refused, TranscoderError, Unreachable
from transcoder.settings import Settings
from transcoder.world import Clock, SystemClock

T = TypeVar("T")

ATTEMPTS = 50
"""As many as aws-ebs-csi-driver makes; the budget ends most calls before."""
SILENT_ATTEMPTS = 4
"""For a service that does not answer at all: a lab that is down is no reason to wait for a minute."""
LOOK_BUDGET, WRITE_BUDGET = 20.0, 60.0
"""Seconds in which new attempts are begun. Looks have less: who polls asks again anyway (`World.wait`)."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds: the most that is slept after the first attempt, doubled after each, and the most of all."""
CONNECT_TIMEOUT, READ_TIMEOUT = 5, 30
"""Seconds for one attempt."""
FOUND_BUDGET = 10.0
"""Seconds to look for what a call may have made whose answer was lost: EC2's reads lag."""

NOT_SENT = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)
LOST = (ConnectionError, HTTPClientError, ResponseParserError)
"""Of botocore's connection errors, those that come before anything was sent, and those that may come after."""


def session(settings: Settings) -> boto3.session.Session:
    """Return a boto3 session of the environment: its profile, or the static identity of its own EC2.

    :raises Refused: when this computer has no such profile.
    """
    aws = settings.aws
    if aws.access_key_id:
        return boto3.session.Session(
            aws_access_key_id=aws.access_key_id,
            aws_secret_access_key=aws.secret_access_key.get_secret_value(),
            region_name=aws.region,
        )
    try:
        return boto3.session.Session(profile_name=aws.profile or None, region_name=aws.region)
    except ProfileNotFound as error:
        raise Refused(str(error), hint=f"aws.profile in {settings.path}") from error


def connector(settings: Settings) -> Callable[[str], Any]:
    """Return what makes a boto3 client of a service of the environment, each once. Safe to use from several threads."""
    opened, clients, making = session(settings), dict[str, Any](), threading.Lock()
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        user_agent_extra=user_agent(sys.argv),
    )

    def connect(service: str) -> Any:
        with making:
            if service not in clients:
                endpoint = settings.aws.endpoint_url or None
                clients[service] = opened.client(service, endpoint_url=endpoint, config=config)
            return clients[service]

    return connect


def user_agent(command: Sequence[str]) -> str:
    """Return what this program says of itself with every call, and so in CloudTrail: its name, and the task.

    :param command: the command line; of it nothing but the names of program and task is used.
    """
    program = Path(command[0]).name if command else ""
    task = next((word for word in command[1:] if not word.startswith("-")), "")
    named = program in ("fab", "invoke") and re.fullmatch(r"[a-z.-]+", task)
    return f"livepeer-transcoder-ops task/{program}.{task}" if named else "livepeer-transcoder-ops"


@dataclass(frozen=True)
class Trouble:
    """An attempt that did not succeed. ``code`` is empty when there was no answer."""

    kind: Kind
    code: str
    message: str
    cause: Exception


class Calls:
    """Calls of one environment's EC2 and SSM; nothing is cached. Safe to use from several threads.

    :param connect: returns the boto3 client of a service.
    :param jitter: returns a number from 0 to 1.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        connect: Callable[[str], Any] | None = None,
        clock: Clock | None = None,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        self._settings = settings
        self._connect = connect or connector(settings)
        self.clock = clock or SystemClock()
        self._jitter = jitter or random.SystemRandom().random

    def call(self, service: str, operation: str, **request: Any) -> Json:
        """Make a call; return the reply, which is empty when what was asked for was so already (`Kind.DONE`).

        It is repeated though it may have been done: for one that only looks, carries a token, or would change nothing
        or be refused the second time.

        :raises Unreachable: no answer, or throttled, until the budget was used up.
        :raises Refused: not permitted.
        :raises NotReady: not in the state that the thing is in now.
        :raises NameTaken: the device name is in use.
        :raises Failed: EC2 says no; the error has its ``code``.
        """
        answer = self._send(service, operation, request, repeat=True)
        if isinstance(answer, Trouble):
            return self._outcome(service, operation, answer)
        return answer

    def call_once(self, service: str, operation: str, **request: Any) -> Json:
        """Make a call that must not be done twice, as `call` does; only when it was turned away it is sent again.

        :raises LostAnswer: whether it was done is not known.
        """
        answer = self._send(service, operation, request, repeat=False)
        if isinstance(answer, Trouble) and answer.kind is Kind.UNSURE:
            why = f"{answer.code}: {answer.message}" if answer.code else answer.message
            action = action_of(operation)
            raise LostAnswer(f"{service}.{action}: whether it was done is not known: {why}", hint=AGAIN)
        if isinstance(answer, Trouble):
            return self._outcome(service, operation, answer)
        return answer

    def pages(self, operation: str, key: str, **request: Any) -> Iterator[Any]:
        """Yield the items under ``key`` of every page that an EC2 action answers."""
        token: dict[str, str] = {}
        while True:
            page = self.call("ec2", operation, **request, **token)
            yield from page[key]
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def make(self, operation: str, read: Callable[[Json], T], look: Callable[[], T | None], **request: Any) -> T:
        """Make an EC2 call that would make a second thing if it were repeated; after a lost answer look for the thing.

        :param read: turns the reply into what is returned.
        :param look: finds what the call may have made.
        :raises LostAnswer: there is nothing to be seen. It is not sent again: EC2's reads lag.
        """
        try:
            return read(self.call_once("ec2", operation, **request))
        except LostAnswer:
            if (found := self._found(look)) is None:
                raise
            return found

    def denial(self, action: str, arguments: Json) -> str:
        """Send an EC2 action with ``DryRun``; return why it is not permitted, or nothing.

        EC2 answers ``DryRunOperation`` to who has the permission and ``UnauthorizedOperation`` to who has not (EC2 API
        reference, DryRun of every action). Whatever else it says - that a volume is in use, for one - is about the
        state of things, which the plan is going to change first. SSM has no ``DryRun``: its actions are not denied.

        :raises ValueError: neither service has such an action.
        :raises Failed: the call was made instead of tried.
        """
        if action not in self._actions("ec2"):
            if action not in self._actions("ssm"):
                raise ValueError(f"neither EC2 nor SSM has an action {action}")
            return ""
        answer = self._send("ec2", xform_name(action), {**arguments, "DryRun": True}, repeat=True)
        if not isinstance(answer, Trouble):
            raise Failed(f"{action} with DryRun was not a trial: {self._where()} has done it", hint="fab status")
        if answer.kind is Kind.DENIED:
            return denial_text("ec2", action, answer.code, answer.message)
        if answer.kind in (Kind.RETRY, Kind.UNSURE):
            raise self._error("ec2", xform_name(action), answer) from answer.cause
        return ""

    def _actions(self, service: str) -> set[str]:
        return set(self._connect(service).meta.method_to_api_mapping.values())

    def _found(self, look: Callable[[], T | None]) -> T | None:
        deadline = self.clock.monotonic() + FOUND_BUDGET
        while True:
            with suppress(Unreachable):  # still no answer: in the end the error of the call itself is raised
                if (found := look()) is not None:
                    return found
            if self.clock.monotonic() >= deadline:
                return None
            self.clock.sleep(1.0)

    def _send(self, service: str, operation: str, request: Json, *, repeat: bool) -> Json | Trouble:
        action, method = action_of(operation), getattr(self._connect(service), operation)
        looks = is_read(action) or bool(request.get("DryRun"))
        patience = Patience(self.clock, self._jitter, LOOK_BUDGET if looks else WRITE_BUDGET)
        while True:
            answer = attempt(method, action, request)
            if not isinstance(answer, Trouble) or answer.kind not in (Kind.RETRY, Kind.UNSURE):
                return answer
            if answer.kind is Kind.UNSURE and not repeat:
                return answer
            if not patience.another(answered=bool(answer.code)):
                return answer

    def _outcome(self, service: str, operation: str, trouble: Trouble) -> Json:
        if trouble.kind is Kind.DONE:
            return {}
        raise self._error(service, operation, trouble) from trouble.cause

    def _error(self, service: str, operation: str, trouble: Trouble) -> TranscoderError:
        action = action_of(operation)
        if trouble.code:
            return translate(service, action, trouble.kind, trouble.code, trouble.message)
        hint = f"is it up? environment {self._settings.name!r} ({self._settings.path}); then {AGAIN}"
        return Unreachable(f"{service}.{action}: no answer from {self._where()}: {trouble.message}", hint=hint)

    def _where(self) -> str:
        return self._settings.aws.endpoint_url or f"AWS in {self._settings.aws.region}"


class Patience:
    """How long one call is tried: `another` sleeps before the next attempt, or says that there is none."""

    def __init__(self, clock: Clock, jitter: Callable[[], float], budget: float) -> None:
        self._clock, self._jitter = clock, jitter
        self._deadline = clock.monotonic() + budget
        self._attempts = self._silent = 0

    def another(self, *, answered: bool) -> bool:
        """Note that an attempt has failed; sleep and return True when there is to be another one."""
        self._attempts += 1
        self._silent += not answered
        if self._attempts >= ATTEMPTS or self._silent >= SILENT_ATTEMPTS:
            return False
        pause = self._jitter() * min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self._attempts - 1))
        if self._clock.monotonic() + pause > self._deadline:
            return False
        self._clock.sleep(pause)
        return True


def action_of(operation: str) -> str:
    """Return EC2's own name of a boto3 method: ``attach_volume`` -> ``AttachVolume``."""
    return "".join(word.capitalize() for word in operation.split("_"))


def attempt(method: Callable[..., Json], action: str, request: Json) -> Json | Trouble:
    """Make a call once.

    :raises Refused: there are no credentials to make it with.
    """
    try:
        return method(**request)
    except ClientError as error:
        said = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code, message = str(said.get("Code", "") or status), str(said.get("Message", ""))
        return Trouble(classify(action, code, message, status), code, message, error)
    except NOT_SENT as error:
        return Trouble(Kind.RETRY, "", str(error), error)
    except LOST as error:
        return Trouble(Kind.UNSURE, "", str(error), error)
    except ParamValidationError:
        raise  # the program's own mistake
    except BotoCoreError as error:
        raise Refused(f"{action}: {error}", hint="check the credentials of the environment (aws.profile)") from error
