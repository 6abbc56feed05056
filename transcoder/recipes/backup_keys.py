"""`fab backup-keys`: the node's key, its other identity files and its marker, into an encrypted store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from transcoder import tags
from transcoder.actions.keys import BackUp, TakeClaim
from transcoder.catalog.history import numbers
from transcoder.compatibility import layout_of
from transcoder.errors import Refused
from transcoder.facts import bundle
from transcoder.model import Instance
from transcoder.operate import Operation
from transcoder.recipes.key_facts import KeyMachine, Stored, disagreements, look_at_machine, look_at_store
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.settings import Settings
from transcoder.step import Plan, Skip
from transcoder.world import World


@dataclass(frozen=True)
class Request:
    """Back ``node``'s key up to ``store`` (empty: the environment's); ``database``: livepeer's database, too.

    ``source_lost``: the node that has the claim has the key no more, the operator says.
    """

    node: str
    store: str = ""
    database: bool = False
    source_lost: bool = False


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``began``: Unix seconds; a copy of the database from before is an old one."""

    settings: Settings
    request: Request
    node: NodeFacts
    machine: KeyMachine
    address: str
    stored: Stored | None
    began: float


def operation(request: Request) -> Operation:
    """Return the operation for `transcoder.operate`."""
    began: list[float] = []

    def make(world: World) -> Plan:
        began.append(world.clock.now())
        return plan(observe(world, request, began[0]))

    return Operation("fab backup-keys", request.node, make)


def observe(world: World, request: Request, began: float = 0.0) -> Observed:
    """Look at the node's machine and at the store.

    :raises Refused: when no running instance carries the node.
    """
    node = observe_node(world, request.node)
    machine = look_at_machine(world, running_carrier(node))
    address = machine.marker.address if machine.marker else ""
    stored = look_at_store(world, request.store, address) if address else None
    return Observed(world.settings, request, node, machine, address, stored, began)


def running_carrier(node: NodeFacts) -> Instance:
    """Return the instance that carries the node.

    :raises Refused: when there is none, or it does not run.
    """
    instance = node.carrier
    if instance is None:
        raise Refused(f"node {node.name} is not at any instance", hint=f"fab attach --node {node.name}")
    if instance.state != "running":
        raise Refused(f"{instance.name} ({instance.id}) is {instance.state}", hint="fab status")
    return instance


def plan(observed: Observed) -> Plan:
    """Return what is to be done: claim the key for the node, back it up.

    :raises Refused: when there is no sound key of the node's own address, or another node has the claim.
    """
    reasons = _reasons(observed)
    stored, request, node = observed.stored, observed.request, observed.node.name
    if reasons or stored is None:
        raise Refused(f"the key of node {node} is not backed up", reasons=reasons, hint=_hint(observed))
    title = f"back up the key {observed.address} of node {node} to {stored.where}"
    claimed = stored.claim is not None and stored.claim.is_of(observed.settings.name, node)
    database = database_name(observed.settings) if request.database else ""
    return Plan(
        title,
        (
            TakeClaim(
                store=stored.kind,
                address=observed.address,
                node=node,
                number=stored.number,
                instead_of=_holder(stored) if stored.claim and not claimed else "",
                skip=Skip.DONE if claimed else None,
            ),
            BackUp(
                instance=observed.machine.instance,
                store=stored.kind,
                address=observed.address,
                node=node,
                database=database,
                skip=Skip.DONE if _is_backed_up(observed, stored, database) else None,
            ),
        ),
        _notes(observed),
    )


def database_name(settings: Settings) -> str:
    """Return the name of the database of the environment's livepeer."""
    return layout_of(numbers(settings.livepeer.version))[1]


def own_files(observed: KeyMachine, address: str) -> dict[str, str]:
    """Return the digests of the files on a machine that belong to one key."""
    others = {bundle.KEY + name for name, of in observed.keys.items() if of != address}
    return {name: digest for name, digest in observed.digests.items() if name not in others}


def _is_backed_up(observed: Observed, stored: Stored, database: str) -> bool:
    if stored.found is None:
        return False
    kept = {n: d for n, d in stored.found.digests.items() if not n.startswith(bundle.DATABASE)}
    if kept != own_files(observed.machine, observed.address):
        return False
    fresh = datetime.fromisoformat(stored.found.created).timestamp() >= int(observed.began)
    return not database or (fresh and bundle.DATABASE + database in stored.found.files)


def _holder(stored: Stored) -> str:
    return f"node {stored.claim.node} of {stored.claim.environment}" if stored.claim else ""


def _reasons(observed: Observed) -> list[str]:
    machine, settings = observed.machine, observed.settings
    if not machine.mounted:
        return [f"/d1 is not mounted on {machine.instance.name}"]
    if machine.problem:
        return [machine.problem]
    if not observed.address:
        return ["the volume's marker has no address: there is no key yet"]
    tag = observed.node.livepeer.tags.get(tags.ADDRESS, "") if observed.node.livepeer else ""
    said = {"the environment": settings.livepeer.address, "the marker": observed.address, "the volume's tag": tag}
    reasons = disagreements(said)
    if observed.address not in machine.addresses:
        found = ", ".join(machine.addresses) or "no key at all"
        reasons.append(f"the marker says {observed.address}, the keystore has {found}")
    if observed.request.database and database_name(settings) not in machine.databases:
        reasons.append(f"there is no database {database_name(settings)} beside the keystore")
    return reasons + _store_reasons(observed)


def _store_reasons(observed: Observed) -> list[str]:
    stored, reasons = observed.stored, []
    if stored is None:
        return []
    own = stored.claim is None or stored.claim.is_of(observed.settings.name, observed.node.name)
    if not own and not observed.request.source_lost:
        reasons.append(f"in {stored.where} the key belongs to {_holder(stored)}: two nodes with one key, or it moved")
    if observed.request.database and stored.largest < 65536:
        reasons.append(
            f"{stored.where} takes {stored.largest} bytes, a database has more: --store age, or secrets-manager up "
            "to 64 KiB"
        )
    return reasons


def _hint(observed: Observed) -> str:
    if observed.machine.mounted and not observed.address and not observed.machine.problem:
        return f"fab create-key --node {observed.node.name}, or fab restore-keys"
    if observed.stored is not None and observed.stored.claim is not None and not observed.request.source_lost:
        return "invoke keys; when the other one has the key no more: --source-lost"
    return "fab status"


def _notes(observed: Observed) -> tuple[str, ...]:
    others = [address for address in observed.machine.addresses if address != observed.address]
    if not others:
        return ()
    return (f"not backed up, for they are not the node's: {json.dumps(others)}",)
