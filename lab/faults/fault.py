"""What every fault looks like, and what it may touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lab.faults.options import Option, Value
from lab.faults.site import Site

Options = Mapping[str, Value]


@dataclass(frozen=True)
class Effect:
    """What switching a fault on has done: in words, and what `Fault.off` needs to take it back."""

    said: str
    memory: Any = None
    done: bool = False
    """There is nothing to take back: it was over when it had happened."""


class Fault(Protocol):
    """A module of this package.

    A module may also have ``over(site, options, memory) -> bool``: the fault has ended without being switched off.
    """

    SUMMARY: str
    OPTIONS: Sequence[Option]

    def on(self, site: Site, options: Options) -> Effect:
        """Do it.

        :param options: checked, see `lab.faults.options.check`.
        :raises TranscoderError: nothing was done.
        """

    def off(self, site: Site, options: Options, memory: Any) -> str:
        """Take it back, whatever has happened since; return in words what was done.

        :raises TranscoderError: it cannot be taken back now; the hint says what to do first.
        """


@dataclass(frozen=True)
class Active:
    """A fault that is on. ``since`` in Unix seconds."""

    name: str
    options: Options
    since: float
    said: str
    memory: Any = field(default=None, repr=False, compare=False)
