"""`fab verify-keys`: are the backups there, whole, and of the key that the node runs with? Writes nothing but notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transcoder import proof, tags
from transcoder.actions.keys import note_verified
from transcoder.errors import Refused, TranscoderError
from transcoder.facts import bundle
from transcoder.layout import LIVEPEER
from transcoder.recipes.backup_keys import own_files
from transcoder.recipes.key_facts import KeyMachine, Stored, disagreements, look_at_machine, look_at_store
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.secret import Secret
from transcoder.world import World


@dataclass(frozen=True)
class Checked:
    """What was found in one store. No ``problems``: the backup is good. ``proven``: the passphrase opens it."""

    store: str
    address: str
    version: str
    created: str
    proven: bool
    compared: bool
    """Whether it was compared with the key on the node's machine."""
    problems: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {**asdict(self), "good": not self.problems}


def verify(world: World, node: str, kinds: Sequence[str], address: str, passphrase: Secret | None) -> list[Checked]:
    """Check the backups of a node's key in these stores, and with a passphrase that it opens them.

    :raises Refused: when nobody says which key.
    """
    facts = observe_node(world, node, even_gone=True)
    machine = _machine(world, facts)
    wanted = address.lower() or _address(world, facts, machine)
    return [_checked(world, kind, wanted, machine, passphrase) for kind in kinds]


def _machine(world: World, node: NodeFacts) -> KeyMachine | None:
    """Look at the node's machine where it has one that runs; a backup can be verified without."""
    instance = node.carrier
    return look_at_machine(world, instance) if instance is not None and instance.state == "running" else None


def _address(world: World, node: NodeFacts, machine: KeyMachine | None) -> str:
    said = {
        "livepeer.address": world.settings.livepeer.address.lower(),
        "the marker": machine.marker.address if machine and machine.marker else "",
        "the volume's tag": node.livepeer.tags.get(tags.ADDRESS, "") if node.livepeer else "",
    }
    reasons = disagreements(said)
    found = next((each for each in said.values() if each), "")
    if reasons or not found:
        raise Refused(
            f"which key of node {node.name}?", reasons=reasons or ["nobody says"], hint="--address, or invoke keys"
        )
    return found


def _checked(world: World, kind: str, address: str, machine: KeyMachine | None, passphrase: Secret | None) -> Checked:
    try:
        stored = look_at_store(world, kind, address)
    except TranscoderError as error:
        return Checked(kind, address, "", "", False, False, (error.message,))
    problems = _problems(stored, address, machine)
    proven = False
    if stored.found is not None and passphrase is not None:
        refused = _disproved(stored, passphrase)
        problems, proven = [*problems, *refused], not refused
    compared = machine is not None and machine.mounted and bool(machine.keys)
    if stored.found is not None and not problems:
        note_verified(world, stored.kind, address, stored.version, proven=proven)
    created = stored.found.created if stored.found else ""
    return Checked(stored.kind, address, stored.version, created, proven, compared, tuple(problems))


def _problems(stored: Stored, address: str, machine: KeyMachine | None) -> list[str]:
    if stored.problem:
        return [stored.problem]
    if stored.found is None:
        return [f"{stored.where} has no backup of {address}: fab backup-keys"]
    if stored.found.address != address:
        return [f"the backup is of {stored.found.address}"]
    if machine is None or not machine.mounted:
        return []
    if machine.problem:
        return [machine.problem]
    return _differences(stored, address, machine)


def _differences(stored: Stored, address: str, machine: KeyMachine) -> list[str]:
    kept = stored.found.digests if stored.found else {}
    problems = []
    if machine.addresses and address not in machine.addresses:
        problems.append(f"{LIVEPEER.mount} holds the key of {', '.join(machine.addresses)}, the backup is of {address}")
    for name, found in own_files(machine, address).items():
        if name != bundle.MARKER and kept.get(name) != found:
            how = "is not in the backup" if name not in kept else "differs from the backup"
            problems.append(f"{name} on {machine.instance.name} {how}: fab backup-keys")
    return problems


def _disproved(stored: Stored, passphrase: Secret) -> list[str]:
    """Return why the passphrase does not prove the backup; nothing when every key file of it opens."""
    reasons = []
    found = stored.found
    files = {name: found.files[bundle.KEY + name] for name in found.key_files} if found else {}
    for name, content in files.items():
        try:
            proof.prove(name, content, passphrase)
        except TranscoderError as error:
            reasons.append(error.message)
    return reasons
