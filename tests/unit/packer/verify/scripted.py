"""A machine that answers commands as a table says, behind testinfra's own modules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from packer.verify.check import Subject
from packer.verify.machine import machine_of
from tests.simulated.world import ENVIRONMENT, Simulation, settings
from transcoder import tags
from transcoder.model import Image, Instance
from transcoder.world import Command, Output

DIGEST = "d1" * 32
IMAGE = Image(
    "ami-1",
    "node image",
    "available",
    "2026-01-01T00:00:00Z",
    tags={
        tags.ENVIRONMENT: ENVIRONMENT,
        tags.DIGEST: DIGEST,
        tags.LIVEPEER_VERSION: "0.2.4",
        tags.GETH_VERSION: "1.8.27",
    },
)
INSTANCE = Instance("i-1", "running", "us-east-1a", "ami-1", "c4.2xlarge", tags={"Name": "verify-1"})
UBUNTU = {
    r"^uname -s$": "Linux\n",
    r"^uname -[rm]$": "it\n",
    r"^cat /etc/os-release$": 'ID=ubuntu\nVERSION_ID="18.04"\nVERSION_CODENAME=bionic\n',
    r"^command -v": "/bin/it\n",
    r"^test -d /run/systemd/system": "",
    r"^id (livepeer|geth|transcoder-watch)$": "it\n",
}
Answers = Mapping[str, str | tuple[int, str]]


@dataclass
class ScriptedHost:
    """Implements `transcoder.world.Host`: the last pattern that a command matches gives the answer."""

    answers: Answers
    name: str = "verify-1"
    asked: list[str] = field(default_factory=list)

    def run(
        self, *argv: str, stdin: str | bytes = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        text = argv[-1] if argv[:2] == ("sh", "-c") else " ".join(argv)
        self.asked.append(text)
        found = [answer for pattern, answer in self.answers.items() if re.search(pattern, text)]
        assert found, f"nobody has said what `{text}` answers"
        code, out = found[-1] if isinstance(found[-1], tuple) else (0, found[-1])
        return Output(argv, code, out, "")

    def run_all(self, *commands: Command, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        return tuple(self.run(*command.argv) for command in commands)


def subject(
    answers: Answers,
    *,
    image: Image = IMAGE,
    host_keys: Mapping[str, frozenset[str]] | None = None,
    seconds: float = 8.0,
    **tables: dict[str, Any],
) -> Subject:
    """Return a machine that answers like this; ``tables`` are merged into the environment."""
    host = ScriptedHost({**UBUNTU, **answers})
    sim = Simulation(settings(ENVIRONMENT, **tables))
    world = replace(sim.world, hosts=lambda _: host)  # type: ignore[arg-type] # all that is asked of hosts
    return Subject(world, machine_of(host), host, image, INSTANCE, seconds, host_keys or {})
