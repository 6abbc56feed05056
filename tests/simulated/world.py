"""Puts clock, cloud, machines and watcher together, and furnishes them for a test."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulated.clock import SimulatedClock
from tests.simulated.cloud import SimulatedCloud
from tests.simulated.disk import KEY, Disk, blank, ours
from tests.simulated.host import Command, SimulatedHost
from tests.simulated.keystore import SimulatedKeyStore
from tests.simulated.machine import BOOTED_AFTER, Machine, Rounds
from tests.simulated.watcher import Watcher
from transcoder import operate, shape, tags
from transcoder.layout import LIVEPEER, DataVolume
from transcoder.model import Image, Instance, Volume
from transcoder.operate import Operation, Outcome
from transcoder.settings import Settings
from transcoder.step import Event, Plan
from transcoder.world import LaunchRequest, World

ENVIRONMENT, NODE, ZONE, OTHER_ZONE = "simulated", "tc001", "us-east-1a", "us-east-1b"
WEST = "west"
"""An environment in another region."""


def settings(name: str = ENVIRONMENT, **tables: dict[str, Any]) -> Settings:
    """Return the environment of the simulated world; ``tables`` are merged into it."""
    raw: dict[str, Any] = {
        "name": name,
        "path": Path(f"{name}.toml"),
        "description": "a world in memory",
        "aws": {
            "region": "us-east-1",
            "availability_zone": ZONE,
            "key_name": "key",
            "ingress": [{"port": 22, "sources": ["10.0.0.0/8"]}],
        },
        "image": {"os": "ubuntu-18.04", "source_ami": {"id": "ami-1"}},
        "geth": {"version": "1.8.27", "source": "geth.tar.gz", "head_age_seconds": 30},
        "livepeer": {"version": "0.2.4", "source": "livepeer.tar.gz"},
        "instance": {"type": "c4.2xlarge"},
        "volumes": {
            "livepeer": {"size_gib": 1, "device": "/dev/sdg"},
            "geth": {"size_gib": 1, "device": "/dev/sdh"},
        },
    }
    for table, values in tables.items():
        raw[table] = {**raw.get(table, {}), **values}
    return Settings.model_validate(raw)


def without_geth(name: str = ENVIRONMENT, **tables: dict[str, Any]) -> Settings:
    """Return an environment whose nodes read Arbitrum through a hosted RPC; its round is told in bytes (v0.6.0)."""
    hosted = {"version": "v0.6.0", "network": "arbitrum-one-mainnet", "eth_url": "https://arb1.arbitrum.io/rpc"}
    livepeer = {**hosted, **tables.get("livepeer", {})}
    return settings(name, **{"geth": {"enabled": False}, **tables, "livepeer": livepeer})


class SimulatedHosts:
    """Implements `transcoder.world.Hosts`."""

    def __init__(self, machines: dict[str, Machine], lock: threading.RLock) -> None:
        self._machines, self._lock = machines, lock
        self.commands: list[Command] = []
        self.forgotten: list[str] = []

    def __call__(self, instance: Instance) -> SimulatedHost:
        """Return the machine of this instance."""
        return SimulatedHost(self._machines[instance.id], instance.name, self._lock, self.commands)

    def forget(self, instance: Instance) -> None:
        """Note whose connection was ended; nothing is open to a simulated machine."""
        self.forgotten.append(instance.name)

    @property
    def mutations(self) -> list[Command]:
        """The commands that were more than looks."""
        return [command for command in self.commands if command.changes_something]


class Console:
    """Says yes to everything and remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Plan] = []
        self.questions: list[str] = []
        self.events: list[Event] = []

    def show(self, plan: Plan) -> None:
        self.shown.append(plan)

    def confirm(self, question: str) -> None:
        self.questions.append(question)

    def watch(self, event: Event) -> None:
        self.events.append(event)


@dataclass
class Simulation:
    """A whole world. Machines appear by themselves for the instances of the cloud.

    ``beside``: another region of the same world, with the same clock, the same watcher and the same chain.
    """

    settings: Settings = field(default_factory=settings)
    nitro: bool = True
    beside: Simulation | None = None

    def __post_init__(self) -> None:
        other = self.beside
        self.lock: threading.RLock = other.lock if other else threading.RLock()
        self.clock: SimulatedClock = other.clock if other else SimulatedClock(self.lock)
        self.cloud = SimulatedCloud(self.clock, self.lock)
        self.watcher: Watcher = other.watcher if other else Watcher()
        self.machines: dict[str, Machine] = _Machines(self)
        self.hosts = SimulatedHosts(self.machines, self.lock)
        self.stores: dict[str, SimulatedKeyStore] = other.stores if other else _stores(self.clock)
        self.passphrases = SimulatedKeyStore("passphrases", self.clock)
        self.rounds: Rounds = other.rounds if other else Rounds()
        if other:
            self.cloud.numbers = other.cloud.numbers
            self.cloud.regions[other.settings.aws.region] = other.cloud
            other.cloud.regions[self.settings.aws.region] = self.cloud
        self.cloud.is_mounted = lambda instance, volume: volume in self.machines[instance].mounts.values()
        self.cloud.is_deleted = self._deleted
        self.cloud.shut_down = lambda instance: self.machines[instance].shut_down()
        self.clock.listen(self.catch_up)
        known = {tags.ENVIRONMENT: self.settings.name, tags.VERIFIED: "2026-01-01T00:01:00Z 0123456789ab"}
        self.cloud.amis["ami-node"] = Image("ami-node", "node image", "available", "2026-01-01T00:00:00Z", tags=known)

    def catch_up(self) -> None:
        """Let every machine notice what has changed."""
        for instance_id in list(self.cloud.machines):
            self.machines[instance_id].work()
        gone = [machine for key, machine in self.machines.items() if key not in self.cloud.machines]
        for machine in gone:
            machine.catch_up()

    def _deleted(self, volume_id: str) -> None:
        clouds = (self.cloud, *self.cloud.regions.values())
        left = [len(c.disks[other].records()) for c in clouds for other in c.blocks if other != volume_id]
        self.watcher.deletes(volume_id, max(left, default=0))

    @property
    def parts(self) -> tuple[DataVolume, ...]:
        """What a node of this environment consists of."""
        return shape.data_volumes(self.settings)

    @property
    def world(self) -> World:
        """The world as a recipe gets it."""
        return World(self.settings, self.cloud, self.hosts, self.clock, self.keystore, lambda: self.passphrases)

    def keystore(self, kind: str = "") -> SimulatedKeyStore:
        """Return the key store of this kind; empty: the environment's own."""
        return self.stores[kind or self.settings.keys.store]

    # furniture

    def instance(
        self, name: str, more: Mapping[str, str] | None = None, *, zone: str = "", booted: bool = True
    ) -> Instance:
        """Return an instance of the environment, running and booted."""
        token = f"furniture-{name}"
        zone, known = zone or self.settings.aws.availability_zone, {tags.ENVIRONMENT: self.settings.name}
        request = LaunchRequest("ami-node", zone, "sg-1", "", token, {tags.NAME: name, **known, **(more or {})})
        instance = self.cloud.launch(request)
        self.cloud.calls.clear()
        if booted:
            self.clock.sleep(6.0 + BOOTED_AFTER + 1)
        return self.cloud.machines[instance.id]

    def volume(
        self, disk: Disk, data: DataVolume | None = None, more: Mapping[str, str] | None = None, *, zone: str = ZONE
    ) -> Volume:
        """Return a volume; with ``data`` it is tagged as the node's."""
        own = {tags.ENVIRONMENT: self.settings.name, tags.NODE: NODE, tags.ROLE: data.role} if data else {}
        return self.cloud.add_volume(disk, zone, {**own, **(more or {})})

    def plug(self, volume: Volume, instance: Instance, device: str) -> None:
        """Attach a volume, as it was before the test began."""
        self.cloud.bond(volume.id, instance.id, device, "attached")
        self.clock.sleep(1.0)

    def node(self, name: str = NODE, *, address: str = KEY) -> Instance:
        """Return an instance that carries a running node with its key and its Elastic IP."""
        instance = self.instance(name, {tags.NODE: NODE, tags.ROLE: "node"})
        for data in reversed(self.parts):
            device = shape.volume_settings(self.settings, data).device
            known = {tags.ADDRESS: address} if address and data is LIVEPEER else {}
            self.plug(self.volume(ours(data, NODE, address), data, known), instance, device)
        elastic = self.cloud.allocate_address({tags.ENVIRONMENT: self.settings.name, tags.NODE: NODE})
        self.cloud.associate(elastic.allocation_id, instance.id)
        self.clock.sleep(10.0)
        self.forget()
        return self.cloud.machines[instance.id]

    def forget(self) -> None:
        """Forget the calls and commands so far."""
        self.cloud.calls.clear()
        self.hosts.commands.clear()

    # looks for assertions

    def of(self, data: DataVolume) -> Volume:
        """Return the node's volume of a role, as EC2 has it now; one that another has replaced does not count."""
        wanted = {tags.NODE: NODE, tags.ROLE: data.role}
        own = [v for v in self.cloud.blocks.values() if wanted.items() <= dict(v.tags).items()]
        left = [v for v in own if tags.GONE_TO not in v.tags]
        found = [v for v in left if v.tags.get(tags.REPLACED_BY) not in [other.id for other in own]]
        assert len(found) == 1, found
        return found[0]

    def machine(self, name: str) -> Machine:
        """Return a machine by its Name."""
        found = [i.id for i in self.cloud.machines.values() if i.name == name]
        assert len(found) == 1, found
        return self.machines[found[0]]

    def disk(self, data: DataVolume) -> Disk:
        """Return what is on the node's volume."""
        return self.cloud.disks[self.of(data).id]

    def everything(self) -> tuple[object, ...]:
        """Return all of EC2 and the bytes of every volume, to compare before and after."""
        return self.cloud.state(), tuple((key, disk.digest()) for key, disk in self.cloud.disks.items())

    def assert_nothing_lost(self) -> None:
        """Every record that livepeer wrote is there, in order, and nobody ever wrote beside another.

        Where the power failed it is every record that was synced before.
        """
        assert self.watcher.broken == []
        for volume_id, last in self.watcher.written.items():
            assert self.cloud.disks[volume_id].records() == list(range(1, last + 1))
            assert last >= self.watcher.acknowledged.get(volume_id, 0)

    def assert_served_by(self, name: str) -> None:
        """The node's volumes, its address and its running services are at this machine; nothing is held there."""
        machine, instance = self.machine(name), next(i for i in self.cloud.machines.values() if i.name == name)
        for data in self.parts:
            assert self.of(data).attached_to(instance.id)
            assert machine.unit(data.service.unit).active == "active"
        assert machine.account == KEY
        assert machine.held == set()
        assert {address.instance_id for address in self.cloud.elastic.values()} == {instance.id}
        assert instance.tags.get(tags.NODE) == NODE
        assert tags.TARGET_FOR not in instance.tags


def _stores(clock: SimulatedClock) -> dict[str, SimulatedKeyStore]:
    sizes = {"ssm": 4096, "secrets-manager": 65536, "vault": 524288, "age": 1 << 26}
    return {kind: SimulatedKeyStore(kind, clock, largest) for kind, largest in sizes.items()}


class _Machines(dict[str, Machine]):
    """Makes the machine of an instance when somebody asks for it."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__()
        self._simulation = simulation

    def __missing__(self, instance_id: str) -> Machine:
        sim = self._simulation
        programs = {data.role: str(getattr(sim.settings, data.role).version) for data in sim.parts}
        self[instance_id] = Machine(
            instance_id,
            sim.cloud,
            sim.clock,
            sim.watcher,
            sim.nitro,
            rounds=sim.rounds,
            programs=programs,
            parts=sim.parts,
        )
        return self[instance_id]


def perform(operation: Operation, sim: Simulation, world: World | None = None) -> tuple[Outcome, Console]:
    """Run an operation with a console that says yes."""
    console = Console()
    return operate.operate(operation, world or sim.world, console), console


def add_blank(sim: Simulation, data: DataVolume) -> Volume:
    """Return a volume as `CreateVolume` leaves it."""
    return sim.volume(blank(), data, {tags.BLANK: "yes"})
