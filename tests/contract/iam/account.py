"""An AWS account of moto's with one user, whose policy moto checks before every call.

moto (5.2) compares actions alone. It takes every resource for ``*``, so that a statement about an ARN never matches,
and it has no values for conditions, so that a statement with one is a denial whatever its effect. So the policy that it
gets has the actions of ours, on ``*`` and without conditions; resources and conditions are the lab's business
(`lab.iam`), under which the rehearsals run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID, set_initial_no_auth_action_count
from moto.ec2.models import ec2_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from transcoder.aws_calls import Calls
from transcoder.aws_errors import NO_PERMISSION
from transcoder.settings import Settings

T = TypeVar("T")
ONCE = Config(retries={"total_max_attempts": 1})
IAMS_NAME = {"monitoring": "cloudwatch"}
EMPTY: Mapping[str, Any] = {
    "describe_images": {"Images": [{"RootDeviceName": "/dev/sda1"}]},
    "describe_launch_template_versions": {"LaunchTemplateVersions": []},
}
"""What an account without anything answers where moto refuses, so that the calls behind it are made, too."""


class Account:
    """The account, empty but for its user.

    ``asked`` has every action that was called for since `permit`, permitted or not.
    """

    def __init__(self) -> None:
        self._iam = boto3.client("iam", region_name="us-east-1")
        self._iam.create_user(UserName="operator")
        self._key = self._iam.create_access_key(UserName="operator")["AccessKey"]
        self._clients: dict[tuple[str, str], Any] = {}
        self.asked: set[str] = set()

    def permit(self, actions: set[str]) -> None:
        """Let the user call these actions and no others, in an account without anything in it."""
        statement = {"Effect": "Allow", "Action": sorted(actions), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._iam.put_user_policy(UserName="operator", PolicyName="one", PolicyDocument=policy)
        self.asked.clear()
        for backends in (ec2_backends, ssm_backends, secretsmanager_backends):
            backends[DEFAULT_ACCOUNT_ID].clear()

    def calls(self, settings: Settings) -> Calls:
        """Return what makes the calls of an environment as this user."""
        region = settings.aws.region
        return Calls(settings, connect=lambda service: Asking(self._client(service, region), self.asked), clock=Still())

    def _client(self, service: str, region: str) -> Any:
        if (service, region) not in self._clients:
            identity = {
                "aws_access_key_id": self._key["AccessKeyId"],
                "aws_secret_access_key": self._key["SecretAccessKey"],
            }
            self._clients[service, region] = boto3.client(service, region_name=region, config=ONCE, **identity)
        return self._clients[service, region]


class Asking:
    """A boto3 client that notes which actions are called."""

    def __init__(self, client: Any, asked: set[str]) -> None:
        self._client, self._asked = client, asked
        self.meta = client.meta

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        method = getattr(self._client, operation)
        service = self.meta.service_model.signing_name
        action = f"{IAMS_NAME.get(service, service)}:{self.meta.method_to_api_mapping[operation]}"

        def call(**request: Any) -> Any:
            self._asked.add(action)
            try:
                return method(**request)
            except ClientError as error:
                said = error.response["Error"]["Message"]
                if in_xml := re.search("<Code>AccessDenied</Code><Message>(.*)</Message>", said):
                    # moto words its refusals in XML, which is not what services of JSON speak.
                    denied = {"Code": "AccessDeniedException", "Message": in_xml[1]}
                    raise ClientError({"Error": denied}, operation) from error
                if error.response["Error"]["Code"] in NO_PERMISSION or operation not in EMPTY:
                    raise
                return EMPTY[operation]

        return call


class Still:
    """A clock for which waiting takes no time."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


@contextmanager
def an_account(setenv: Callable[[str, str], None]) -> Iterator[Account]:
    """Open an account; its policies count within `enforced` alone."""
    setenv("AWS_ACCESS_KEY_ID", "root")
    setenv("AWS_SECRET_ACCESS_KEY", "root")
    setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # 1300 of them, each time anew
    with mock_aws():
        yield Account()


def enforced(act: Callable[[], T]) -> T:
    """Do something with the policy counting from the first call on."""
    result: T = set_initial_no_auth_action_count(0)(act)()
    return result
