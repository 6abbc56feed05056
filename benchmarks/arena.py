"""Where moves are timed: a lab with real machines, a node with a key on one of them, fresh machines to move it to."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import commands
from lab.configuration import LabConfiguration
from lab.rehearsal import runner
from lab.rehearsal.runner import Finished
from transcoder import layout
from transcoder.actions.services import livepeer_address
from transcoder.errors import Failed, Refused
from transcoder.model import Instance
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.settings import ROOT, Settings
from transcoder.world import Host, World

NAME, NETWORK, PORT, LATENCY = "bench", "172.31.214", 5614, "ec2"
"""Of the benchmark's own lab."""
BUDGET, BAKE_BUDGET = 900.0, 3600.0


def write_environment(directory: Path) -> Path:
    """Write the environment of the benchmark's own lab: the shipped one with another name, network, port and latency.

    :raises Failed: when the shipped one does not have what is to be replaced.
    """
    text = (ROOT / "environments" / "lab.toml").read_text(encoding="utf-8")
    for old, new in (
        ("/var/lib/transcoder-lab/lab/", f"/var/lib/transcoder-lab/{NAME}/"),
        ('\nname = "lab"', f'\nname = "{NAME}"'),
        ("172.31.210", NETWORK),
        ("5620", str(PORT)),
        ('\nlatency = "fast"', f'\nlatency = "{LATENCY}"'),
    ):
        if old not in text:
            raise Failed(f"environments/lab.toml, which the benchmark's lab is derived from, has no {old.strip()!r}")
        text = text.replace(old, new)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{NAME}.toml"
    path.write_text(text, encoding="utf-8")
    return path


class Arena:
    """A lab and a node in it, set up by the command lines of an operator.

    :param environment: what ``--env`` gets.
    :param output: directory; all that the commands say goes to ``logs`` in it.
    :param own: the lab is the benchmark's own: what is not needed in it any more is terminated, whoever launched it.
    :param say: gets a line for each thing that is done.
    """

    def __init__(self, world: World, environment: str, output: Path, own: bool, say: Callable[[str], None]) -> None:
        self.world, self.environment, self.output, self.own, self.say = world, environment, output, own, say
        self.configuration: LabConfiguration = commands.configuration_of(world.settings)
        self.node = world.settings.node.default
        self.account = ""
        self._launched: set[str] = set()
        self._number = 0
        if self.configuration.machines != "uml":
            raise Refused(
                f"the lab of {world.settings.path} has machines = {self.configuration.machines!r}",
                hint='downtime needs real machines: machines = "uml"',
            )

    @property
    def settings(self) -> Settings:
        """The environment."""
        return self.world.settings

    def run(self, *command: str, budget: float = BUDGET) -> Finished:
        """Run ``invoke`` or ``fab``; its log is numbered."""
        self._number += 1
        log = self.output / "logs" / f"{self._number:03}-{command[1]}.log"
        return runner.run((*command, "--env", self.environment), log, budget)

    def succeed(self, *command: str, budget: float = BUDGET) -> Finished:
        """Run ``invoke`` or ``fab``; it must succeed.

        :raises Failed: when it does not end with 0.
        """
        self.say(" ".join(command))
        return self.run(*command, budget=budget).require_success()

    def prepare(self) -> bool:
        """Bring up the lab, the image, the node and its key, as far as they are missing. Tells whether the lab was up.

        :raises Failed: when the node does not become healthy.
        """
        for log in (self.output / "logs").glob("*.log"):  # of the last run: they would stand between those of this one
            log.unlink()
        was_up = commands.read_ready(self.configuration) is not None
        self.succeed("invoke", "lab.up", budget=1900)
        self.succeed("invoke", "bake-ami", "--yes", "--json", budget=BAKE_BUDGET)
        if self.facts().carrier is None:
            self.succeed("invoke", "launch", "--node", self.node, "--yes", "--json")
        self._ensure_healthy()
        self.account = livepeer_address(self.host(self.carrier()), self.settings)
        return was_up

    def _ensure_healthy(self) -> None:
        status = self.status()
        if not status["healthy"]:
            keyless = not (status["marker"] or {}).get("address")
            task = "create-key" if keyless else "attach"
            self.succeed("fab", task, "--node", self.node, "--yes", "--json")
            status = self.status()
        if not status["healthy"]:
            raise Failed(f"node {self.node} is not healthy: {'; '.join(status['problems'])}", hint="fab status")

    def end(self) -> None:
        """Take the lab down."""
        self.succeed("invoke", "lab.down")

    def status(self) -> dict[str, Any]:
        """Return what ``fab status --json`` says of the node."""
        document = self.run("fab", "status", "--node", self.node, "--json").require_success().documents()[-1]
        return dict(document[0])

    def facts(self) -> NodeFacts:
        """Look where the node is in EC2."""
        return observe_node(self.world, self.node)

    def carrier(self) -> Instance:
        """Return the machine that carries the node.

        :raises Failed: when none does.
        """
        found = self.facts().carrier
        if found is None:
            raise Failed(f"no machine carries node {self.node}", hint="fab status")
        return found

    def host(self, instance: Instance) -> Host:
        """Return a machine to look at."""
        return self.world.hosts(instance)

    def fresh_target(self) -> Instance:
        """Return a machine that has just been launched from the baked image, booted, and carries nothing.

        The machines that the node has left are terminated first: it shall find no trace of itself on the target.
        """
        facts = self.facts()
        carrier = self.carrier()
        for instance in facts.instances:
            known = self.own or instance.id in self._launched
            if known and instance.id != carrier.id and instance.state in ("running", "stopped"):
                self.succeed("invoke", "terminate", "--instance", instance.id, "--node", self.node, "--yes", "--json")
                self._launched.discard(instance.id)
        name = self._free_name(facts)
        self.succeed("invoke", "launch", "--node", self.node, "--spare", "--name", name, "--yes", "--json")
        target = self.facts().find(name)
        self._launched |= {target.id, carrier.id}
        return target

    def _free_name(self, facts: NodeFacts) -> str:
        prefix = f"{self.node}-bench-"
        taken = [re.fullmatch(rf"{re.escape(prefix)}(\d+)", instance.name) for instance in facts.instances]
        return f"{prefix}{max((int(match[1]) for match in taken if match), default=0) + 1}"

    def bring_home(self, target: Instance) -> None:
        """Make the node healthy on ``target`` by our own commands, wherever another command has left it.

        Where it is healthy there already this writes what that command did not: which machine carries the node.
        """
        volumes = [self.facts().volume(data) for data in layout.VOLUMES]
        there = all(volume is not None and volume.attached_to(target.id) for volume in volumes)
        way = ("attach", "--instance") if there else ("migrate", "--to")
        self.succeed("fab", *way, target.id, "--node", self.node, "--yes", "--json")
        self._ensure_healthy()
