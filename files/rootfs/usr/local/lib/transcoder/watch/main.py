"""``transcoder-watch [--config FILE] [--root DIRECTORY] [--state FILE]``: puts the parts together and runs them."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from typing import Any, Dict, List

from transcoder_node import notify

from . import clock, cloudwatch, counted, geth, image, livepeer, money, rounds, service, show, units, volumes
from .board import Board
from .commands import run
from .loop import Loop, Timing
from .model import NoAnswer, Node, Probe
from .server import Server
from .store import Store

SAVED_EVERY = 300.0
TOLD_EVERY = 5.0
"""Seconds between two words to systemd; the unit's WatchdogSec= is many times that."""
SLOW = 300.0
"""Seconds between looks at what changes within hours."""


def probes_of(config: Dict[str, Any]) -> Dict[str, Probe]:
    """Return the probes that make sense on this node."""
    found: Dict[str, Probe] = {
        "units": units.look,
        "volumes": volumes.look,
        "livepeer": livepeer.look,
        "clock": clock.look,
        "image": image.look,
        "counted": counted.look,
        "service": service.look,
    }
    if config["geth"]:
        found["geth"] = geth.look
    elif config["rpc"]:
        found["rpc"] = geth.look_at_hosted
    if config["livepeer"]["on_chain"]:
        found.update(money=money.look, rounds=rounds.look)
    return found


def timings_of(config: Dict[str, Any], probes: Dict[str, Probe]) -> Dict[str, Timing]:
    """Return how often each probe looks: a hosted RPC endpoint is asked less often, slow things seldom."""
    often, deadline = float(config["interval_seconds"]), float(config["answer_seconds"])
    hosted = often if config["geth"] else float(config["rpc_interval_seconds"])
    seldom = max(often, float(config["slow_interval_seconds"]))
    slow = {
        "image": SLOW,
        "cloudwatch": cloudwatch.INTERVAL,
        "service": seldom,
        "money": seldom,
        "rounds": hosted,
        "rpc": hosted,
    }
    # A round takes many questions, one after the other.
    patient = {"cloudwatch": 3 * deadline, "rounds": 6 * deadline, "geth": 3 * deadline, "livepeer": 3 * deadline}
    return {name: Timing(slow.get(name, often), patient.get(name, deadline)) for name in probes}


def identity_of(config: Dict[str, Any], node: Node) -> Dict[str, str]:
    """Return who this is: environment, versions, and the node's name as its volume has it."""
    path = "{}/{}".format(config["volumes"]["livepeer"]["mount"], config["marker"])
    try:
        name = str(json.loads(node.read(path)).get("node", ""))
    except (NoAnswer, ValueError, AttributeError):
        name = ""
    return {**config["identity"], "node": name}


class Watch:
    """The running watch."""

    def __init__(self, config: Dict[str, Any], root: str, state: str) -> None:
        self.config = config
        self.node = Node(config, root, time.time, Store(state), run)
        self.board = Board(config["checks"], config["runbooks"])
        probes = probes_of(config)
        if config.get("cloudwatch"):
            probes["cloudwatch"] = cloudwatch.Sender(config["cloudwatch"], self._shown, self._identity).look
        self.loop = Loop(self.node, self.board, probes, timings_of(config, probes))
        listen = config["listen"]
        pages = {"/health": self._health, "/metrics": self._metrics}
        self.server = Server(listen["address"], listen["port"], pages)

    def run(self, stopping: threading.Event) -> None:
        """Look until it is told to stop; tell systemd that it is alive as long as looks come to an end."""
        self.server.start()
        notify("READY=1")
        saved = told = begun = time.monotonic()
        while not stopping.wait(1.0):
            now = time.monotonic()
            works = self.loop.tick(time.monotonic) or now - begun < float(self.config["answer_seconds"])
            if now - told >= TOLD_EVERY:
                told = now
                notify("{}STATUS={}".format("WATCHDOG=1\n" if works else "", self._line()))
            if now - saved >= SAVED_EVERY:
                saved = now
                self.node.store.save()
        self.node.store.save()

    def _shown(self) -> List[Any]:
        return self.board.shown(time.monotonic(), time.time())

    def _identity(self) -> Dict[str, str]:
        return identity_of(self.config, self.node)

    def _line(self) -> str:
        return show.status_line(self._shown())

    def _health(self) -> "tuple[int, str, str]":
        status, body = show.health(self._shown(), self._identity(), time.time())
        return status, "application/json", body

    def _metrics(self) -> "tuple[int, str, str]":
        body = show.metrics(self._shown(), self.board.gauges(), self._identity())
        return 200, "text/plain; version=0.0.4", body


def main(arguments: List[str]) -> int:
    """Run the watch until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="transcoder-watch")
    parser.add_argument("--config", default="/etc/transcoder/watch.json")
    parser.add_argument("--root", default="", help="a directory that stands for / (for tests)")
    parser.add_argument("--state", default="", help="the file that it remembers things in; none: in memory")
    options = parser.parse_args(arguments)
    state = options.state or _state_file()
    try:
        with open(options.config, encoding="utf-8") as file:
            watch = Watch(json.load(file), options.root.rstrip("/"), state)
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write("transcoder-watch: cannot start with {}: {!r}\n".format(options.config, error))
        return 78
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    watch.run(stopping)
    return 0


def _state_file() -> str:
    """Return the file in the unit's StateDirectory=, which systemd 237 makes but does not name in the environment."""
    directory = "/var/lib/transcoder-watch"
    return directory + "/memory.json" if os.access(directory, os.W_OK) else ""
