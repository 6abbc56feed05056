"""What a fault can be told: names, kinds, limits. Pure: the same check serves a command line and a program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from transcoder.errors import Refused

Value = str | int | float | bool
Kind = Literal["text", "integer", "number", "switch", "instance", "volume"]
"""An instance or a volume is a text that `lab.faults.site.Site` turns into an id."""
TRUE, FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True)
class Option:
    """An option of a fault.

    :param default: what it is when it is not given; None for nothing, which `check` leaves out.
    :param least: and ``most``: limits of a number, both included.
    :param subject: it names what the fault is done to. Two faults of a name with different subjects are two faults.
    """

    name: str
    help: str
    kind: Kind = "text"
    default: Value | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    subject: bool = False

    def describe(self) -> str:
        """Return the option for a list of them."""
        notes = [f"one of {', '.join(self.choices)}"] if self.choices else []
        notes += ["required"] if self.required else []
        notes += [f"default {self.default}"] if self.default not in (None, "", False) else []
        return f"--{self.name.replace('_', '-')}: {self.help}" + (f" ({'; '.join(notes)})" if notes else "")


INSTANCE = Option("instance", "a Name or an instance id; not needed when only one runs", "instance", "", subject=True)
VOLUME = Option("volume", "livepeer, geth or a volume id", "volume", required=True, subject=True)
LASTS = Option("lasts", "seconds after which it ends by itself; default: until it is switched off", "number", least=0.1)
"""Every fault has it."""


def check(fault: str, options: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Value]:
    """Return the options with their types and defaults.

    :param given: by name; text stands for every kind, and an empty text for an option that is not given.
    :raises Refused: with every reason: unknown, missing, of a wrong type, out of its limits.
    """
    known = {option.name: option for option in (*options, LASTS)}
    wanted = {name.replace("-", "_"): value for name, value in given.items() if value not in (None, "")}
    reasons = [
        f"{name}: no such option; there {'is' if len(known) == 1 else 'are'} {', '.join(known)}"
        for name in wanted
        if name not in known
    ]
    found: dict[str, Value] = {}
    for name, option in known.items():
        try:
            value = _read(option, wanted[name]) if name in wanted else option.default
        except ValueError as error:
            reasons.append(f"{name}: {error}")
            continue
        if value is not None:
            found[name] = value
        elif option.required:
            reasons.append(f"{name}: is missing; {option.help}")
    if reasons:
        raise Refused(f"the fault {fault} cannot be switched on like this", reasons=reasons, hint="invoke lab.faults")
    return found


def subject(options: Sequence[Option], chosen: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """Return what the fault is done to, as pairs of option and value."""
    return tuple((option.name, chosen[option.name]) for option in options if option.subject and option.name in chosen)


def _read(option: Option, value: Any) -> Value:
    if option.kind == "switch":
        return _read_switch(value)
    if option.kind in ("text", "instance", "volume"):
        return _read_text(option, value)
    number = _read_number(option, value)
    if option.least is not None and number < option.least:
        raise ValueError(f"{number} is less than {option.least:g}")
    if option.most is not None and number > option.most:
        raise ValueError(f"{number} is more than {option.most:g}")
    return number


def _read_text(option: Option, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    if option.choices and value not in option.choices:
        raise ValueError(f"{value!r} is not one of {', '.join(option.choices)}")
    return value


def _read_number(option: Option, value: Any) -> int | float:
    whole = option.kind == "integer"
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
        if not math.isfinite(number) or (whole and number != int(number)):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not {'a whole number' if whole else 'a number'}") from None
    return int(number) if whole else number


def _read_switch(value: Any) -> bool:
    text = str(value).lower()
    if text not in TRUE | FALSE:
        raise ValueError(f"{value!r} is neither yes nor no")
    return text in TRUE
