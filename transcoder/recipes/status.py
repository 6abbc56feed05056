"""`fab status`: is it up, is it in sync, where is it, and what to type when it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from transcoder import guest, layout, shape, tags
from transcoder.actions.services import chain_state, livepeer_address, livepeer_round
from transcoder.errors import TranscoderError
from transcoder.facts import limits
from transcoder.facts.geth_rpc import ChainState
from transcoder.facts.livepeer_api import RoundState
from transcoder.guest import Guest
from transcoder.model import Instance, Marker, ServiceState, Volume
from transcoder.parallel import Within, all_of
from transcoder.recipes import one_key
from transcoder.recipes.node import NodeFacts, current, gone, stranger_reasons, strangers
from transcoder.world import Host, Lock, World

PATIENCE = 90.0
"""Seconds that one machine may take to say how it is: longer than all that is asked of its programs takes when each of
them hangs (15 s for geth, 10 s for each of four questions to livepeer), and what a dead machine costs at most."""

REFUSALS = ("refused: ", "not yet: ")
"""How what the checks before a service say of themselves begins, where they do not let it start."""


@dataclass(frozen=True)
class Machine:
    """What one machine says of itself. ``problem`` tells why it says nothing.

    ``chain`` is what its geth sees of the chain, ``round`` what its livepeer does.
    """

    instance: Instance
    guest: Guest | None = None
    marker: Marker | None = None
    chain: ChainState | None = None
    livepeer_address: str = ""
    open_files: tuple[tuple[str, int], ...] = ()
    problem: str = ""
    round: RoundState | None = None


@dataclass(frozen=True)
class NodeStatus:
    """A node, its machine, and what is to be said about it. No ``problems``: it is healthy."""

    node: NodeFacts
    machine: Machine | None
    lock: str
    problems: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return the status as JSON-ready data."""
        machine = self.machine
        units = {unit for data in self.node.parts for unit in (data.mount_unit, data.service.unit)}
        services = (
            [state for state in machine.guest.services if state.unit in units] if machine and machine.guest else []
        )
        return {
            "node": self.node.name,
            "healthy": not self.problems,
            "problems": list(self.problems),
            "instance": machine.instance.id if machine else None,
            "name": machine.instance.name if machine else None,
            "private_ip": machine.instance.private_ip if machine else None,
            "elastic_ip": self.node.address.public_ip if self.node.address else None,
            "elastic_ip_at": self.node.address.instance_id if self.node.address else None,
            "volumes": {data.role: _volume(self.node.volume(data)) for data in self.node.parts},
            "services": {state.unit: asdict(state) for state in services},
            "mounts": [asdict(m) for m in machine.guest.mounts if m.target in _MOUNTS]
            if machine and machine.guest
            else [],
            "address": machine.livepeer_address if machine else "",
            "marker": asdict(machine.marker) if machine and machine.marker else None,
            "chain": asdict(machine.chain) if machine and machine.chain else None,
            "round": asdict(machine.round) if machine and machine.round else None,
            "open_files_limit": dict(machine.open_files) if machine else {},
            "lock": self.lock,
        }


_MOUNTS = tuple(data.mount for data in layout.VOLUMES)


def _volume(volume: Volume | None) -> dict[str, Any] | None:
    if volume is None:
        return None
    bond = volume.attachment
    return {"id": volume.id, "state": volume.state, "zone": volume.zone, "attachment": asdict(bond) if bond else None}


def observe(world: World, only: str = "") -> tuple[NodeStatus, ...]:
    """Look at every node of the environment, or ``only`` one.

    EC2 is asked thrice and SSM once for all of them, the machines in parallel. A machine that does not answer costs its
    own timeout and nobody else's.
    """
    (nodes, volumes), locks = _observe_nodes(world, only), world.cloud.lock_holders()
    statuses = all_of(lambda node: _status(world, node, locks), nodes)
    return tuple(warned(status, statuses, volumes) for status in statuses)


def observe_nodes(world: World, only: str = "") -> tuple[NodeFacts, ...]:
    """Return what EC2 knows of every node of the environment, or of ``only`` one, with three calls for all of them."""
    return _observe_nodes(world, only)[0]


def _observe_nodes(world: World, only: str) -> tuple[tuple[NodeFacts, ...], tuple[Volume, ...]]:
    environment = _of(world)
    volumes = world.cloud.volumes(tags=environment)
    instances = world.cloud.instances(tags=environment)
    addresses = world.cloud.addresses(tags=environment)
    parts = shape.data_volumes(world.settings)
    roles = [data.role for data in layout.VOLUMES]  # a root volume has its instance's tags of the launch for ever
    tagged = [dict(v.tags) for v in volumes if v.tags.get(tags.ROLE) in roles]
    tagged += [dict(i.tags) for i in instances] + [dict(a.tags) for a in addresses]
    names = [only] if only else sorted({tag[tags.NODE] for tag in tagged if tags.NODE in tag})
    nodes = tuple(
        NodeFacts(
            name,
            next(iter(current(volumes, layout.LIVEPEER, name)), None),
            next(iter(current(volumes, layout.GETH, name)), None) if layout.GETH in parts else None,
            next((a for a in addresses if a.tags.get(tags.NODE) == name), None),
            instances,
            gone=gone(volumes, name),
            parts=parts,
            strangers=strangers(volumes, parts, name),
        )
        for name in names
    )
    return nodes, volumes


def warned(status: NodeStatus, statuses: Sequence[NodeStatus], volumes: Sequence[Volume]) -> NodeStatus:
    """Return a status with a problem more for each other node that claims the same address."""
    claimed = {each.node.name: _addresses(each) for each in statuses}
    own = claimed.pop(status.node.name)
    return replace(status, problems=(*status.problems, *one_key.warnings(status.node.name, own, claimed, volumes)))


def _addresses(status: NodeStatus) -> frozenset[str]:
    machine = status.machine
    said = (machine.livepeer_address, machine.marker.address if machine.marker else "") if machine else ()
    return frozenset(address for address in said if address)


def survey(world: World, only: str = "") -> tuple[tuple[NodeStatus, ...], tuple[tuple[str, str, str], ...]]:
    """Look at the nodes, and at the machines that carry none."""
    statuses = observe(world, only)
    return statuses, other_machines(world, statuses)


def _status(world: World, node: NodeFacts, locks: Mapping[str, Lock]) -> NodeStatus:
    instance = node.carrier
    machine = look(world, instance) if instance is not None else None
    holder = locks.get(node.name)
    lock = f"{holder.what} by {holder.who} on {holder.where} since {holder.when}" if holder else ""
    return NodeStatus(node, machine, lock, tuple(_problems(world, node, machine, lock)))


def look(world: World, instance: Instance) -> Machine:
    """Ask a machine what it runs; what goes wrong becomes its ``problem``."""
    if instance.state != "running":
        return Machine(instance, problem=f"is {instance.state}")
    host = Within(world.hosts(instance), world.clock, PATIENCE)
    try:
        seen = guest.observe(host)
        marker = guest.read_marker(host, layout.LIVEPEER) if seen.mounted(layout.LIVEPEER.mount) else None
        has_geth = shape.has_geth(world.settings)
        geth_runs = has_geth and seen.service(layout.GETH.service.unit).running
        livepeer_runs = seen.service(layout.LIVEPEER.service.unit).running
        return Machine(
            instance,
            seen,
            marker,
            chain_state(host) if geth_runs else None,
            livepeer_address(host, world.settings) if livepeer_runs else "",
            _open_files(host, seen),
            round=livepeer_round(host, world.settings) if livepeer_runs else None,
        )
    except TranscoderError as error:
        return Machine(instance, problem=error.message)


def _open_files(host: Host, seen: Guest) -> tuple[tuple[str, int], ...]:
    """Return the limit of open files of each running service."""
    running = [seen.service(data.service.unit) for data in layout.VOLUMES if seen.service(data.service.unit).main_pid]
    return tuple((state.unit, _limit(host, state)) for state in running)


def _limit(host: Host, state: ServiceState) -> int:
    output = host.run("cat", f"/proc/{state.main_pid}/limits", ok=(0, 1))
    return limits.parse_limits(output.stdout).soft if output.exit_code == 0 else 0


def _problems(world: World, node: NodeFacts, machine: Machine | None, lock: str) -> list[str]:
    option = f"--node {node.name}"
    if node.gone_to:
        env = f"--env {world.settings.name} --to-env {node.gone_to}"
        return [
            f"it has gone to environment {node.gone_to}, what is here stayed behind: fab status --env {node.gone_to}; "
            f"when you are sure of it there: fab migrate {option} --confirm {env}"
        ]
    if machine is None:
        return [f"no instance carries it: invoke launch {option}, or fab attach {option} --instance NAME"]
    where = f"{machine.instance.name} ({machine.instance.id})"
    if machine.guest is None:
        way = f"fab migrate {option} --to new" + ("" if machine.instance.state == "stopped" else " --source-lost")
        return [*_unfinished(node, option), f"{where} {machine.problem}: reboot it, or if it is lost: {way}"]
    problems = [] if not lock else [f"locked: {lock} (broken off? run it again; gone for good? fab unlock {option})"]
    problems += _unfinished(node, option)
    problems += stranger_reasons(node)
    for data in node.parts:
        problems += _volume_problems(node, machine, machine.guest, data)
    if node.address is not None and node.address.instance_id != machine.instance.id:
        problems.append(
            f"Elastic IP {node.address.public_ip} is not at {where}: run the migration again, or fab attach"
        )
    if machine.guest.held:
        problems.append(f"held on {where}, so not started by itself: {', '.join(sorted(machine.guest.held))}")
    known = node.livepeer.tags.get(tags.ADDRESS, "") if node.livepeer else ""
    expected = machine.marker.address if machine.marker else known
    if not expected:
        problems.append(f"it has no key: fab create-key {option}, or fab restore-keys {option}")
    elif machine.livepeer_address and machine.livepeer_address.lower() != expected.lower():
        problems.append(
            f"livepeer runs as {machine.livepeer_address}, its marker says {expected}: stop it, fab logs {option}"
        )
    return problems + _chain_problems(world, machine, option)


def _unfinished(node: NodeFacts, option: str) -> list[str]:
    """Say in words that a migration has begun and not ended, where everything is, and the two ways on."""
    target_id = node.livepeer.tags.get(tags.MOVING_TO, "") if node.livepeer else ""
    if not target_id:
        return []
    target = node.by_id(target_id)
    environment, _, name = target_id.rpartition("/")
    name = target.name if target else name
    places = ", ".join(f"the {data.role} volume {_place(node, node.volume(data))}" for data in node.parts)
    back = next((i for i in node.instances if i.tags.get(tags.NODE) == node.name and i.id != target_id), None)
    return_way = f"; back again: fab migrate {option} --to {back.name}" if back else ""
    where, there = (f" in {environment}", f" --to-env {environment}") if environment else ("", "")
    return [
        f"a migration to {name}{where} has begun and not ended: {places}; "
        f"on with it: fab migrate {option} --to {name}{there}{return_way}"
    ]


def _place(node: NodeFacts, volume: Volume | None) -> str:
    if volume is None:
        return "is missing"
    if volume.attachment is None:
        return f"is {volume.state}"
    holder = node.by_id(volume.attachment.instance_id)
    return f"is {volume.attachment.state} at {holder.name if holder else volume.attachment.instance_id}"


def _volume_problems(node: NodeFacts, machine: Machine, seen: Guest, data: layout.DataVolume) -> list[str]:
    volume, option = node.volume(data), f"--node {node.name}"
    if volume is None:
        return [f"it has no {data.role} volume: fab attach {option}"]
    if not volume.attached_to(machine.instance.id):
        state = volume.attachment.state if volume.attachment else volume.state
        return [f"{volume.id} ({data.role}) is {state}, not at {machine.instance.name}: run the migration again"]
    if not seen.mounted(data.mount):
        return [f"{data.mount} is not mounted: fab attach {option}"]
    service = seen.service(data.service.unit)
    if not service.running:
        unit = data.service.unit
        since = f" since {service.changed}" if service.changed else ""
        state = f"{service.active} ({service.sub}, {service.result})"
        return [f"{unit} is {state}{since}{_reason(service)}: fab logs --unit {unit} {option}"]
    return []


def _reason(service: ServiceState) -> str:
    """Return why a service does not start, as it tells `systemctl status`; what else it said there is out of date."""
    return f", {service.told}" if service.told.startswith(REFUSALS) else ""


def _chain_problems(world: World, machine: Machine, option: str) -> list[str]:
    if not shape.has_geth(world.settings):
        return _hosted_problems(machine, option)
    if machine.guest is None or not machine.guest.service(layout.GETH.service.unit).running:
        return []
    if machine.chain is None:
        return [f"geth does not answer its RPC: fab logs --unit geth.service {option}"]
    age = world.clock.now() - machine.chain.head_timestamp
    limit = world.settings.geth.head_age_seconds
    problems = [] if machine.chain.peers else ["geth has no peers"]
    return problems + ([f"geth's head is {age:.0f} s old (limit {limit} s)"] if age > limit else [])


def _hosted_problems(machine: Machine, option: str) -> list[str]:
    """Say that livepeer does not reach its chain, which it reads through somebody else's RPC. The address of that may
    hold a key, so it is not told."""
    unit = layout.LIVEPEER.service.unit
    if machine.guest is None or not machine.guest.service(unit).running or machine.round is not None:
        return []
    if not machine.livepeer_address:
        return [f"livepeer does not answer its API: fab logs --unit {unit} {option}"]
    return [f"livepeer gets no round from its RPC (eth_url, or ethUrl on its volume): fab logs --unit {unit} {option}"]


def is_healthy(statuses: tuple[NodeStatus, ...]) -> bool:
    """Tell whether there is at least one node and none has a problem."""
    return bool(statuses) and not any(status.problems for status in statuses)


def other_machines(world: World, statuses: tuple[NodeStatus, ...]) -> tuple[tuple[str, str, str], ...]:
    """Return the instances of the environment that carry no node: (name, id, what they are)."""
    carriers = {status.machine.instance.id for status in statuses if status.machine}
    seen = statuses[0].node.instances if statuses else world.cloud.instances(tags=_of(world))
    return tuple((i.name, i.id, _what(i)) for i in seen if i.id not in carriers)


def _of(world: World) -> dict[str, str]:
    return {tags.ENVIRONMENT: world.settings.name}


def _what(instance: Instance) -> str:
    if tags.RETIRED in instance.tags:
        return f"{instance.state}, retired: carried node {instance.tags[tags.RETIRED]}"
    if tags.TARGET_FOR in instance.tags:
        return (
            f"{instance.state}, launched as the target of an unfinished migration of {instance.tags[tags.TARGET_FOR]}"
        )
    return f"{instance.state}, {instance.tags.get(tags.ROLE, 'spare')}"
