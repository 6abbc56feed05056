"""An EVM node (anvil) with Livepeer's contracts at their addresses. No block comes by itself: the tests mine them."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab.standins.common.keccak import keccak_256
from tests.contract.watch.rig import running
from tests.unit.lab.standins.programs import wait_for
from transcoder.catalog.protocol import CONTRACT_KEYS, EVENTS, PROTOCOLS

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
ANVIL = MODULES / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
ROUND = 100
"""Blocks in a round."""
CONTROLLER = PROTOCOLS["mainnet"].controller
ADDRESSES = {  # those of 2018
    "Controller": CONTROLLER,
    "BondingManager": "0x511bc4556d823ae99630ae8de28b9b80df90ea2e",
    "RoundsManager": "0x3984fc4ceeef1739135476f625d36d6c35c40dc3",
}


def need_tools() -> None:
    """Skip where there is no npm; fail where there is one and script/bootstrap has not installed what is locked."""
    if platform.machine() != "x86_64":
        pytest.skip("the EVM node that is locked is one for x86-64")
    if shutil.which("npm") is None and not ANVIL.exists():
        pytest.skip("there is no npm here (Node.js 20 or newer): with it, script/bootstrap installs the EVM node")
    missing = [path for path in (ANVIL, MODULES / "solc") if not path.exists()]
    assert not missing, f"{missing[0]} is not there: script/bootstrap installs it, and says why when it cannot"


@cache
def code() -> dict[str, str]:
    """Compile the contracts; return the code of each as it stands on the chain."""
    request = {
        "language": "Solidity",
        "sources": {"Livepeer.sol": {"content": (HERE / "Livepeer.sol").read_text(encoding="utf-8")}},
        "settings": {"outputSelection": {"*": {"*": ["evm.deployedBytecode.object"]}}},
    }
    argv = ["node", str(MODULES / "solc" / "solc.js"), "--standard-json"]
    told = subprocess.run(argv, input=json.dumps(request), capture_output=True, text=True, check=True, timeout=300)
    answer = json.loads(told.stdout[told.stdout.index("{") :])
    problems = [error["formattedMessage"] for error in answer.get("errors", ())]
    assert not problems, "\n".join(problems)
    compiled = answer["contracts"]["Livepeer.sol"]
    return {name: "0x" + contract["evm"]["deployedBytecode"]["object"] for name, contract in compiled.items()}


def word(value: int | str) -> str:
    """Return a number, or an address, as 32 bytes in hexadecimal."""
    return f"{int(value, 16) if isinstance(value, str) else value:064x}"


class Chain:
    """The chain, and who else is on it: accounts that the node itself signs for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.others = [str(account) for account in self.call("eth_accounts")]

    def call(self, method: str, *params: Any) -> Any:
        """Return the result of a JSON-RPC call."""
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        request = urllib.request.Request(self.url, json.dumps(question).encode())  # noqa: S310 - http alone
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            answer = json.loads(response.read())
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        return answer["result"]

    def transact(self, contract: str, signature: str, *words: int | str, sender: str = "") -> str:
        """Send a transaction and return its hash when it has been mined, in a block of its own."""
        data = "0x" + keccak_256(signature.encode())[:4].hex() + "".join(word(value) for value in words)
        sent = {"from": sender or self.others[0], "to": ADDRESSES[contract], "data": data, "gas": hex(500000)}
        digest = str(self.call("eth_sendTransaction", sent))
        receipt = wait_for("the transaction is mined", lambda: self.call("eth_getTransactionReceipt", digest))
        assert receipt["status"] == "0x1", f"{signature} was refused"
        return digest

    def read(self, contract: str, signature: str) -> int:
        """Return the number that a view answers."""
        question = {"to": ADDRESSES[contract], "data": "0x" + keccak_256(signature.encode())[:4].hex()}
        return int(self.call("eth_call", question, "latest"), 16)

    @property
    def head(self) -> int:
        return int(self.call("eth_blockNumber"), 16)

    def mine_to(self, block: int) -> None:
        """Mine empty blocks until this one."""
        assert block >= self.head, f"block {block} has been mined: this is {self.head}"
        if block > self.head:
            self.call("anvil_mine", hex(block - self.head), "0x0")
        assert self.head == block

    def at(self, share: float) -> None:
        """Mine on to where this share of the round has gone."""
        start = self.read("RoundsManager", "currentRoundStartBlock()")
        self.mine_to(start + round(share * ROUND))

    def begin_round(self, *, initialize: bool = True) -> None:
        """Mine on into the next round, and have somebody initialise it."""
        self.mine_to((self.head // ROUND + 1) * ROUND)
        if initialize:
            self.transact("RoundsManager", "initializeRound()")

    def take_back(self, how: str, depth: int) -> None:
        """Have other, empty blocks take the place of the last ones; what was in those has never been.

        :param how: ``anvil_reorg``, or ``anvil_rollback``, after which the chain is shorter at first.
        """
        before = self.head
        self.call(how, depth, *([[]] if how == "anvil_reorg" else []))
        if self.head < before:
            self.mine_to(before)

    def register(self, account: str) -> None:
        """Make an account an active transcoder with 1 ETH."""
        self.transact("BondingManager", "register(address)", account)
        self.call("anvil_setBalance", account, hex(10**18))

    def sent_by(self, account: str) -> int:
        """Return how many transactions of an account have been mined; each has cost gas."""
        return int(self.call("eth_getTransactionCount", account, "latest"), 16)

    def rewards(self, account: str) -> list[dict[str, Any]]:
        """Return all Reward events of an account."""
        topics = ["0x" + EVENTS["Reward(address,uint256)"], "0x" + word(account)]
        found: list[dict[str, Any]] = self.call("eth_getLogs", {"fromBlock": "0x0", "topics": topics})
        return found

    def deploy(self) -> None:
        """Put the contracts where a livepeer of the main network looks for them."""
        for name, address in ADDRESSES.items():
            self.call("anvil_setCode", address, code()[name])
        for name, key in CONTRACT_KEYS.items():
            self.transact("Controller", "setContract(bytes32,address)", key, ADDRESSES[name])
        self.transact("BondingManager", "setRoundsManager(address)", ADDRESSES["RoundsManager"])
        self.transact("RoundsManager", "setRoundLength(uint256)", ROUND)


@contextmanager
def anvil(home: Path) -> Iterator[Chain]:
    """Run a chain with the contracts as long as the block, on a free port."""
    need_tools()
    log = home / "anvil.log"

    def port() -> str:
        found = re.search(r"^Listening on 127\.0\.0\.1:(\d+)$", log.read_text(), re.MULTILINE)
        return found[1] if found else ""

    with running(str(ANVIL), "--port", "0", "--chain-id", "1", "--accounts", "3", log=log):
        chain = Chain(f"http://127.0.0.1:{wait_for('anvil listens', port)}")
        chain.deploy()
        yield chain
