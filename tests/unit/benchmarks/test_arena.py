"""The machines of the benchmark: fresh ones come, those that the node has left go, other people's stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.arena import Arena, write_environment
from lab.rehearsal.runner import Finished
from transcoder import settings as environments
from transcoder import tags
from transcoder.errors import Refused
from transcoder.model import Attachment, Instance, Volume
from transcoder.recipes.node import NodeFacts
from transcoder.world import World


def machine(number: int, name: str, state: str = "running") -> Instance:
    return Instance(f"i-{number}", state, "us-east-1a", "ami-1", "c4.large", tags={tags.NAME: name})


CARRIER = machine(1, "tc001")


class Remembering(Arena):
    """Runs nothing: it notes the command lines, and a launch adds a machine."""

    def __init__(self, environment: Path, own: bool, *others: Instance) -> None:
        nothing: Any = None
        world = World(environments.load(str(environment)), nothing, nothing)
        super().__init__(world, str(environment), environment.parent, own, lambda _line: None)
        self.instances = [CARRIER, *others]
        self.commands: list[str] = []

    def run(self, *command: str, budget: float = 0.0) -> Finished:
        self.commands.append(" ".join(command))
        if command[1] == "launch":
            self.instances.append(machine(9, command[command.index("--name") + 1]))
        return Finished(command, 0, 0.1)

    def facts(self) -> NodeFacts:
        here = Attachment(CARRIER.id, "/dev/sdg", "attached")
        livepeer = Volume("vol-1", "us-east-1a", 1, "in-use", here)
        return NodeFacts(self.node, livepeer, None, None, tuple(self.instances))


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    return write_environment(tmp_path)


def test_in_its_own_lab_all_that_does_not_carry_the_node_goes_before_a_fresh_machine_comes(environment: Path) -> None:
    arena = Remembering(environment, True, machine(2, "left-over"), machine(3, "gone", "shutting-down"))
    assert arena.fresh_target().id == "i-9"
    assert [command.split(" --node")[0] for command in arena.commands] == [
        "invoke terminate --instance i-2",
        "invoke launch",
    ]


def test_in_a_lab_of_others_only_its_own_machines_go(environment: Path) -> None:
    arena = Remembering(environment, False, machine(2, "somebody's"))
    arena.fresh_target()
    assert not any("terminate" in command for command in arena.commands)
    arena.fresh_target()
    assert [command for command in arena.commands if "terminate" in command] == [
        "invoke terminate --instance i-9 --node tc001 --yes --json"
    ]


def test_each_machine_has_a_name_that_no_other_has(environment: Path) -> None:
    arena = Remembering(environment, False, machine(2, "tc001-bench-7"), machine(3, "tc001-bench-x"))
    assert arena.fresh_target().name == "tc001-bench-8"


def test_a_lab_without_machines_is_refused_since_nothing_is_ever_down_in_it(environment: Path) -> None:
    environment.write_text(environment.read_text().replace('machines = "uml"', 'machines = "none"'))
    with pytest.raises(Refused, match="none"):
        Remembering(environment, True)
