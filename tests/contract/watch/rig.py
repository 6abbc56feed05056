"""A watch process on this machine: real programs answer it, and files below a directory stand for the machine's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.lab.standins.programs import DEADLINE, Geth, free_port, wait_for
from tests.unit.watch.machine import Machine
from transcoder.settings import ROOT

PROGRAM = ROOT / "files/rootfs/usr/local/lib/transcoder/transcoder-watch"


class Watch:
    """A running watch and its two pages."""

    def __init__(self, machine: Machine, process: subprocess.Popen[bytes], port: int) -> None:
        self.machine, self.process, self.port = machine, process, port

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def states(self) -> dict[str, str]:
        """Return every check's state by ``check`` or ``check/subject``; none while the watch does not answer."""
        _, body = self.get("/health")
        found = json.loads(body)["checks"] if body else []
        return {item["check"] + (f"/{item['subject']}" if item["subject"] else ""): item["state"] for item in found}

    def message(self, check: str) -> str:
        _, body = self.get("/health")
        return next((str(item["message"]) for item in json.loads(body)["checks"] if item["check"] == check), "")

    def wait_for(self, check: str, state: str, seconds: float = DEADLINE) -> None:
        wait_for(
            f"{check} is {state}; it is {self.states().get(check)}", lambda: self.states().get(check) == state, seconds
        )


def configured(home: Path, node: Geth, http: int, work_port: int, address: str, thresholds: dict[str, Any]) -> Machine:
    """Return a machine whose configuration is that of 2018, with the ports of this run and no patience."""
    machine = Machine(home / "root")
    config = machine.config
    config["geth"]["url"] = config["rpc"] = f"http://127.0.0.1:{node.http}"
    config["livepeer"] |= {"base": f"http://127.0.0.1:{http}", "work_port": work_port}
    config["listen"]["port"] = free_port()
    config["interval_seconds"] = 1
    config["thresholds"] |= thresholds
    for check in config["checks"].values():
        check |= {"warn": 1, "alarm": 2, "clear": 2}
    machine.now = time.time()
    machine.baked(1)
    machine.write("/d1/.transcoder.json", json.dumps({"node": "tc001", "role": "livepeer", "address": address}))
    return machine


def fake_programs(home: Path, machine: Machine) -> Path:
    """Write a systemctl and a chronyc that say what a healthy machine's would."""
    directory = home / "bin"
    directory.mkdir()
    for name in ("systemctl", "chronyc"):
        (directory / f"{name}.txt").write_text(str(machine.printed[name]))
        (directory / name).write_text(f'#!/bin/sh\nexec cat "{directory}/{name}.txt"\n')
        (directory / name).chmod(0o755)
    return directory


@contextmanager
def watching(home: Path, machine: Machine) -> Iterator[Watch]:
    """Run a watch as long as the block."""
    path = home / "watch.json"
    path.write_text(json.dumps(machine.config))
    programs = fake_programs(home, machine)
    words = ("--config", str(path), "--root", str(machine.root), "--state", str(home / "memory.json"))
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    with (home / "watch.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-B", str(PROGRAM), *words], stdout=log, stderr=log, env=environment
        )
    watch = Watch(machine, process, machine.config["listen"]["port"])
    try:
        wait_for("the watch answers", lambda: watch.get("/health")[0])
        yield watch
    finally:
        process.terminate()
        process.wait(DEADLINE)


@contextmanager
def running(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as long as the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(DEADLINE)
