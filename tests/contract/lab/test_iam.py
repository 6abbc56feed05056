"""A lab in which the policies decide: who bakes, who operates, a machine's role, root, and nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab import commands
from lab.iam.identities import POLICY, USERS
from lab.rehearsal import actions
from tests.contract.conftest import LATENCIES, REAL, free_port
from transcoder import settings as settings_module
from transcoder import tags
from transcoder.aws import Aws
from transcoder.aws_calls import Calls
from transcoder.errors import Failed, Refused
from transcoder.settings import ROOT, Settings
from transcoder.world import ApiCall, Lock, VolumeRequest

pytestmark = pytest.mark.skipif(REAL, reason="EC2 itself has users of its own")
ROLE = "livepeer-node"
HOLDER = Lock("ada", "here", 1, "2026-01-31T16:00:00+00:00", "fab attach")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Bring a lab without machines up in which the policies decide, and down again."""
    directory = tmp_path_factory.mktemp("policies")
    text = (ROOT / "environments" / "lab.toml").read_text(encoding="utf-8").replace("5620", str(free_port()))
    text = text.replace('machines = "uml"', 'machines = "none"').replace('latency = "fast"', 'latency = "test"')
    text = re.sub(r'\nname = "lab"', '\nname = "policies"', text)
    text = text.replace('\nkey_name = "lab"', f'\nkey_name = "lab"\ninstance_profile = "{ROLE}"', 1)
    own = f'iam = true\nstate_root = "{directory}/state"\ncache_directory = "{directory}/cache"\n'
    latencies = "".join(f"{name} = {seconds}\n" for name, seconds in LATENCIES.items())
    path = directory / "policies.toml"
    path.write_text(f"{text}{own}[lab.latencies.test]\n{latencies}", encoding="utf-8")
    loaded = settings_module.load(str(path))
    commands.up(loaded, lambda _: None)
    try:
        yield loaded
    finally:
        commands.down(loaded)


def client(settings: Settings, key: str, service: str = "ec2", **more: str) -> Any:
    """Return a boto3 client of who has an access key."""
    identity = {"aws_access_key_id": key, "aws_secret_access_key": "any", **more}
    where = {"region_name": settings.aws.region, "endpoint_url": settings.aws.endpoint_url}
    return boto3.client(service, **where, **identity, config=Config(retries={"total_max_attempts": 1}))


def cloud(settings: Settings, user: str) -> Aws:
    """Return EC2 as one of the users sees it."""
    own = settings.aws.model_copy(update={"access_key_id": USERS[user]})
    theirs = settings.model_copy(update={"aws": own})
    return Aws(theirs, Calls(theirs))


def volume(settings: Settings, token: str) -> VolumeRequest:
    return VolumeRequest("us-east-1a", 1, "gp2", True, token, {tags.ENVIRONMENT: settings.name})


def denied(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_an_operator_works_on_its_own_and_not_on_anothers(settings: Settings) -> None:
    aws, root = cloud(settings, "operator"), client(settings, "lab")
    made = aws.create_volume(volume(settings, "mine"))
    aws.tag(made.id, {tags.NODE: "tc001"})
    assert [found.tags[tags.NODE] for found in aws.volumes(ids=[made.id])] == ["tc001"]
    other = root.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    with pytest.raises(Refused, match=r"^ec2:DeleteVolume is not permitted .* templates/iam/operator\.json"):
        aws.delete_volume(other)
    assert [found["VolumeId"] for found in root.describe_volumes(VolumeIds=[other])["Volumes"]] == [other]


def test_a_trial_is_denied_as_the_call_would_be(settings: Settings) -> None:
    aws = cloud(settings, "operator")
    wanted = {"AvailabilityZone": "us-east-1a", "Size": 1}
    tagged = [{"ResourceType": "volume", "Tags": [{"Key": tags.ENVIRONMENT, "Value": settings.name}]}]
    assert aws.denial(ApiCall("CreateVolume", {**wanted, "TagSpecifications": tagged})) == ""
    assert aws.denial(ApiCall("CreateVolume", wanted)).startswith("ec2:CreateVolume is not permitted")


def test_locks_are_the_environments_own(settings: Settings) -> None:
    aws = cloud(settings, "operator")
    assert aws.take_lock("tc001", HOLDER) is None
    assert aws.lock_holders() == {"tc001": HOLDER}
    assert aws.free_lock("tc001") == HOLDER
    with pytest.raises(ClientError) as caught:
        client(settings, USERS["operator"], "ssm").get_parameter(Name="/transcoder/other/tc001/lock")
    assert denied(caught) == "AccessDeniedException"


def test_who_bakes_makes_no_address_and_who_operates_no_image(settings: Settings) -> None:
    with pytest.raises(Refused, match="ec2:AllocateAddress is not permitted"):
        cloud(settings, "bake").allocate_address({tags.ENVIRONMENT: settings.name})
    with pytest.raises(Refused, match="ec2:DeregisterImage is not permitted"):
        cloud(settings, "operator").deregister_image("ami-0123456789abcdef0")
    with pytest.raises(Refused, match=r"Describe(LaunchConfigurations|LaunchTemplateVersions) is not permitted"):
        cloud(settings, "operator").image_uses()


@pytest.mark.parametrize(("service", "call"), [("ec2", "describe_volumes"), ("ssm", "describe_parameters")])
def test_an_access_key_that_nobody_has_is_refused(settings: Settings, service: str, call: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(client(settings, "nobody", service), call)()
    assert denied(caught) in ("AuthFailure", "InvalidClientTokenId")


def test_a_machine_has_its_roles_policy(settings: Settings) -> None:
    role = client(settings, "lab", "iam").get_role(RoleName=ROLE)["Role"]["Arn"]
    taken = client(settings, "lab", "sts").assume_role(RoleArn=role, RoleSessionName="i-1")["Credentials"]
    machine = client(settings, taken["AccessKeyId"], aws_session_token=taken["SessionToken"])
    with pytest.raises(ClientError, match=f"assumed-role/{ROLE}/i-1 is not authorized to perform: ec2:") as caught:
        machine.describe_volumes()
    assert denied(caught) == "UnauthorizedOperation"


def test_a_policy_that_is_changed_counts_at_once(settings: Settings) -> None:
    iam, aws = client(settings, "lab", "iam"), cloud(settings, "operator")
    policy = iam.get_user_policy(UserName="operator", PolicyName=POLICY)["PolicyDocument"]
    less = {**policy, "Statement": [each for each in policy["Statement"] if each["Sid"] != "Look"]}
    iam.put_user_policy(UserName="operator", PolicyName=POLICY, PolicyDocument=json.dumps(less))
    try:
        with pytest.raises((Refused, Failed), match="ec2:DescribeVolumes is not permitted"):
            aws.volumes()
    finally:
        iam.put_user_policy(UserName="operator", PolicyName=POLICY, PolicyDocument=json.dumps(policy))
    aws.volumes()


def test_the_log_says_who_called(settings: Settings) -> None:
    cloud(settings, "bake").volumes()
    path: Path = commands.configuration_of(settings).state_directory / "calls.jsonl"
    assert {line["caller"] for line in actions.read(path)} >= {"bake", "root"}
