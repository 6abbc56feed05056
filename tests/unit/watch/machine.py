"""A machine for the watch to look at: files below a directory, programs that answer, geth and livepeer over HTTP."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from watch import image
from watch.loop import observe
from watch.model import ALARM, OK, UNKNOWN, WARN, Gauge, NoAnswer, Node, Probe, Reading
from watch.store import Store

from packer.watch import watch_configuration
from transcoder.settings import Settings, load

__all__ = ["ALARM", "OK", "UNKNOWN", "WARN"]
ADDRESS = "0x0f544432cb27103055d8c1b5fba0e45f5a9ccea8"
NOW = 1_800_000_000.0
MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=remount-ro
30 22 8:16 / /d1 rw,noatime shared:2 - ext4 /dev/sdb rw
31 22 8:32 / /d2 rw,noatime shared:3 - ext4 /dev/sdc rw
"""
UNIT = """\
MainPID=4711
NRestarts={restarts}
Result=success
Id={unit}
LoadState=loaded
ActiveState={active}
SubState={sub}
ActiveEnterTimestampMonotonic=100000000
"""
TRACKING = "A9FEA97B,169.254.169.123,4,1795357427.3,{offset},-0.0,0.0,-0.4,-0.0,4.3,0.000060059,0.000065184,16.0,{leap}"


class Answers:
    """An HTTP server: ``pages`` by path (status, body), ``results`` of JSON-RPC by method (a value or a function).

    ``denial``: the HTTP status of an answer that is an error.
    """

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.results: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.denial = 200
        self.url = ""

    def page(self, path: str, body: object, status: int = 200) -> None:
        text = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.pages[path] = (status, text)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(question)
        result = self.results.get(question["method"], NoAnswer("the method does not exist"))
        try:
            value = result(*question["params"]) if callable(result) else result
            if isinstance(value, Exception):
                raise value
        except NoAnswer as error:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": str(error)}}
        return {"jsonrpc": "2.0", "id": 1, "result": value}


@contextmanager
def serving(answers: Answers) -> Iterator[Answers]:
    """Serve answers on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.reply(*answers.pages.get(self.path, (404, b"404 page not found\n")))

        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = answers.answer(question)
            self.reply(answers.denial if "error" in answer else 200, json.dumps(answer).encode())

        do_PUT = do_GET  # noqa: N815

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    answers.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()


class Machine:
    """A healthy node; tests break it."""

    def __init__(self, root: Path, settings: Settings | None = None) -> None:
        self.root = root
        self.now = NOW
        self.config = watch_configuration(settings or load("bionic-2018"))
        self.store = Store()
        self.printed: dict[str, str | Exception] = {}
        self.write("/proc/uptime", "1000.00 900.00\n")
        self.write("/proc/4711/cmdline", "\0".join(["livepeer", "-transcoder", "-publicIP", "10.1.2.7", "-v", "4", ""]))
        self.write("/proc/1/mountinfo", MOUNTS)
        for role, volume in self.config["volumes"].items():
            self.write(f"{volume['mount']}/.transcoder.json", self.marker(role))
        for device, label in (("8:16", "livepeer-data"), ("8:32", "geth-data")):
            self.write(f"/run/udev/data/b{device}", f"S:disk/by-label/x\nE:ID_FS_LABEL={label}\nE:ID_FS_TYPE=ext4\n")
        self.units()
        self.tracking()
        self.baked(1)

    def marker(self, role: str, address: str = ADDRESS) -> str:
        return json.dumps({"node": "tc001", "role": role, "address": address})

    def account(self, address: str) -> None:
        """Let the node have another account."""
        self.write(f"{self.config['volumes']['livepeer']['mount']}/.transcoder.json", self.marker("livepeer", address))

    def write(self, path: str, text: str) -> Path:
        target = self.root / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def units(self, broken: dict[str, tuple[str, str]] | None = None, *, restarts: int = 0) -> None:
        """Let all units be active but those that are named by role, with their ActiveState and SubState."""
        states = {unit: (broken or {}).get(role, ("active", "running")) for role, unit in self.config["units"].items()}
        texts = [UNIT.format(unit=u, active=a, sub=s, restarts=restarts) for u, (a, s) in states.items()]
        self.printed["systemctl"] = "\n".join(texts)

    def baked(self, days: float) -> None:
        """Let the image be so many days old."""
        moment = datetime.datetime.fromtimestamp(self.now - days * 86400, datetime.UTC)
        self.write(image.RELEASE, json.dumps({"baked": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}))

    def tracking(self, *, offset: float = 0.00001, leap: str = "Normal") -> None:
        self.printed["chronyc"] = TRACKING.format(offset=offset, leap=leap)

    def run(self, command: Sequence[str]) -> str:
        found = self.printed[command[0]]
        if isinstance(found, Exception):
            raise found
        return found

    @property
    def node(self) -> Node:
        return Node(self.config, str(self.root), lambda: self.now, self.store, self.run)

    def look(self, probe: Probe) -> dict[str, Reading]:
        """Return the readings of a probe by ``check`` or ``check/subject``; what it failed with under an empty name."""
        items, failure = observe(probe, self.node)
        found = {r.check + (f"/{r.subject}" if r.subject else ""): r for r in items if isinstance(r, Reading)}
        if failure:
            found[""] = Reading("", "", UNKNOWN, None, failure)
        return found

    def gauges(self, probe: Probe) -> dict[str, float]:
        items, _ = observe(probe, self.node)
        return {gauge.name: gauge.value for gauge in items if isinstance(gauge, Gauge)}


def levels(readings: dict[str, Reading]) -> dict[str, int]:
    return {name: reading.level for name, reading in readings.items()}


Views = Callable[[dict[str, str], str], str]


def word(value: int) -> str:
    return f"{value:064x}"


class Contracts:
    """The contracts of a network behind eth_call, and their log."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.protocol = config["protocol"]
        self.bonding, self.rounds = "0x" + "b0" * 20, "0x" + "10" * 20
        self.number, self.start, self.length, self.block = 100, 1000, 5760, 1000
        self.initialized, self.active, self.last_reward = True, True, 99
        self.head = self.block
        self.logs: list[dict[str, Any]] = []
        self.most_blocks = 10**9

    def serve(self, answers: Answers) -> None:
        answers.results |= {
            "eth_call": self.call,
            "eth_getLogs": self.get_logs,
            "eth_blockNumber": lambda: hex(self.head),
        }

    def call(self, question: dict[str, str], _: str) -> str:
        selector, data = question["data"][:10], question["data"][10:]
        if question["to"] == self.protocol["controller"]:
            named = {v: k for k, v in self.protocol["contracts"].items()}[data]
            address = {"BondingManager": self.bonding, "RoundsManager": self.rounds}[named]
            return "0x" + word(int(address, 16))
        own = int(data[:64] or "0", 16) == int(ADDRESS, 16)
        values = {
            (self.rounds, "0x8a19c8bc"): self.number,
            (self.rounds, "0x219bc76c"): int(self.initialized),
            (self.rounds, "0x8fa148f2"): self.start,
            (self.rounds, "0x8b649b94"): self.length,
            (self.rounds, "0x8ae63d6d"): self.block,
            (self.bonding, "0x5dce9948"): self.last_reward if own else 0,
            (self.bonding, "0x7c0207cb" if self.protocol["active_by_round"] else "0x08802374"): int(self.active),
        }
        if (question["to"], selector) not in values:
            raise NoAnswer("execution reverted")
        return "0x" + word(values[question["to"], selector])

    def log(self, signature_topic: str, block: int, *, topic: str = "", contract: str = "") -> None:
        """Add an event of the node's account, or with another second topic."""
        self.logs.append(
            {
                "address": contract or self.bonding,
                "topics": [signature_topic, topic or "0x" + word(int(ADDRESS, 16))],
                "blockNumber": hex(block),
                "transactionHash": f"0x{block:064x}",
                "logIndex": hex(len(self.logs)),
                "removed": False,
            }
        )

    def get_logs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if last - first >= self.most_blocks:
            raise NoAnswer("block range is too wide")
        kinds = wanted["topics"][0] if isinstance(wanted["topics"][0], list) else [wanted["topics"][0]]
        return [
            log
            for log in self.logs
            if log["address"] == wanted["address"]
            and log["topics"][0] in kinds
            and log["topics"][1] == wanted["topics"][1]
            and first <= int(log["blockNumber"], 16) <= last
        ]
