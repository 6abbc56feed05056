"""A running node: everything opened in geth's order, stopped by a signal as geth is stopped."""

import os
import signal
import sys
import threading
import time
from typing import Any, Callable, Dict, List

from ..common import logs
from .api import Api, Identity
from .chain import Chain, settings
from .command_line import Choices
from .config import Config, Fatal
from .doors import serve_http, serve_ipc, serve_metrics, serve_peers, serve_websocket
from .storage import DataDirectory

_DEV_CHAIN = 1337
_STOP_FILE = "/run/geth-standin-stop-seconds"


class Node:
    """One geth. `start` opens it, `stop` closes what was opened, in reverse."""

    def __init__(self, config: Config, choices: Choices) -> None:
        self._config, self._choices = config, choices
        self._closers: List[Callable[[], None]] = []

    def start(self) -> None:
        """Open data directory, chain and doors; Fatal when one cannot be opened (the rest is closed again)."""
        node, eth, peers = (self._config[path] for path in (("Node",), ("Eth",), ("Node", "P2P")))
        directory = DataDirectory(os.path.abspath(node["DataDir"]))
        directory.open()
        self._closers.append(directory.close)
        light = eth["SyncMode"] == "light"
        logs.geth("INFO", "Maximum peer count", ETH=peers["MaxPeers"], LES=0, total=peers["MaxPeers"])
        logs.geth("INFO", "Starting peer-to-peer node", instance="Geth stand-in v1.8.27-stable")
        logs.geth("INFO", "Allocated cache and file handles", database=directory.chaindata, cache=eth["DatabaseCache"])
        identity = Identity(eth["NetworkId"], eth["NetworkId"], node["UserIdent"], peers["MaxPeers"])
        chain = self._open_chain(directory, light, identity)
        api = Api(chain, identity)
        self._open_doors(api, directory.path)
        chain.start()
        self._closers.append(chain.stop)

    def _open_chain(self, directory: DataDirectory, light: bool, identity: Identity) -> Chain:
        try:
            chosen = settings(dict(os.environ), os.path.join(directory.instance, "STALL"))
        except ValueError as error:
            raise Fatal(f"GETH_STANDIN_* in the environment: {error}") from error
        if self._choices.values["dev"]:
            period = self._choices.values["dev.period"] or chosen.block_seconds
            chosen = chosen._replace(block_seconds=float(period), fresh_blocks=0, peer_seconds=0.0)
        max_peers = 1 if self._choices.values["dev"] else identity.max_peers
        chain = Chain(directory.chaindata, light, max_peers, identity.chain_id, chosen)
        logs.geth("INFO", "Loaded most recent local header", number=chain.head)
        return chain

    def _open_doors(self, api: Api, directory: str) -> None:
        node, peers = self._config[("Node",)], self._config[("Node", "P2P")]
        discovery = peers["DiscoveryV5"] or not peers["NoDiscovery"]
        self._closers.append(serve_peers(peers["ListenAddr"], discovery))
        if node["IPCPath"]:
            self._closers.append(serve_ipc(os.path.join(directory, node["IPCPath"]), api))
        if node["HTTPHost"]:
            address = (node["HTTPHost"], node["HTTPPort"])
            self._closers.append(
                serve_http(address, api, node["HTTPModules"], node["HTTPVirtualHosts"], node["HTTPCors"])
            )
        if node["WSHost"]:
            modules = None if node["WSExposeAll"] else node["WSModules"]
            self._closers.append(serve_websocket((node["WSHost"], node["WSPort"]), api, modules, node["WSOrigins"]))
        values = self._choices.values
        if values["pprof"]:
            self._closers.append(serve_metrics((values["pprofaddr"], values["pprofport"]), lambda: self._metrics(api)))

    def _metrics(self, api: Api) -> Dict[str, Any]:
        if not self._choices.values["metrics"]:
            return {}
        return {"p2p/peers": api.peer_count, "chain/head/block": api.head}

    def stop(self) -> None:
        """Close everything; blocks until it is on disk, or as long as it is told to take, as a full node would."""
        delay = time.monotonic() + _stop_seconds()
        while time.monotonic() < delay:
            threading.Event().wait(min(0.1, max(delay - time.monotonic(), 0.001)))
        self.close()
        logs.geth("INFO", "Blockchain manager stopped")

    def close(self) -> None:
        """Close what is open, the newest first."""
        while self._closers:
            self._closers.pop()()


def _stop_seconds() -> float:
    """Say how long a stop takes: what the stop file says at this moment, else GETH_STANDIN_STOP_SECONDS."""
    try:
        with open(os.environ.get("GETH_STANDIN_STOP_FILE") or _STOP_FILE) as file:
            text = file.read().strip()
    except FileNotFoundError:
        text = ""
    return float(text or os.environ.get("GETH_STANDIN_STOP_SECONDS") or 0)


def _panic() -> None:
    sys.stderr.write("panic: boom\n\ngoroutine 1 [running]:\n(stand-in: in geth a dump of the goroutines follows)\n")
    sys.stderr.flush()
    os._exit(2)


def _dump_and_quit(*_: Any) -> None:
    sys.stderr.write("SIGQUIT: quit\n\ngoroutine 0 [idle]: (stand-in)\n")
    sys.stderr.flush()
    os._exit(2)


def run(node: Node) -> int:
    """Start, wait for SIGINT or SIGTERM, stop. The exit code of a clean stop is 0, an eleventh signal panics with 2."""
    caught: List[int] = []  # no Queue: its lock may be held by this very thread when the signal comes
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda which, _: caught.append(which))
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # geth dies of it, at once and without cleaning up
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, _dump_and_quit)
    try:
        node.start()
    except Fatal:
        node.close()
        raise
    _next(caught, lambda: False)
    logs.geth("INFO", "Got interrupt, shutting down...")
    stopper = threading.Thread(target=node.stop, daemon=True)
    stopper.start()
    for left in range(9, -1, -1):
        if not _next(caught, lambda: not stopper.is_alive()):
            return 0
        if left:
            logs.geth("WARN", "Already shutting down, interrupt more to panic.", times=left)
    _panic()
    return 2


def _next(caught: List[int], ended: Callable[[], bool]) -> bool:
    """Wait for a signal; False when `ended` came first."""
    while not ended():
        if caught:
            caught.pop(0)
            return True
        time.sleep(0.05)
    return False
