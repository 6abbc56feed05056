"""The lab's IAM: what a policy says of a call, and what a call has need of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from lab.iam import guard
from lab.iam.identities import Identity
from lab.iam.needs import MADE, NAMED, Asked, is_known, needs
from lab.iam.policies import ANY, Need, UnknownCondition, allows, check, statements
from tests.unit.iam.test_policies import full
from transcoder import iam

ACCOUNT = "123456789012"
TAG = "transcoder:environment"
OWN, REQUEST = f"aws:ResourceTag/{TAG}", f"aws:RequestTag/{TAG}"
OF_OTHERS = dict.fromkeys(
    ("kms:ViaService", "kms:EncryptionContext:PARAMETER_ARN", "kms:EncryptionContext:SecretARN"),
    "AWS asks KMS in the caller's name; moto's KMS is not asked by its other services",
)
"""Condition keys that the lab has no values for, and why that is no gap in what it shows."""


def statement(
    action: str, resource: str = "*", effect: str = "Allow", condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {"Effect": effect, "Action": [action], "Resource": resource, "Condition": condition or {}}


def policy(*each: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(each)}


def asked(action: str, tags: Mapping[str, Mapping[str, str]] | None = None, **parameters: Any) -> Asked:
    service, _, name = action.rpartition(":")
    known = tags or {}
    return Asked(service or "ec2", name, parameters, "us-east-1", ACCOUNT, lambda i: known.get(i, {}))


def render(kind: str, store: str = "ssm") -> dict[str, Any]:
    return iam.render(kind, full(store), ACCOUNT)


def refused(kind: str, call: Asked) -> str:
    """Return what a user with this policy is told of a call; empty when it is permitted."""
    who = Identity(kind, f"arn:aws:iam::{ACCOUNT}:user/{kind}", (render(kind),))
    denied = guard.denial(who, call)
    return denied.message if denied else ""


# policies


def test_what_no_statement_allows_is_denied_and_a_denial_wins() -> None:
    need = Need("ec2:AttachVolume", "arn:aws:ec2:us-east-1:1:volume/vol-1")
    assert not allows([], need)
    assert not allows([policy(statement("ec2:DetachVolume"))], need)
    assert allows([policy(statement("ec2:AttachVolume"))], need)
    assert not allows([policy(statement("ec2:AttachVolume")), policy(statement("*", effect="Deny"))], need)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True),
        ("arn:aws:ec2:*:1:volume/*", True),
        ("arn:aws:ec2:us-east-1:1:volume/vol-?", True),
        ("arn:aws:ec2:*:1:instance/*", False),
        ("arn:aws:ec2:*:2:volume/*", False),
        ("arn.aws:ec2:*:1:volume/*", False),
    ],
)
def test_a_resource_is_compared_with_its_pattern(pattern: str, fits: bool) -> None:
    need = Need("ec2:AttachVolume", "arn:aws:ec2:us-east-1:1:volume/vol-1")
    assert allows([policy(statement("ec2:AttachVolume", pattern))], need) is fits


@pytest.mark.parametrize(
    ("operator", "context", "holds"),
    [
        ("StringEquals", {OWN: "lab"}, True),
        ("StringEquals", {OWN: "other"}, False),
        ("StringEquals", {}, False),
        ("StringEqualsIfExists", {OWN: "lab"}, True),
        ("StringEqualsIfExists", {OWN: "other"}, False),
        ("StringEqualsIfExists", {}, True),
        ("StringLike", {OWN: "labour"}, False),
    ],
)
def test_a_condition_counts(operator: str, context: Mapping[str, str], holds: bool) -> None:
    rule = policy(statement("ec2:DeleteVolume", condition={operator: {OWN: "lab"}}))
    assert allows([rule], Need("ec2:DeleteVolume", "*", context)) is holds


def test_a_condition_that_is_a_pattern_is_one() -> None:
    rule = policy(statement("kms:Decrypt", condition={"StringLike": {"kms:ViaService": "ec2.*.amazonaws.com"}}))
    assert allows([rule], Need("kms:Decrypt", ANY, {"kms:ViaService": "ec2.us-east-1.amazonaws.com"}))


def test_a_statement_may_be_about_all_other_actions() -> None:
    rules = policy(statement("*"), {"Effect": "Deny", "NotAction": ["ec2:AttachVolume"], "Resource": "*"})
    assert allows([rules], Need("ec2:AttachVolume"))
    assert not allows([rules], Need("ec2:DetachVolume"))


@pytest.mark.parametrize(
    "wrong",
    [
        statement("ec2:A", condition={"DateLessThan": {"aws:CurrentTime": "2030"}}),
        {"Effect": "Allow", "Action": "ec2:A", "NotResource": "*"},
    ],
)
def test_what_would_not_be_checked_is_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(UnknownCondition):
        check(policy(wrong))


def test_all_but_what_is_named_can_be_denied() -> None:
    rules = [
        policy({"Effect": "Allow", "Action": "*", "Resource": "*"}),
        policy({"Effect": "Deny", "NotAction": ["ec2:Describe*"], "Resource": "*"}),
    ]
    assert allows(rules, Need("ec2:DescribeVolumes", ANY))
    assert not allows(rules, Need("ec2:DetachVolume", ANY))


# the policies of the project


def every_statement() -> Iterable[Mapping[str, Any]]:
    for kind in iam.KINDS:
        for store in ("ssm", "secrets-manager"):
            yield from statements(render(kind, store))


def test_the_lab_has_a_value_for_every_condition_of_the_policies_or_says_why_not() -> None:
    for kind in iam.KINDS:
        check(render(kind))
    keys = {key for s in every_statement() for keys in s.get("Condition", {}).values() for key in keys}
    assert {key for key in keys if not is_known(key)} == set(OF_OTHERS)


def test_the_lab_knows_the_resources_of_every_ec2_action_that_is_granted_on_some_only() -> None:
    some = {a for s in every_statement() if s["Resource"] != "*" for a in s.get("Action", ()) if a.startswith("ec2:")}
    assert {action for action in some if action.removeprefix("ec2:") not in {*NAMED, *MADE}} == set()


def test_whoever_attaches_needs_the_volume_and_the_instance() -> None:
    mine, other = {TAG: full().name}, {TAG: "other"}
    call = {"VolumeId": "vol-1", "InstanceId": "i-1", "Device": "/dev/sdg"}
    assert not refused("operator", asked("AttachVolume", {"i-1": mine, "vol-1": mine}, **call))
    assert not refused("operator", asked("AttachVolume", {"i-1": mine}, **call)), "a volume made by hand"
    assert "volume/vol-1" in refused("operator", asked("AttachVolume", {"i-1": mine, "vol-1": other}, **call))
    assert "instance/i-1" in refused("operator", asked("AttachVolume", {"vol-1": mine}, **call))


@pytest.mark.parametrize("action", ["DeleteVolume", "CreateSnapshot"])
def test_what_is_anothers_is_not_touched(action: str) -> None:
    made = {"TagSpecifications": tagged("snapshot")} if action == "CreateSnapshot" else {}
    call = asked(action, {"vol-1": {TAG: full().name}}, VolumeId="vol-1", **made)
    assert not refused("operator", call)
    for tags in ({}, {"vol-1": {TAG: "other"}}):
        assert "volume/vol-1" in refused("operator", asked(action, tags, VolumeId="vol-1", **made))


def tagged(*kinds: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": TAG, "Value": full().name}]} for kind in kinds]


def test_what_is_made_without_the_tag_is_not_made() -> None:
    assert not refused("operator", asked("CreateVolume", TagSpecifications=tagged("volume")))
    assert "ec2:CreateVolume" in refused("operator", asked("CreateVolume"))
    assert not refused(
        "operator", asked("RunInstances", ImageId="ami-1", TagSpecifications=tagged("instance", "volume"))
    )
    untagged = asked("RunInstances", ImageId="ami-1", TagSpecifications=tagged("instance"))
    assert "volume/new" in refused("operator", untagged)


def test_tags_of_what_is_made_need_a_permission_of_their_own() -> None:
    call = asked("CreateVolume", TagSpecifications=tagged("volume"))
    assert [need.action for need in needs(call)] == ["ec2:CreateVolume", "ec2:CreateTags"]


def test_a_role_is_passed_where_an_instance_gets_one() -> None:
    own: dict[str, Any] = {"ImageId": "ami-1", "TagSpecifications": tagged("instance", "volume")}
    assert not refused("operator", asked("RunInstances", IamInstanceProfile={"Name": "node"}, **own))
    assert "iam:PassRole" in refused("operator", asked("RunInstances", IamInstanceProfile={"Name": "admin"}, **own))


@pytest.mark.parametrize(
    ("call", "permitted"),
    [
        (asked("ssm:GetParameter", Name="/transcoder/lab/tc001/lock"), True),
        (asked("ssm:GetParameter", Name="/transcoder/other/tc001/lock"), False),
        (asked("ssm:GetParametersByPath", Path="/transcoder/lab"), True),
        (asked("ssm:GetParametersByPath", Path="/transcoder"), False),
        (asked("ssm:DeleteParameter", Name="/livepeer/keys/0x1/backup"), False),
        (asked("autoscaling:DescribeAutoScalingGroups"), False),
        (asked("sts:GetCallerIdentity"), True),
    ],
)
def test_other_services_are_asked_by_name(call: Asked, permitted: bool) -> None:
    assert bool(refused("operator", call)) is not permitted


def test_a_version_of_a_parameter_is_that_parameter() -> None:
    (need,) = needs(asked("ssm:GetParameter", Name="/livepeer/keys/x:3"))
    assert need.resource == f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/livepeer/keys/x"


def test_a_machine_reads_its_environments_passphrases_and_neither_anothers_nor_a_backup_of_a_key() -> None:
    own = full().passphrase_path
    ssm, secrets = "ssm:GetParameter", "secretsmanager:GetSecretValue"
    assert refused("instance", asked(ssm, Name=f"/{own}/0xab")) == ""
    for name in ("/transcoder/passphrases/another/0xab", "/transcoder/keys/0xab/backup", f"/{own}"):
        assert f"perform: {ssm} on resource" in refused("instance", asked(ssm, Name=name))
        assert secrets in refused("instance", asked(secrets, SecretId=name.removeprefix("/")))
    assert refused("instance", asked("ssm:PutParameter", Name=f"/{own}/0xab"))


def test_a_refusal_has_the_words_of_aws() -> None:
    said = refused("bake", asked("AllocateAddress", TagSpecifications=tagged("elastic-ip")))
    assert said.startswith(
        "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/bake"
    )
    assert "is not authorized to perform: ec2:AllocateAddress on resource: arn:aws:ec2:" in said
    assert [guard.code_of(service) for service in ("ec2", "ssm", "sns")] == [
        *("UnauthorizedOperation", "AccessDeniedException", "AccessDenied"),
    ]


def test_policies_are_json_that_moto_takes() -> None:
    assert all(json.loads(json.dumps(render(kind))) == render(kind) for kind in iam.KINDS)
