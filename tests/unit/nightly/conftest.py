"""A node at night: systemd, geth and livepeer as its own program sees them, and a clock that needs no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nightly.main import guarded
from nightly.model import Night
from watch.model import NoAnswer
from watch.units import HOLD

from tests.unit.watch.conftest import Rig, rig_for

GETH, LIVEPEER = "geth.service", "livepeer-transcoder.service"
BOOTED = 100.0
UPTIME = 1000.0
BLOCK_SECONDS = 15.0


@dataclass
class Node:
    """The node. ``restarts`` are the units in the order in which systemd was told; ``slept``: simulated seconds.

    ``after``: what a restart of a unit brings about; ``events``: what happens when so many seconds have been slept.
    """

    rig: Rig
    active: dict[str, str] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    restarts: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    slept: float = 0.0
    mined: float = 0.0
    blocks_come: bool = True
    after: dict[str, Callable[[], object]] = field(default_factory=dict)
    events: dict[float, Callable[[], object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.rig.machine.config
        config["nightly"]["max_age_seconds"] = 100.0
        for unit in (*config["units"].values(), *config["nightly"]["mounts"].values()):
            self.active[unit], self.started[unit] = "active", BOOTED
        self.rig.answers.results["eth_getBlockByNumber"] = lambda *_: {
            "number": hex(self.rig.contracts.head),
            "timestamp": hex(int(self.rig.machine.now - self.slept + self.mined) - 5),
        }

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.rig.machine.now += seconds
        while self.slept - self.mined >= BLOCK_SECONDS and self.blocks_come:
            self.mined += BLOCK_SECONDS
            self.rig.contracts.head += 1
        for moment in [moment for moment in self.events if moment <= self.slept]:
            self.events.pop(moment)()

    def run(self, command: list[str]) -> str:
        assert command[:2] == ["systemctl", "show"]
        return "\n\n".join(
            f"Id={unit}\nLoadState=loaded\nActiveState={self.active[unit]}\nSubState=x\n"
            f"ActiveEnterTimestampMonotonic={int(self.started[unit] * 1e6)}"
            for unit in command[command.index("--") + 1 :]
        )

    def control(self, command: list[str], seconds: float) -> str:
        """systemd: a unit that is held is stopped, and is not started."""
        assert command[:3] == ["systemctl", "restart", "--"]
        unit = command[3]
        self.restarts.append(unit)
        self.active[unit] = "inactive" if self.held(unit) else "active"
        self.started[unit] = UPTIME + self.slept
        answer = self.after.get(unit, lambda: None)()
        if isinstance(answer, Exception):
            raise answer
        return ""

    def held(self, unit: str) -> bool:
        return (self.rig.machine.root / HOLD[1:] / unit).exists()

    def hold(self, unit: str) -> None:
        self.rig.machine.write(HOLD + unit, "")

    def reward(self, last: int) -> None:
        """Let livepeer say that the reward of this round was the last one called."""
        api = self.rig.machine.config["livepeer"]
        record = {"Active": True, "Status": "Registered", "LastRewardRound": last}
        self.rig.answers.page(api["own_record"], {api["own_record_key"]: record} if api["own_record_key"] else record)

    def sessions(self, count: int) -> None:
        manifests: dict[str, object] = {f"m{number}": {} for number in range(count)}
        self.rig.answers.page(self.rig.machine.config["livepeer"]["status"], {"NodeID": "1", "Manifests": manifests})

    def stall(self) -> None:
        """Let geth have no newer block, and one that is old."""
        self.blocks_come = False
        self.rig.answers.results["eth_getBlockByNumber"] = lambda *_: {
            "number": hex(self.rig.contracts.head),
            "timestamp": hex(int(self.rig.machine.now) - 4000),
        }

    def recover(self) -> None:
        """Let geth follow the chain again."""
        self.blocks_come = True
        self.rig.answers.results["eth_getBlockByNumber"] = lambda *_: {
            "number": hex(self.rig.contracts.head),
            "timestamp": hex(int(self.rig.machine.now) - 5),
        }

    def turn(self, *, dry_run: bool = False) -> int:
        """Let the program run once; return its exit code."""
        node = self.rig.machine.node._replace(run=self.run)
        return guarded(Night(node, lambda: self.slept, self.sleep, self.control, self.said.append), dry_run)

    @property
    def last(self) -> str:
        return self.said[-1]


def no_answer(text: str) -> NoAnswer:
    """Return what a command raises that fails."""
    return NoAnswer(text)


def node_of(environment: str, root: Path) -> Iterator[Node]:
    for rig in rig_for(environment, root):
        node = Node(rig)
        node.reward(100)
        yield node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """The set-up of 2018, the reward of whose round was called."""
    yield from node_of("bionic-2018", tmp_path)


@pytest.fixture
def without_geth(tmp_path: Path) -> Iterator[Node]:
    """A node of today, whose chain is hosted."""
    yield from node_of("arbitrum", tmp_path)
