"""The watch, Prometheus and Alertmanager as processes, in front of a geth and a livepeer that run."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.contract.standins.test_livepeer_node import Livepeer, livepeer
from tests.contract.watch.rig import Watch, configured, running, watching
from tests.unit.lab.standins.programs import Geth, free_port, geth, wait_for
from transcoder.settings import ROOT

MONITORING = ROOT / "templates/monitoring/prometheus"
NOW_AND_THEN = {"LIVEPEER_STANDIN_REWARD_SECONDS": "100000"}
"""livepeer does not call its reward by itself."""


@contextmanager
def a_node(home: Path, thresholds: dict[str, Any], **chain: str) -> Iterator[tuple[Geth, Livepeer, Watch]]:
    with geth(home, **chain) as node:
        node.wait_until_in_sync()
        with livepeer(home, node, **NOW_AND_THEN) as own:
            address = own.get("/ethAddr")
            machine = configured(home, node, own.http, own.peers, address, thresholds)
            with watching(home, machine) as watch:
                yield node, own, watch


def test_a_round_without_reward_warns_then_alarms_and_its_event_ends_it(tmp_path: Path) -> None:
    shares = {"reward_warn_share": 0.3, "reward_alarm_share": 0.6, "round_alarm_share": 1}
    rounds = {"GETH_STANDIN_ROUND_LENGTH": "150", "GETH_STANDIN_ROUND_INIT_BLOCKS": "0"}
    with a_node(tmp_path, shares, **rounds) as (_, own, watch):
        before = int(own.get("/currentRound"))
        wait_for("a new round", lambda: int(own.get("/currentRound")) > before, 40)
        begun = time.monotonic()
        watch.wait_for("reward", "ok")
        watch.wait_for("reward", "warn", 30)
        warned = time.monotonic() - begun
        watch.wait_for("reward", "alarm", 30)
        alarmed = time.monotonic() - begun
        assert "was not called" in watch.message("reward")
        assert watch.get("/health")[0] == 503
        own.get("/reward")
        watch.wait_for("reward", "ok", 30)

    # 150 blocks of 0.2 s: the shares are at 9 s and 18 s.
    assert 8 <= warned < alarmed
    assert alarmed >= 17


def test_the_event_is_told_as_the_proof(tmp_path: Path) -> None:
    rounds = {"GETH_STANDIN_ROUND_LENGTH": "100000", "GETH_STANDIN_ROUND_INIT_BLOCKS": "0"}
    with a_node(tmp_path, {"reward_warn_share": 1, "reward_alarm_share": 1}, **rounds) as (_, own, watch):
        own.get("/reward")

        def proven() -> bool:
            return re.search(r"was called: block \d+, 0x[0-9a-f]{64}$", watch.message("reward")) is not None

        wait_for("the event is found", proven)
        assert 'transcoder_check_state{check="reward",subject=""} 0.0' in watch.get("/metrics")[1]


class Received:
    """What Alertmanager has sent: the statuses of each alert, in order."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []

    def statuses(self, name: str) -> list[str]:
        return [alert["status"] for alert in self.alerts if alert["labels"]["alertname"] == name]


@contextmanager
def webhook(port: int) -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.alerts += body["alerts"]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


def impatient(text: str, **ports: int) -> str:
    """Return a shipped configuration for this run: other ports, and everything within seconds."""
    for old, new in (
        ("10.0.0.10:9847", f"127.0.0.1:{ports.get('watch', 0)}"),
        ("127.0.0.1:9093", f"127.0.0.1:{ports.get('alertmanager', 0)}"),
        ("127.0.0.1:9099", f"127.0.0.1:{ports.get('webhook', 0)}"),
        ("interval: 15s", "interval: 1s"),
        ("group_wait: 10s", "group_wait: 1s"),
        ("group_interval: 1m", "group_interval: 1s"),
    ):
        text = text.replace(old, new)
    return text


@contextmanager
def prometheus(home: Path, watch: Watch, hook: int) -> Iterator[None]:
    """Run Prometheus and Alertmanager with the configurations that ship, as long as the block."""
    manager = free_port()
    configuration = impatient((MONITORING / "prometheus.yml").read_text(), watch=watch.port, alertmanager=manager)
    (home / "prometheus.yml").write_text(configuration)
    (home / "alertmanager.yml").write_text(impatient((MONITORING / "alertmanager.yml").read_text(), webhook=hook))
    shutil.copy(MONITORING / "transcoder.rules.yml", home)
    alerting = (
        *("prometheus-alertmanager", f"--config.file={home}/alertmanager.yml", f"--storage.path={home}/alertmanager"),
        *(f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address="),
    )
    scraping = (
        *("prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/tsdb"),
        f"--web.listen-address=127.0.0.1:{free_port()}",
    )
    with running(*alerting, log=home / "alertmanager.log"), running(*scraping, log=home / "prometheus.log"):
        yield


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="script/bootstrap installs prometheus")
def test_a_stalled_geth_fires_an_alert_at_the_operators_and_its_cure_resolves_it(tmp_path: Path) -> None:
    hook, patient = free_port(), {"GETH_STANDIN_ROUND_LENGTH": "100000", "GETH_STANDIN_ROUND_INIT_BLOCKS": "0"}
    thresholds = {"head_age_seconds": 3, "reward_warn_share": 1, "reward_alarm_share": 1}
    with (
        a_node(tmp_path, thresholds, **patient) as (node, _, watch),
        webhook(hook) as received,
        prometheus(tmp_path, watch, hook),
    ):
        watch.wait_for("geth-head", "ok")
        stall = node.datadir / "geth" / "STALL"
        stall.write_text("")
        wait_for("the alert fires", lambda: "firing" in received.statuses("TranscoderGethHead"), 60)
        fired = next(a for a in received.alerts if a["labels"]["alertname"] == "TranscoderGethHead")
        stall.unlink()
        wait_for("the alert is resolved", lambda: "resolved" in received.statuses("TranscoderGethHead"), 60)

    assert fired["annotations"]["runbook"] == "docs/runbooks/geth-head.md"
    assert (ROOT / fired["annotations"]["runbook"]).exists()
    assert received.statuses("TranscoderLivepeerApi") == []
