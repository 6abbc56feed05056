"""CloudFormation's stacks and change sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transcoder.aws_errors import Answered
from transcoder.aws_noun import Noun
from transcoder.aws_shapes import Json, read_tags, tag_list
from transcoder.stacks import Change, Proposal, Stack, StackEvent

SERVICE = "cloudformation"


class AwsStacks(Noun):
    """Implements `transcoder.stacks.Stacks`."""

    def find_stack(self, name: str) -> Stack | None:
        """Return the stack of a name or id; None where there is none."""
        try:
            reply = self._calls.call(SERVICE, "describe_stacks", StackName=name)
        except Answered as answer:
            if answer.code == "ValidationError" and "does not exist" in answer.message:
                return None
            raise
        return _stack(reply["Stacks"][0])

    def propose(self, stack: str, name: str, template: str, tags: Mapping[str, str], *, new: bool) -> str:
        """Make a change set; return the stack's id. Repeated: its token is its name."""
        reply = self._calls.call(
            SERVICE,
            "create_change_set",
            StackName=stack,
            ChangeSetName=name,
            ChangeSetType="CREATE" if new else "UPDATE",
            TemplateBody=template,
            Tags=tag_list(tags),
            ClientToken=name,
        )
        return str(reply["StackId"])

    def proposal(self, stack: str, name: str) -> Proposal:
        """Return a change set, all of its pages."""
        found: list[Change] = []
        request: dict[str, Any] = {"StackName": stack, "ChangeSetName": name}
        while True:
            reply = self._calls.call(SERVICE, "describe_change_set", **request)
            found += [_change(each["ResourceChange"]) for each in reply.get("Changes", []) if "ResourceChange" in each]
            if not reply.get("NextToken"):
                return Proposal(reply["Status"], reply.get("StatusReason", ""), tuple(found))
            request["NextToken"] = reply["NextToken"]

    def drop_proposal(self, stack: str, name: str) -> None:
        """Delete a change set. Repeated: it is gone."""
        self._calls.call(SERVICE, "delete_change_set", StackName=stack, ChangeSetName=name)

    def carry_out(self, stack: str, name: str) -> None:
        """Begin to do what a change set says. Repeated: its token is its name."""
        self._calls.call(SERVICE, "execute_change_set", StackName=stack, ChangeSetName=name, ClientRequestToken=name)

    def end_stack(self, stack: str, token: str) -> None:
        """Begin to delete a stack and all that is in it. Repeated: the token is the same."""
        self._calls.call(SERVICE, "delete_stack", StackName=stack, ClientRequestToken=token)

    def stack_events(self, stack: str, after: str = "") -> tuple[StackEvent, ...]:
        """Return events, oldest first; CloudFormation tells the newest first, a hundred a page."""
        found: list[StackEvent] = []
        request: dict[str, Any] = {"StackName": stack}
        while True:
            reply = self._calls.call(SERVICE, "describe_stack_events", **request)
            for each in reply["StackEvents"]:
                event = _event(each)
                if event.id == after:
                    return tuple(reversed(found))
                found.append(event)
            if not reply.get("NextToken"):
                return tuple(reversed(found))
            request["NextToken"] = reply["NextToken"]


def _stack(raw: Json) -> Stack:
    reason = raw.get("StackStatusReason", "")
    return Stack(raw["StackId"], raw["StackName"], raw["StackStatus"], reason, read_tags(raw))


def _change(raw: Json) -> Change:
    replaced = raw.get("Replacement") in ("True", "Conditional")
    return Change(raw["Action"], raw["LogicalResourceId"], raw["ResourceType"], replaced)


def _event(raw: Json) -> StackEvent:
    return StackEvent(
        raw["EventId"],
        raw["LogicalResourceId"],
        raw["ResourceType"],
        raw["ResourceStatus"],
        raw.get("ResourceStatusReason", ""),
    )
