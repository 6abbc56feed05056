"""A fact that changed: since which version it is what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Version = tuple[int, int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """``value`` holds from ``since`` on, until the next entry. ``source`` says where that is known from."""

    since: Version
    value: T
    source: str


History = tuple[Entry[T], ...]
"""Entries, oldest first."""


def at(history: Sequence[Entry[T]], version: Version) -> T:
    """Return what holds for a version.

    :raises LookupError: for a version before the first entry.
    """
    for entry in reversed(history):
        if version >= entry.since:
            return entry.value
    raise LookupError(f"nothing is known of {shown(version)}: the first entry is of {shown(history[0].since)}")


def changes(history: Sequence[Entry[T]]) -> set[Version]:
    """Return the versions with which something changed."""
    return {entry.since for entry in history}


@dataclass(frozen=True)
class Span:
    """Versions from ``since`` on, up to but without ``until`` (none: it is still so)."""

    since: Version
    until: Version | None = None

    def __contains__(self, version: object) -> bool:
        return isinstance(version, tuple) and version >= self.since and (self.until is None or version < self.until)


def numbers(text: str) -> Version:
    """Return ``0.2.4`` or ``v0.2.4`` as numbers.

    :raises ValueError: for anything else.
    """
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a version like 1.8.27 or v0.9.1")
    return int(match[1]), int(match[2]), int(match[3])


def shown(version: Iterable[int]) -> str:
    """Return a version as text, without a ``v``."""
    return ".".join(str(part) for part in version)
