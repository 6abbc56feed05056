"""The steps of a plan as ``fab migrate --dry-run --json`` prints them. Nothing here knows which steps there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Roles:
    """Who is who in a migration: the instances by id. The node goes back and forth, the names of steps must not."""

    source: str
    target: str

    def of(self, instance_id: str) -> str:
        """Return ``source``, ``target``, or nothing for any other id."""
        return {self.source: "source", self.target: "target"}.get(instance_id, "")

    def named(self, key: str) -> str:
        """Return a step's key with the roles in place of the ids."""
        return key.replace(self.source, "source").replace(self.target, "target")

    def keyed(self, name: str) -> str:
        """Return the key that a name stands for in this direction: the inverse of `named`."""
        words = name.split(" ")
        return " ".join([words[0], *({"source": self.source, "target": self.target}.get(w, w) for w in words[1:])])


@dataclass(frozen=True)
class PlannedStep:
    """A step that has something to do.

    :param name: its key, with ``source`` and ``target`` for ids.
    :param machine: where it happens: ``source``, ``target``, or nothing.
    :param calls: the EC2 actions that it may make.
    :param before: names of all the steps that have ended when it begins.
    """

    name: str
    lane: str
    verb: str
    machine: str
    calls: tuple[str, ...] = ()
    before: frozenset[str] = frozenset()


def read_steps(document: Json, roles: Roles) -> tuple[PlannedStep, ...]:
    """Return the steps of a plan's JSON that have something to do, in its order."""
    steps = document["plan"]["steps"]
    ancestors = _ancestors(steps)
    return tuple(_step(step, roles, ancestors[step["key"]]) for step in steps if not step["skip"])


def _step(step: Json, roles: Roles, before: frozenset[str]) -> PlannedStep:
    verb = str(step["key"]).partition("/")[2].partition(" ")[0]
    return PlannedStep(
        name=roles.named(step["key"]),
        lane=step["lane"],
        verb=verb,
        machine=roles.of(_instance(step)),
        calls=tuple(step["calls"]),
        before=frozenset(roles.named(key) for key in before),
    )


def _instance(step: Json) -> str:
    place = step.get("place")
    where = step.get("instance") or (place.get("instance") if isinstance(place, Mapping) else "")
    return str(where or "")


def _ancestors(steps: Sequence[Json]) -> dict[str, frozenset[str]]:
    """Return, by key, the keys of all steps that come before a step: by its lane's order and by ``after``."""
    last: dict[str, str] = {}
    direct: dict[str, set[str]] = {}
    for step in steps:
        previous = last.get(step["lane"])
        direct[step["key"]] = {*step["after"], *([previous] if previous else [])}
        last[step["lane"]] = step["key"]
    found: dict[str, frozenset[str]] = {}

    def walk(key: str) -> frozenset[str]:
        if key not in found:
            found[key] = frozenset(direct[key]).union(*(walk(other) for other in direct[key]))
        return found[key]

    return {key: walk(key) for key in direct}
