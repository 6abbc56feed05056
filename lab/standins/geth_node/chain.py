"""A chain that advances with the clock, and one node's progress along it.

The network's head is a function of time, so that every stand-in in a lab agrees on it and a node that was down has
something to catch up with. A fresh node starts a little behind the head, as a light client starts at a checkpoint.
"""

import hashlib
import json
import os
import threading
import time
from typing import Any, Dict, List, NamedTuple, Optional

from ..common import logs
from ..common.transaction import Received, parse
from . import storage
from .protocol import GAS_USED, Contracts, Reverted, Rules

_EPOCH = 1546300800.0  # 2019-01-01: when the stand-in's network mined its first block
_FULL_SYNC_DELAY = 9.8  # downloader: no cycle is forced for 10 s while there are fewer than 5 peers
_FSYNC_SECONDS = 5.0
_FULL_FLUSH_SECONDS = 60.0
_EVENTS_KEPT = 1000
_NO_PEERS, _UNTIL_RESTART = "no-peers", "until-restart"


class Settings(NamedTuple):
    """How the stand-in's network behaves; from the environment (see lab/standins/README.md)."""

    block_seconds: float
    sync_rate: float
    fresh_blocks: int
    peer_seconds: float
    stall_file: str
    rules: Rules


def settings(environment: Dict[str, str], stall_file: str) -> Settings:
    """Read GETH_STANDIN_*; ValueError when one is not a number. `stall_file` is used when none is named."""
    return Settings(
        float(environment.get("GETH_STANDIN_BLOCK_SECONDS", "2")),
        float(environment.get("GETH_STANDIN_SYNC_BLOCKS_PER_SECOND", "500")),
        int(environment.get("GETH_STANDIN_FRESH_BLOCKS", "2048")),
        float(environment.get("GETH_STANDIN_PEER_SECONDS", "1")),
        environment.get("GETH_STANDIN_STALL", stall_file),
        Rules(
            int(environment.get("GETH_STANDIN_ROUND_LENGTH", "5760")),
            int(environment.get("GETH_STANDIN_ROUND_INIT_BLOCKS", "5")),
        ),
    )


class ChainError(Exception):
    """A JSON-RPC error with code -32000; the text is geth's."""


class Chain:
    """The node's view of the chain. `lock` guards all of it."""

    def __init__(self, chaindata: str, light: bool, max_peers: int, chain_id: int, chosen: Settings) -> None:
        self.settings, self.light, self.chain_id = chosen, light, chain_id
        self.lock = threading.RLock()
        self._chaindata, self._max_peers = chaindata, max_peers
        self._log = storage.HeadLog(chaindata)
        self._state = storage.load_network(chaindata)
        for name in ("events", "pending", "receipts"):
            self._state.setdefault(name, [])
        self.contracts = Contracts(self._state, chosen.rules, self._decree)
        self._recover()
        self._wall, self._start = time.time(), time.monotonic()  # a clock that is set does not move the network
        stored = self._log.last()
        if self._log.dropped:
            logs.geth("WARN", "Truncated torn chain log entry", bytes=self._log.dropped)
        self._anchor(stored)
        self._save()
        self.head = stored if stored is not None else max(self.network_head() - chosen.fresh_blocks, 0)
        self._begun_at = self.head
        self._last_flush = self._last_tick = self._start
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chain", daemon=True)

    def _anchor(self, stored: Optional[int]) -> None:
        """Block times start at the epoch; when the pace is changed they go on from the stored head."""
        anchor = self._state.setdefault("anchor", {"number": 0, "time": _EPOCH, "pace": self.settings.block_seconds})
        if anchor["pace"] != self.settings.block_seconds:
            number = stored if stored is not None else 0
            self._state["anchor"] = {
                "number": number,
                "time": self.block_time(number),
                "pace": self.settings.block_seconds,
            }

    def now(self) -> float:
        """The network's time in unix seconds."""
        return self._wall + time.monotonic() - self._start

    def block_time(self, number: int) -> float:
        """When a block was mined, in unix seconds."""
        anchor = self._state["anchor"]
        return float(anchor["time"] + (number - anchor["number"]) * anchor["pace"])

    def network_head(self) -> int:
        """The number of the newest block that the network has now."""
        anchor = self._state["anchor"]
        return int(anchor["number"] + max(self.now() - anchor["time"], 0) // anchor["pace"])

    def _stall(self) -> Optional[str]:
        """What the stall file says; None when there is none."""
        return _text_of(self.settings.stall_file)

    def _decree(self) -> Dict[str, Any]:
        """What the NETWORK file beside the stall file says of the contracts."""
        found = _text_of(os.path.join(os.path.dirname(self.settings.stall_file), "NETWORK"))
        return dict(json.loads(found)) if found else {}

    def _recover(self) -> None:
        """A stall of the kind that befalls a process ends with it (go-ethereum#17033): the others in the file stay."""
        text = self._stall() or ""
        if _UNTIL_RESTART not in text:
            return
        if _NO_PEERS in text:
            storage.write_durably(self.settings.stall_file, json.dumps({_NO_PEERS: True}))
        else:
            os.unlink(self.settings.stall_file)
        logs.geth("INFO", "Stand-in: this restart has cured the stall")

    @property
    def stalled(self) -> bool:
        """Whether the stall file exists: no block comes in any more."""
        return self._stall() is not None

    @property
    def peers(self) -> int:
        """One peer, a moment after the start; none while the stall file says "no-peers"."""
        if self._max_peers < 1 or time.monotonic() - self._start < self.settings.peer_seconds:
            return 0
        return 0 if _NO_PEERS in (self._stall() or "") else 1

    def syncing(self) -> Optional[Dict[str, int]]:
        """The answer of eth_syncing while there is more than the newest block to fetch; None is false."""
        with self.lock:
            target = self.network_head()
            if not self.peers or self.stalled or not self._may_fetch() or target - self.head < 2:
                return None
            return {"current": self.head, "highest": target, "starting": self._begun_at}

    def _may_fetch(self) -> bool:
        waited = time.monotonic() - self._start - self.settings.peer_seconds
        return self.light or waited >= _FULL_SYNC_DELAY or self.network_head() - self.head < 2

    def start(self) -> None:
        """Let blocks come in."""
        self._thread.start()

    def stop(self) -> None:
        """The clean end: everything on disk."""
        self._stopping.set()
        self._thread.join()
        with self.lock:
            self._log.append(self.head)
            self._log.close()

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            try:
                with self.lock:
                    self._tick()
            except OSError as error:  # geth's log.Crit: a chain that cannot be stored ends the process
                logs.geth("CRIT", "Failed to store last header's hash", err=error)
                os._exit(1)

    def _tick(self) -> None:
        now = time.monotonic()
        elapsed, self._last_tick = now - self._last_tick, now
        target, old = self.network_head(), self.head
        if self.contracts.changed:
            self._save()
        if not self.peers or self.stalled or not self._may_fetch() or target <= old:
            return
        self.head = min(target, old + max(int(elapsed * self.settings.sync_rate), 1))
        logs.geth("INFO", "Imported new block headers", count=self.head - old, number=self.head)
        if self.light:
            self._log.append(self.head)
        if self.head == target:
            self._mine()
        self._flush(now)

    def _flush(self, now: float) -> None:
        """A light client's headers are in the log at once; a full node's state reaches it only now and then."""
        if now - self._last_flush < (_FSYNC_SECONDS if self.light else _FULL_FLUSH_SECONDS):
            return
        if not self.light:
            self._log.append(self.head)
        self._log.sync()
        self._last_flush = now

    def _mine(self) -> None:
        waiting, self._state["pending"] = self._state["pending"], []
        for raw in waiting:
            self._execute(parse(bytes.fromhex(raw), self.chain_id))
        if waiting:
            self._save()

    def _save(self) -> None:
        storage.save_network(self._chaindata, self._state)
        self.contracts.changed = False

    def _execute(self, received: Received) -> None:
        call, sender = received.transaction, received.sender
        digest = "0x" + received.digest.hex()
        try:
            events = self.contracts.transact(sender, call.to, call.data, self.head)
            status = 1
        except Reverted as reason:
            logs.geth("WARN", "Transaction reverted", hash=digest, reason=reason)
            events, status = [], 0
        cost = GAS_USED * call.gas_price + (call.value if status else 0)
        self._state["balances"][sender.hex()] = self.contracts.balance(sender) - cost
        self._state["nonces"][sender.hex()] = call.nonce + 1
        for event in events:
            topics = ["0x" + topic.hex() for topic in event["topics"]]
            where = {"address": "0x" + event["address"].hex(), "topics": topics, "data": "0x" + event["data"].hex()}
            self._state["events"].append({**where, "block": self.head, "transaction": digest})
        self._state["events"] = storage.trimmed(self._state["events"], _EVENTS_KEPT)
        receipt = {"hash": digest, "block": self.head, "status": status, "from": "0x" + sender.hex()}
        receipt["to"] = "0x" + call.to.hex()
        self._state["receipts"] = storage.trimmed([*self._state["receipts"], receipt], _EVENTS_KEPT)

    def need_peers(self) -> None:
        """A light client fetches state when it is asked: ChainError when there is nobody to fetch it from."""
        if self.light and not self.peers:
            raise ChainError("no suitable peers available")

    def nonce(self, address: bytes, pending: bool) -> int:
        """How many transactions an account has sent."""
        with self.lock:
            mined = int(self._state["nonces"].get(address.hex(), 0))
            waiting = [parse(bytes.fromhex(raw), self.chain_id) for raw in self._state["pending"]]
            return mined + sum(1 for item in waiting if item.sender == address) if pending else mined

    def send(self, raw: bytes) -> str:
        """Take a signed transaction; its hash. A light client without peers takes it, too, and says nothing."""
        with self.lock:
            received = parse(raw, self.chain_id)
            call = received.transaction
            if raw.hex() in self._state["pending"]:
                raise ChainError("known transaction: " + received.digest.hex())
            expected = self.nonce(received.sender, pending=True)
            if call.nonce != expected:
                raise ChainError("nonce too low" if call.nonce < expected else "nonce too high")
            if self.contracts.balance(received.sender) < call.gas * call.gas_price + call.value:
                raise ChainError("insufficient funds for gas * price + value")
            self._state["pending"].append(raw.hex())
            self._save()
            logs.geth("INFO", "Submitted transaction", fullhash="0x" + received.digest.hex())
            return "0x" + received.digest.hex()

    def receipt(self, digest: str) -> Optional[Dict[str, Any]]:
        """The receipt of a mined transaction, None while it waits."""
        with self.lock:
            found = [item for item in self._state["receipts"] if item["hash"] == digest.lower()]
            return found[0] if found else None

    def waits(self, digest: str) -> Optional[Received]:
        """A transaction that waits to be mined."""
        with self.lock:
            waiting = [parse(bytes.fromhex(raw), self.chain_id) for raw in self._state["pending"]]
            return next((item for item in waiting if "0x" + item.digest.hex() == digest.lower()), None)

    def events(self) -> List[Dict[str, Any]]:
        """Every event that is kept, oldest first."""
        with self.lock:
            return list(self._state["events"])


def _text_of(path: str) -> Optional[str]:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def block_hash(number: int, purpose: str = "block") -> str:
    """A hash that every stand-in computes alike; it is not the hash of a header."""
    return "0x" + hashlib.sha256(f"stand-in {purpose} {number}".encode()).hexdigest()
