"""`fab restore-keys`: a key out of its store, onto the node's volume, where there is none. Never over another one."""

from __future__ import annotations

from dataclasses import dataclass

from transcoder import tags
from transcoder.actions.attachment import DetachVolume
from transcoder.actions.cloud import StopInstance
from transcoder.actions.keys import RestoreFile, TakeClaim, path_of
from transcoder.actions.volume import Mark, Place, is_tagged
from transcoder.errors import Failed, Refused
from transcoder.facts import bundle
from transcoder.facts.address import parse_address
from transcoder.layout import LIVEPEER
from transcoder.operate import Operation
from transcoder.recipes.backup_keys import running_carrier
from transcoder.recipes.key_facts import (
    KeyMachine,
    Rival,
    Stored,
    disagreements,
    find_rivals,
    look_at_machine,
    look_at_store,
)
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.settings import Settings
from transcoder.step import Plan, Skip, Step
from transcoder.world import World


@dataclass(frozen=True)
class Request:
    """Restore ``node``'s key from ``store`` (empty: the environment's), its newest version if no other is named.

    ``address``: which key, where neither the environment nor the volume says so. ``source_lost``: the other node with
    this key is lost: stop its machine through EC2, take its volume off, and take its claim over.
    """

    node: str
    store: str = ""
    address: str = ""
    version: str = ""
    database: bool = False
    source_lost: bool = False


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``machine`` is None before there is one; ``names``: what the store has."""

    settings: Settings
    request: Request
    node: NodeFacts
    machine: KeyMachine | None
    said: dict[str, str]
    stored: Stored | None
    rivals: tuple[Rival, ...]
    names: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address of the key that is meant; empty when nobody says so, or not all say the same."""
        named = {address for address in self.said.values() if address}
        return next(iter(named)) if len(named) == 1 else ""


def operation(request: Request) -> Operation:
    """Return the operation for `transcoder.operate`."""
    return Operation("fab restore-keys", request.node, lambda world: plan(observe(world, request)))


def observe(world: World, request: Request) -> Observed:
    """Look at the node's machine, the store, and everybody else who may have the key.

    :raises Refused: when no running instance carries the node.
    """
    node = observe_node(world, request.node)
    return _observed(world, request, node, look_at_machine(world, running_carrier(node)))


def check_before_launch(world: World, request: Request) -> None:
    """Refuse to launch a machine for a key that could not be restored onto it then.

    :raises Refused: with every reason that is known before there is a machine.
    """
    node = observe_node(world, request.node)
    observed = _observed(world, request, node, None)
    if reasons := _reasons(observed):
        problem = f"the key of node {request.node} could not be restored"
        raise Refused(problem, reasons=reasons, hint=_hint(observed))


def _observed(world: World, request: Request, node: NodeFacts, machine: KeyMachine | None) -> Observed:
    said = {
        "--address": _plain(request.address),
        "livepeer.address": _plain(world.settings.livepeer.address),
        "the volume's marker": machine.marker.address if machine and machine.marker else "",
        "the volume's tag": node.livepeer.tags.get(tags.ADDRESS, "") if node.livepeer else "",
    }
    look = Observed(world.settings, request, node, machine, said, None, ())
    if not look.address:
        known = world.keystore(request.store).names() if not any(said.values()) else ()
        return Observed(world.settings, request, node, machine, said, None, (), known)
    stored = look_at_store(world, request.store, look.address, request.version)
    rivals = find_rivals(world, node, look.address)
    return Observed(world.settings, request, node, machine, said, stored, rivals)


def _plain(address: str) -> str:
    if not address:
        return ""
    try:
        return parse_address("--address", address)
    except Failed as error:
        raise Refused(error.message, hint="0x and 40 hexadecimal digits") from error


def plan(observed: Observed) -> Plan:
    """Return what is to be done: fence the others off, claim, write the files (the key last), mark the volume.

    :raises Refused: with every reason.
    """
    reasons = [*_reasons(observed), *_machine_reasons(observed)]
    machine, stored, volume = observed.machine, observed.stored, observed.node.livepeer
    if reasons or machine is None or stored is None or stored.found is None or volume is None:
        raise Refused(f"no key is restored to node {observed.node.name}", reasons=reasons, hint=_hint(observed))
    when = f"version {stored.version}, backed up {stored.found.created} from node {stored.found.node}"
    return Plan(
        f"restore the key {observed.address} to node {observed.node.name} on {machine.instance.name}",
        (
            *_fence_steps(observed),
            _claim_step(observed, stored),
            *_file_steps(observed, machine, stored),
            _mark_step(observed, machine),
        ),
        (f"from {stored.where}: {when}",),
    )


def _fence_steps(observed: Observed) -> tuple[Step, ...]:
    """Stop machines that have the key, too, and take the volumes off that hold it: a machine may be started again."""
    steps: list[Step] = []
    for number, rival in enumerate(observed.rivals):
        if rival.instance is None:
            continue
        lane = "fence" if not number else f"fence-{number + 1}"
        if rival.running:
            budget = observed.settings.instance.stop_budget_seconds
            steps.append(StopInstance(lane=lane, instance=rival.instance, budget=budget))
        if rival.volume is not None:
            label = LIVEPEER.label
            steps.append(DetachVolume(lane=lane, volume=rival.volume, instance=rival.instance, label=label))
    return tuple(steps)


def _claim_step(observed: Observed, stored: Stored) -> TakeClaim:
    claim = stored.claim
    own = claim is not None and claim.is_of(observed.settings.name, observed.node.name)
    lanes = {step.lane: step.key for step in _fence_steps(observed)}
    return TakeClaim(
        store=stored.kind,
        address=observed.address,
        node=observed.node.name,
        number=stored.number,
        instead_of=f"node {claim.node} of {claim.environment}" if claim and not own else "",
        skip=Skip.DONE if own else None,
        after=tuple(lanes.values()),
    )


def wanted_files(observed: Observed) -> dict[str, str]:
    """Return the files that are to be on the machine, name and digest; the key files last: without them livepeer does
    not start, and then everything else is there."""
    found = observed.stored.found if observed.stored else None
    digests = found.digests if found else {}
    other = [name for name in digests if name == bundle.NODE_KEY]
    other += [name for name in digests if name.startswith(bundle.DATABASE) and observed.request.database]
    keys = sorted(name for name in digests if name.startswith(bundle.KEY))
    return {name: digests[name] for name in (*other, *keys)}


def _file_steps(observed: Observed, machine: KeyMachine, stored: Stored) -> tuple[Step, ...]:
    return tuple(
        RestoreFile(
            instance=machine.instance,
            store=stored.kind,
            address=observed.address,
            version=stored.version,
            name=name,
            digest=digest,
            skip=Skip.DONE if _on_machine(machine, name) == digest else None,
        )
        for name, digest in wanted_files(observed).items()
    )


def _on_machine(machine: KeyMachine, name: str) -> str:
    return machine.digests.get(name) or machine.databases.get(name.removeprefix(bundle.DATABASE), "")


def _mark_step(observed: Observed, machine: KeyMachine) -> Mark:
    volume, marker = observed.node.livepeer, machine.marker
    assert volume is not None  # noqa: S101 - refused before
    known = marker is not None and marker.address == observed.address
    known = known and is_tagged(volume, marker, observed.settings.name)
    place = Place(machine.instance, volume, LIVEPEER, observed.node.name)
    return Mark(place=place, address=observed.address, skip=Skip.DONE if known else None)


def _reasons(observed: Observed) -> list[str]:
    """Return what speaks against it whatever is on the machine."""
    if reasons := disagreements(observed.said):
        return reasons
    if not observed.address:
        known = sorted({name.partition("/")[0] for name in observed.names})
        return [f"which key? Nobody says: the store has {', '.join(known) or 'none'}"]
    return [*_backup_reasons(observed), *_elsewhere_reasons(observed)]


def _backup_reasons(observed: Observed) -> list[str]:
    stored = observed.stored
    assert stored is not None  # noqa: S101 - observed with the address
    if stored.problem:
        return [f"the backup in {stored.where} (version {stored.version}) is of no use: {stored.problem}"]
    if stored.found is None:
        version = f" of version {observed.request.version}" if observed.request.version else ""
        return [f"{stored.where} has no backup{version} of {observed.address}"]
    if stored.found.address != observed.address:
        return [f"the backup is of {stored.found.address}, the node is meant to be {observed.address}"]
    if observed.request.database and not any(n.startswith(bundle.DATABASE) for n in stored.found.files):
        return [f"the backup in {stored.where} (version {stored.version}) has no database"]
    return []


def _elsewhere_reasons(observed: Observed) -> list[str]:
    if observed.request.source_lost:
        foreign = [r for r in observed.rivals if r.running and r.environment != observed.settings.name]
        return [f"{rival.text}: only its own environment can stop it" for rival in foreign]
    reasons = [rival.text for rival in observed.rivals if rival.instance is not None]
    claim = observed.stored.claim if observed.stored else None
    if claim is not None and not claim.is_of(observed.settings.name, observed.node.name):
        reasons.append(
            f"the key is claimed for node {claim.node} of {claim.environment} since {claim.when} (by {claim.who})"
        )
    return reasons


def _machine_reasons(observed: Observed) -> list[str]:
    machine = observed.machine
    if machine is None:
        return []
    if not machine.mounted:
        return [f"{LIVEPEER.mount} is not mounted on {machine.instance.name}"]
    if machine.marker is None:
        return [f"{LIVEPEER.mount} has no marker: fab attach"]
    if machine.problem:
        return [f"what is in the keystore cannot be read: {machine.problem}"]
    return _files_in_the_way(observed, machine)


def _files_in_the_way(observed: Observed, machine: KeyMachine) -> list[str]:
    wanted, reasons = wanted_files(observed), []
    others = [address for address in machine.addresses if observed.address and address != observed.address]
    reasons += [f"the keystore holds the key of {other}, the backup is of {observed.address}" for other in others]
    for name in sorted(machine.keys):
        if (
            observed.address == machine.keys[name]
            and wanted
            and wanted.get(bundle.KEY + name) != _digest(machine, name)
        ):
            reasons.append(
                f"{name} holds the key of {machine.keys[name]} already, in another encryption than the backup of "
                f"{observed.address}: livepeer would have two files"
            )
    reasons += [
        f"{path_of(name)} is there already, with other content: it is another identity of livepeer 0.2"
        for name in wanted
        if name == bundle.NODE_KEY and _on_machine(machine, name) not in ("", wanted[name])
    ]
    return reasons + _database_in_the_way(observed, machine)


def _digest(machine: KeyMachine, name: str) -> str:
    return machine.digests[bundle.KEY + name]


def _database_in_the_way(observed: Observed, machine: KeyMachine) -> list[str]:
    wanted = {
        n.removeprefix(bundle.DATABASE): d for n, d in wanted_files(observed).items() if n.startswith(bundle.DATABASE)
    }
    there = [name for name, digest in wanted.items() if machine.databases.get(name, digest) != digest]
    return [f"there is a database {name} already: it is newer, or of another node" for name in there]


def _hint(observed: Observed) -> str:
    if observed.address and _elsewhere_reasons(observed):
        return "invoke keys; when the other machine is lost: --source-lost, which stops it through EC2"
    if not observed.address:
        return "--address, or livepeer.address in the environment"
    return "nothing was changed; fab status, invoke keys"
