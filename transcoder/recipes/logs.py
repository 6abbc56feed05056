"""`fab logs`: what the services wrote to the journal."""

from __future__ import annotations

from transcoder.errors import Refused
from transcoder.recipes.node import observe_node
from transcoder.world import World


def read(world: World, node: str, instance: str, unit: str, since: str, lines: str) -> str:
    """Return the journal of the node's services, or of ``unit``, since a time as journalctl takes it.

    :raises Refused: when no instance carries the node, or ``lines`` is no number.
    """
    if not lines.isdecimal():
        raise Refused(f"--lines {lines!r} is no number of lines", hint="fab logs --lines 200")
    facts = observe_node(world, node, even_gone=True)
    machine = facts.find(instance) if instance else facts.carrier
    if machine is None:
        raise Refused(f"no instance carries node {node}", hint="name one: fab logs --instance NAME")
    units = [unit] if unit else [data.service.unit for data in facts.parts]
    chosen = [part for name in units for part in ("--unit", name)]
    command = ("journalctl", *chosen, "--since", since, "--lines", lines, "--no-pager", "--output=short-iso")
    return world.hosts(machine).run(*command).stdout
