"""What a policy says of a call: actions, resources and the conditions that the project's policies have. Pure.

After "Policy evaluation logic" and "IAM JSON policy elements" of the IAM user guide: an explicit denial wins, what no
statement allows is denied, all operators of a condition must hold, and of several values one must match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

ANY = "(any)"
"""The resource of a call whose resources the lab does not know: every statement about the action is about it."""
OPERATORS = ("StringEquals", "StringLike")
IF_EXISTS = "IfExists"

Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Need:
    """A permission that a call has need of: the action, on one resource, with what conditions may ask about it."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


class UnknownCondition(ValueError):
    """A policy has an operator that this does not know: nobody is to believe that it is checked."""


def check(policy: Mapping[str, Any]) -> None:
    """Look for what is not understood here.

    :raises UnknownCondition: an operator of a condition, or an element that turns a statement's meaning round.
    """
    for statement in statements(policy):
        for operator in statement.get("Condition", {}):
            if operator.removesuffix(IF_EXISTS) not in OPERATORS:
                raise UnknownCondition(f"the lab's IAM does not know the condition operator {operator!r}")
        if "NotResource" in statement:
            raise UnknownCondition("the lab's IAM does not know NotResource")


def statements(policy: Mapping[str, Any]) -> list[Statement]:
    """Return the statements of a policy; one alone may stand without a list."""
    found = policy["Statement"]
    return [found] if isinstance(found, Mapping) else list(found)


def allows(policies: Iterable[Mapping[str, Any]], need: Need) -> bool:
    """Tell whether the policies of somebody together allow what is needed."""
    matching = [each for policy in policies for each in statements(policy) if matches(each, need)]
    effects = {each["Effect"] for each in matching}
    return "Allow" in effects and "Deny" not in effects


def matches(statement: Statement, need: Need) -> bool:
    """Tell whether a statement is about this action on this resource, under these circumstances."""
    return (
        _names(statement, need.action)
        and (need.resource == ANY or any(like(pattern, need.resource) for pattern in listed(statement["Resource"])))
        and all(
            _holds(operator, key, listed(wanted), need.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _names(statement: Statement, action: str) -> bool:
    """Tell whether a statement is about an action; one with ``NotAction`` is about all but those that it names."""
    named = listed(statement["NotAction"] if "NotAction" in statement else statement["Action"])
    return any(like(pattern, action, case=False) for pattern in named) != ("NotAction" in statement)


def _holds(operator: str, key: str, wanted: list[str], context: Mapping[str, str]) -> bool:
    if key not in context:
        return operator.endswith(IF_EXISTS)
    if operator.startswith("StringLike"):
        return any(like(pattern, context[key]) for pattern in wanted)
    return context[key] in wanted


def listed(value: Any) -> list[str]:
    """Return the values of an element that may be one or a list."""
    return [value] if isinstance(value, str) else list(value)


def like(pattern: str, text: str, *, case: bool = True) -> bool:
    """Tell whether a text matches a pattern with ``*`` and ``?``; nothing else in it is special."""
    parts = ("." if each == "?" else ".*" if each == "*" else re.escape(each) for each in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL | (0 if case else re.IGNORECASE)) is not None
