"""The way into moto: methods of its models are wrapped in place, and put back.

moto's models are live objects of this process. Wrapping the models' methods, not the HTTP handlers, also covers
CloudFormation and Auto Scaling, which call the same methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.exceptions import ServiceException
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends

ACCOUNT_ID: str = DEFAULT_ACCOUNT_ID
API_ERRORS: tuple[type[Exception], ...] = (ServiceException,)
"""What a wrapped method raises to answer with an AWS error code."""


def ec2_error(code: str, message: str) -> Exception:
    """Return the exception that moto turns into EC2's error answer with this code."""
    error: Exception = EC2ClientError(code, message)
    return error


def ec2_backend(region: str) -> Any:
    """Return moto's live EC2 of a region: ``.volumes``, ``.reservations``, ``.amis``, ``.snapshots``, ..."""
    return ec2_backends[ACCOUNT_ID][region]


class Hooks:
    """Changes to moto's classes and modules that can be taken back, newest first."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set ``owner.name`` to ``value``."""
        if name in vars(owner):
            original = vars(owner)[name]
            self._undo.append(lambda: setattr(owner, name, original))
        else:
            self._undo.append(lambda: delattr(owner, name))
        setattr(owner, name, value)

    def wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        """Let ``around(original, *arguments)`` run in place of ``owner.name(*arguments)``."""
        original = getattr(owner, name)

        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            return around(original, *arguments, **keywords)

        self.replace(owner, name, wrapper)

    def undo(self) -> None:
        """Put every original back."""
        while self._undo:
            self._undo.pop()()
