"""Many nodes at once: what `Simulation.node` makes, for as many as are wanted, all booted in the same seconds."""

from __future__ import annotations

from tests.simulated.disk import ours
from tests.simulated.machine import BOOTED_AFTER
from tests.simulated.world import Simulation
from transcoder import shape, tags
from transcoder.layout import LIVEPEER
from transcoder.world import LaunchRequest


def account(number: int) -> str:
    """Return the address of a node of the fleet: each has its own."""
    return f"0x{number:040x}"


def furnish(sim: Simulation, count: int) -> tuple[str, ...]:
    """Put this many running nodes into a world, each with its key and its Elastic IP; return their names."""
    names = tuple(f"tc{number:03}" for number in range(1, count + 1))
    for number, name in enumerate(names, 1):
        _add(sim, name, account(number))
    sim.clock.sleep(6.0 + BOOTED_AFTER + 10.0)
    sim.forget()
    return names


def _add(sim: Simulation, name: str, address: str) -> None:
    own = {tags.ENVIRONMENT: sim.settings.name, tags.NODE: name}
    zone = sim.settings.aws.availability_zone
    tagged = {**own, tags.NAME: name, tags.ROLE: "node"}
    instance = sim.cloud.launch(LaunchRequest("ami-node", zone, "sg-1", "", f"furniture-{name}", tagged))
    for data in reversed(sim.parts):
        known = {tags.ADDRESS: address} if data is LIVEPEER else {}
        disk = ours(data, name, address)
        volume = sim.cloud.add_volume(disk, zone, {**own, tags.ROLE: data.role, **known})
        sim.cloud.bond(volume.id, instance.id, shape.volume_settings(sim.settings, data).device, "attached")
    elastic = sim.cloud.allocate_address(own)
    sim.cloud.associate(elastic.allocation_id, instance.id)
