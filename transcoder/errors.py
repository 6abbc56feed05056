"""Every error an operator can meet, in four families.

::

    TranscoderError
    ├── Refused        nothing was done                          exit 3
    │   └── BadSettings    an environment file is wrong          exit 3
    ├── Failed         a step failed; what is done, how to go on exit 4
    │   ├── NotReady       EC2 can't do it in the state it is in now     exit 4
    │   ├── NameTaken      the device name is in use at the instance     exit 4
    │   └── Interrupted    the operator ended it (Ctrl-C)                exit 4
    └── Unreachable    a machine or an API does not answer       exit 5

Anything else that escapes is a bug of this project and shows a traceback (exit 1).
Errors hold data (what is, what was wanted, the next command) and become text only when somebody prints them.
"""

from __future__ import annotations

from collections.abc import Sequence


class TranscoderError(Exception):
    """Root of the expected errors.

    :param message: what is, and what was wanted, in one sentence.
    :param hint: the next command to type, or what to change.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def lines(self) -> list[str]:
        """Return the text for a terminal, one line an item."""
        return [self.message, *([f"hint: {self.hint}"] if self.hint else [])]

    def __str__(self) -> str:
        return "\n".join(self.lines())


class Refused(TranscoderError):
    """Nothing was done, for one or more reasons; all of them are named (exit 3)."""

    exit_code = 3

    def __init__(self, message: str, *, reasons: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reasons = tuple(reasons)

    def lines(self) -> list[str]:
        """Return the message, then every reason, then the hint."""
        reasons = [f"  - {reason}" for reason in self.reasons]
        return [self.message, *reasons, *([f"hint: {self.hint}"] if self.hint else [])]


class BadSettings(Refused):
    """An environment file has a wrong key, type or value."""


class Failed(TranscoderError):
    """A step failed; the world may be half-way (exit 4).

    :param done: names of the steps that were done before, so that the text can say what stands.
    """

    exit_code = 4

    def __init__(self, message: str, *, done: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.done = tuple(done)

    def lines(self) -> list[str]:
        """Return the message, what had been done, and how to go on."""
        done = [f"done before it: {', '.join(self.done)}"] if self.done else []
        return [self.message, *done, *([f"hint: {self.hint}"] if self.hint else [])]


class NotReady(Failed):
    """EC2 can't do what was asked in the state that the thing is in now; asked again a little later it may.

    A volume that has not been let go of yet (VolumeInUse, IncorrectState), an instance that is still pending.
    """


class NameTaken(Failed):
    """The device name of an attachment is in use at that instance, or EC2 believes so: another name is to be tried."""


class Interrupted(Failed):
    """The operator ended it with Ctrl-C: every lane has ended the step it was in."""


class Unreachable(TranscoderError):
    """A machine or an API does not answer; trying again is safe (exit 5)."""

    exit_code = 5
