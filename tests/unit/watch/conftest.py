"""A healthy machine with geth and livepeer 0.2.4, and one of today with a hosted RPC."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.watch.machine import ADDRESS, NOW, Answers, Contracts, Machine, serving
from transcoder.settings import load


@dataclass
class Rig:
    """A machine, what answers on its ports, and the contracts that its RPC endpoint sees."""

    machine: Machine
    answers: Answers
    contracts: Contracts


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be room, however full the disk is that these tests run on."""
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((4096, 4096, 100, 80, 80, 100, 80, 80, 0, 255)))


def healthy_api(rig: Rig) -> None:
    """Let livepeer and geth answer as they do when all is well."""
    answers, api = rig.answers, rig.machine.config["livepeer"]
    record = {"Active": True, "Status": "Registered", "LastRewardRound": 99}
    answers.page("/latest/api/token", "token")
    answers.page("/latest/meta-data/public-ipv4", "10.1.2.7")
    answers.page("/latest/meta-data/local-ipv4", "10.0.0.9")
    answers.page(api["status"], {"NodeID": "1220", "Manifests": {}})
    answers.page(api["address"], ADDRESS.upper().replace("0X", "0x"))
    answers.page(api["own_record"], {api["own_record_key"]: record} if api["own_record_key"] else record)
    answers.page(api["current_round"], "100")
    answers.page(api["round_initialized"], "true")
    answers.page(api["eth_balance"], str(10**18))
    answers.results |= {
        "web3_clientVersion": "Geth/v1.8.27",
        "net_peerCount": "0x4",
        "eth_syncing": False,
        "eth_getBlockByNumber": lambda *_: {"number": hex(rig.contracts.head), "timestamp": hex(int(NOW) - 5)},
    }
    rig.contracts.serve(answers)


def rig_for(environment: str, root: Path) -> Iterator[Rig]:
    machine = Machine(root, load(environment))
    with serving(Answers()) as answers:
        machine.config["livepeer"]["base"] = machine.config["rpc"] = answers.url
        machine.config["metadata"] = answers.url.removeprefix("http://")
        if machine.config["geth"]:
            machine.config["geth"]["url"] = answers.url
        rig = Rig(machine, answers, Contracts(machine.config))
        healthy_api(rig)
        yield rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """The set-up of 2018."""
    yield from rig_for("bionic-2018", tmp_path)


@pytest.fixture
def arbitrum(tmp_path: Path) -> Iterator[Rig]:
    """A node of today, without geth."""
    yield from rig_for("arbitrum", tmp_path)
