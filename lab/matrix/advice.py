"""What a command that failed tells to type next, read from its own words."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

SOURCE_LOST = "--source-lost"
_HINT = re.compile(r"^hint: (.+?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"(?<!leave )(--source-lost|--ignore-round|--force-detach[ =]vol-[0-9a-f]+)")
_LEFT_OUT = re.compile(r"leave (--[\w-]+) out")
_UNLOCK = re.compile(r"fab unlock(?:\s+--node\s+[\w-]+)?")
_SUDO = re.compile(r"`?(sudo [^`\n;,]+)`?")


@dataclass(frozen=True)
class Advice:
    """What to do.

    :param options: to add to the same ``fab migrate``, word by word.
    :param left_out: options to leave out.
    :param commands: to type on a machine first, as root: each a list of words.
    :param unlock: ``fab unlock`` first.
    """

    options: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    unlock: bool = False

    def applied(self, options: tuple[str, ...]) -> tuple[str, ...]:
        """Return the options to type, where ``options`` were typed before."""
        kept = tuple(option for option in options if option not in self.left_out)
        return (*kept, *(word for word in self.options if word not in kept))


def read_advice(said: str) -> Advice:
    """Return what the words of a command that failed tell to do; nothing of it means: the same command again.

    Options are taken wherever they are named, since a refusal names them with its reasons.
    """
    text, orders = " ".join(said.split()), hints(said)
    options = dict.fromkeys(_OPTION.findall(text))
    words = [word for option in options for word in re.split(r"[ =]", option)]
    commands = dict.fromkeys(match.strip() for order in orders for match in _SUDO.findall(order))
    return Advice(
        options=tuple(words),
        left_out=tuple(_LEFT_OUT.findall(text)),
        commands=tuple(tuple(shlex.split(command.removeprefix("sudo "))) for command in commands),
        unlock=any(_UNLOCK.search(order) for order in orders),
    )


def hints(said: str) -> tuple[str, ...]:
    """Return the hints, each on one line."""
    return tuple(" ".join(hint.split()) for hint in _HINT.findall(said))
