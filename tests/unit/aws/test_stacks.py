"""CloudFormation's answers in our words: pages, what is not there, and what is sent with a token of its own."""

from __future__ import annotations

import pytest

from tests.unit.aws.scripted import Answer, Rig, error, lost
from transcoder.errors import Failed, Refused
from transcoder.stacks import Change

STACK = {"StackId": "arn:1", "StackName": "transcoder-lab", "StackStatus": "CREATE_COMPLETE"}


def event(number: int, status: str = "CREATE_COMPLETE", reason: str = "") -> dict[str, str]:
    told = {"EventId": f"e{number}", "LogicalResourceId": "Topic", "ResourceType": "AWS::SNS::Topic"}
    return {**told, "ResourceStatus": status, **({"ResourceStatusReason": reason} if reason else {})}


def change(name: str, replacement: str = "") -> dict[str, object]:
    told = {"Action": "Modify", "LogicalResourceId": name, "ResourceType": "AWS::SNS::Topic"}
    return {"Type": "Resource", "ResourceChange": {**told, **({"Replacement": replacement} if replacement else {})}}


def test_a_stack_that_does_not_exist_is_none_and_no_error() -> None:
    rig = Rig(describe_stacks=[error("ValidationError", "Stack with id transcoder-lab does not exist")])
    assert rig.aws.stacks().find_stack("transcoder-lab") is None


def test_another_validation_error_is_one() -> None:
    rig = Rig(describe_stacks=[error("ValidationError", "1 validation error detected")])
    with pytest.raises(Failed, match="1 validation error detected"):
        rig.aws.stacks().find_stack("transcoder-lab")


def test_a_stack_has_its_tags_and_its_reason() -> None:
    tags = [{"Key": "transcoder:environment", "Value": "lab"}]
    rig = Rig(describe_stacks=[{"Stacks": [{**STACK, "StackStatusReason": "because", "Tags": tags}]}])
    found = rig.aws.stacks().find_stack("transcoder-lab")
    assert found is not None
    assert (found.reason, found.tags, found.changing) == ("because", {"transcoder:environment": "lab"}, False)


def test_all_pages_of_a_change_set_are_read() -> None:
    first = {"Status": "CREATE_COMPLETE", "Changes": [change("A", "True")], "NextToken": "2"}
    rig = Rig(describe_change_set=[first, {"Status": "CREATE_COMPLETE", "Changes": [change("B", "False")]}])
    found = rig.aws.stacks().proposal("arn:1", "set")
    assert found.changes == (
        Change("Modify", "A", "AWS::SNS::Topic", True),
        Change("Modify", "B", "AWS::SNS::Topic", False),
    )
    assert rig.client.request("describe_change_set")["NextToken"] == "2"


@pytest.mark.parametrize(
    "reason",
    [
        "The submitted information didn't contain changes. Submit different information to create a change set.",
        "No updates are to be performed.",
    ],
)
def test_a_change_set_without_changes_is_empty_and_no_failure(reason: str) -> None:
    rig = Rig(describe_change_set=[{"Status": "FAILED", "StatusReason": reason}])
    found = rig.aws.stacks().proposal("arn:1", "set")
    assert (found.ready, found.empty, found.changes) == (True, True, ())


def test_events_come_oldest_first_and_only_those_after_the_last_one_seen() -> None:
    pages: list[Answer] = [
        {"StackEvents": [event(5), event(4, "CREATE_FAILED", "no")], "NextToken": "2"},
        {"StackEvents": [event(3), event(2), event(1)]},
    ]
    rig = Rig(describe_stack_events=pages)
    found = rig.aws.stacks().stack_events("arn:1", "e2")
    assert [(each.id, each.status, each.reason) for each in found] == [
        ("e3", "CREATE_COMPLETE", ""),
        ("e4", "CREATE_FAILED", "no"),
        ("e5", "CREATE_COMPLETE", ""),
    ]


def test_what_changes_something_carries_a_token_and_is_sent_again_after_a_lost_answer() -> None:
    rig = Rig(
        create_change_set=[lost(), {"Id": "arn:set", "StackId": "arn:1"}],
        execute_change_set=[lost(), {}],
        delete_stack=[lost(), {}],
    )
    stacks = rig.aws.stacks()
    assert stacks.propose("transcoder-lab", "set", "{}", {"a": "b"}, new=True) == "arn:1"
    stacks.carry_out("arn:1", "set")
    stacks.end_stack("arn:1", "token")
    assert rig.client.request("create_change_set")["ClientToken"] == "set"
    assert rig.client.request("create_change_set")["ChangeSetType"] == "CREATE"
    assert rig.client.request("create_change_set")["Tags"] == [{"Key": "a", "Value": "b"}]
    assert rig.client.request("execute_change_set")["ClientRequestToken"] == "set"
    assert rig.client.request("delete_stack")["ClientRequestToken"] == "token"
    assert [rig.client.count(name) for name in ("create_change_set", "execute_change_set", "delete_stack")] == [2, 2, 2]


def test_a_missing_permission_is_named() -> None:
    words = "User: arn:aws:iam::1:user/ada is not authorized to perform: cloudformation:CreateChangeSet on resource: x"
    rig = Rig(create_change_set=[error("AccessDenied", words, 403)])
    with pytest.raises(Refused, match="cloudformation:CreateChangeSet is not permitted"):
        rig.aws.stacks().propose("transcoder-lab", "set", "{}", {}, new=False)
