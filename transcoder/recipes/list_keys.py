"""`invoke keys`: every key: which node has it, which stores hold it, how old that is, verified when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transcoder import tags
from transcoder.actions.keys import backup_name, find_claim, find_note
from transcoder.errors import TranscoderError
from transcoder.layout import LIVEPEER
from transcoder.world import World


@dataclass(frozen=True)
class Held:
    """What one store has of a key. ``stored`` and ``verified`` are ISO 8601 texts, empty for never."""

    store: str
    version: str = ""
    stored: str = ""
    verified: str = ""
    proven: bool = False
    claimed_for: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Key:
    """A key and where it is. ``nodes``: the volumes that are tagged with it, as ``node of environment: volume``."""

    address: str
    nodes: tuple[str, ...]
    stores: tuple[Held, ...]
    problems: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)


def observe(world: World, kinds: Sequence[str]) -> tuple[Key, ...]:
    """Look at the tags of this environment's volumes and into these stores. No backup is read for it."""
    volumes = world.cloud.volumes(tags={tags.ROLE: LIVEPEER.role})
    own = [
        v for v in volumes if tags.ADDRESS in v.tags and tags.REPLACED_BY not in v.tags and tags.GONE_TO not in v.tags
    ]
    named: dict[str, list[str]] = {}
    for volume in own:
        where = f"{volume.tags.get(tags.NODE, '?')} of {volume.tags.get(tags.ENVIRONMENT, '?')}: {volume.id}"
        named.setdefault(volume.tags[tags.ADDRESS], []).append(where)
    names, broken = _names(world, kinds)
    stored = {name.partition("/")[0] for found in names.values() for name in found}
    return tuple(
        _key(world, address, tuple(named.get(address, ())), names, broken) for address in sorted({*named, *stored})
    )


def _names(world: World, kinds: Sequence[str]) -> tuple[dict[str, frozenset[str]], tuple[Held, ...]]:
    """Return what each store has, and those that do not say."""
    names, broken = {}, []
    for kind in kinds:
        try:
            names[kind] = frozenset(world.keystore(kind).names())
        except TranscoderError as error:
            broken.append(Held(kind, problem=error.message))
    return names, tuple(broken)


def _key(
    world: World,
    address: str,
    nodes: tuple[str, ...],
    names: dict[str, frozenset[str]],
    broken: tuple[Held, ...],
) -> Key:
    having = [kind for kind, found in names.items() if backup_name(address) in found]
    stores = (*(_held(world, kind, address) for kind in having), *broken)
    problems = [] if having or broken else ["no store has it: fab backup-keys"]
    if len(nodes) > 1:
        problems.append("two nodes have one key: they would send transactions with the same numbers")
    return Key(address, nodes, stores, tuple(problems))


def _held(world: World, kind: str, address: str) -> Held:
    try:
        store = world.keystore(kind)
        claim, _ = find_claim(store, address)
        note, newest = find_note(store, address), store.versions(backup_name(address))[-1]
    except TranscoderError as error:
        return Held(kind, problem=error.message)
    own = note if note is not None and note.version == newest.id else None
    claimed = f"{claim.node} of {claim.environment}" if claim else ""
    verified, proven = (own.verified, own.proven) if own else ("", False)
    return Held(kind, newest.id, newest.when, verified, proven, claimed)
