"""Starts the stand-ins as processes of this machine, on ports of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STANDINS = Path(__file__).resolve().parents[4] / "lab" / "standins"
DEADLINE = 20.0
_ENVIRONMENT = {"PATH": os.environ["PATH"], "GETH_STANDIN_PEER_SECONDS": "0.1", "GETH_STANDIN_BLOCK_SECONDS": "0.2"}
_ENVIRONMENT["GETH_STANDIN_FRESH_BLOCKS"] = "50"  # behind the head at the first start: in sync at once


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, check: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """The first true answer of `check`; fails with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = check()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"after {seconds} s still not: {what}")


def _environment(home: Path, more: dict[str, str]) -> dict[str, str]:
    return {**_ENVIRONMENT, "HOME": str(home), **more}


def run(name: str, *words: str, home: Path, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    argv = [sys.executable, str(STANDINS / name), *words]
    environment = _environment(home, more)
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, env=environment, timeout=60, check=False)


class Program:
    """A running program. `log` is all it has said on stdout and stderr."""

    def __init__(self, process: subprocess.Popen[bytes], log_path: Path) -> None:
        self.process = process
        self._log_path = log_path

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def wait_for_log(self, text: str) -> None:
        wait_for(f"{text!r} in the log, which says:\n{self.log}", lambda: text in self.log)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit code, negative when the signal killed it."""
        self.send(number)
        return self.process.wait(DEADLINE)


@contextmanager
def started(name: str, *words: str, home: Path, **more: str) -> Iterator[Program]:
    """A program that runs as long as the block, and no longer."""
    log_path = home / f"{name}-{time.monotonic_ns()}.log"
    argv = [sys.executable, str(STANDINS / name), *words]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=_environment(home, more)
        )
    try:
        yield Program(process, log_path)
    finally:
        process.kill()
        process.wait(DEADLINE)


class Geth:
    """A running geth and the ways to ask it."""

    def __init__(self, program: Program, datadir: Path, http: int, websocket: int) -> None:
        self.program = program
        self.datadir = datadir
        self.http = http
        self.websocket = websocket
        self.ipc = str(datadir / "geth.ipc")

    def call(self, method: str, *params: Any) -> Any:
        """The result of a JSON-RPC call over HTTP."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        return self.post(json.dumps(request))["result"]

    def post(self, body: str) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}", body.encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - http alone
            return json.loads(response.read())

    @property
    def head(self) -> int:
        return int(self.call("eth_blockNumber"), 16)

    def wait_until_in_sync(self) -> None:
        wait_for("in sync", lambda: self.call("net_peerCount") == "0x1" and self._age() < 3)

    def _age(self) -> float:
        return time.time() - int(self.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)


@contextmanager
def geth(home: Path, *words: str, datadir: str = "geth-data", **more: str) -> Iterator[Geth]:
    """A light geth with all doors open, up and answering."""
    http, websocket, peers = free_port(), free_port(), free_port()
    doors = ["--rpc", "--rpcport", str(http), "--ws", "--wsport", str(websocket), "--port", str(peers)]
    path = home / datadir
    mode = () if "--syncmode" in words else ("--syncmode", "light")
    with started("geth", "--datadir", str(path), *mode, *doors, *words, home=home, **more) as program:
        program.wait_for_log("WebSocket endpoint opened")
        yield Geth(program, path, http, websocket)


def new_account(home: Path, datadir: Path, password: str = "") -> str:
    """A light key file made by geth itself; the address, 40 digits."""
    password_file = home / "password"
    password_file.write_text(password)
    words = ("account", "new", "--lightkdf", "--password", str(password_file))
    result = run("geth", "--datadir", str(datadir), *words, home=home)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().removeprefix("Address: {").removesuffix("}")
