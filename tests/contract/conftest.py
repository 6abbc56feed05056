"""What contract tests stand on: a lab without machines, started as an ordinary process, or the real EC2.

With ``TRANSCODER_TEST_REAL_EC2=1`` the tests of ``tests/contract/ec2`` run against EC2 itself, in the region and with
the credentials of the environment (``AWS_REGION``, ``AWS_PROFILE``, ...), on the AMI of ``TRANSCODER_TEST_REAL_AMI``.
They launch a few of the smallest instances and 1 GiB volumes, and delete what they made.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from lab.configuration import LabConfiguration
from lab.daemon import Ready

ROOT = Path(__file__).resolve().parents[2]
REAL = os.environ.get("TRANSCODER_TEST_REAL_EC2") == "1"
LATENCIES = {
    "pending_to_running": 0.1,
    "attach": 0.2,
    "detach": 0.2,
    "volume_create": 0.1,
    "snapshot": 0.5,
    "snapshot_incremental": 0.1,
    "stop": 0.1,
    "terminate": 0.1,
    "associate_address": 0.1,
    "status_checks": 0.4,
}


@dataclass(frozen=True)
class LabNone:
    """A running lab without machines."""

    configuration: LabConfiguration
    ready: Ready

    @property
    def endpoint_url(self) -> str:
        """Where its EC2 and its other services are."""
        return self.ready.endpoint_url

    def client(self, service: str, region: str = "") -> Any:
        """Return a boto3 client of one of its services, in its first region if no other is named."""
        return boto3.client(
            service,
            region_name=region or self.ready.region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id="lab",
            aws_secret_access_key="lab",
        )


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until_ready(configuration: LabConfiguration, process: subprocess.Popen[bytes]) -> Ready:
    """Return what the daemon says when it is ready; fail with its log when it is not within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if configuration.daemon_file.exists():
            return Ready(**json.loads(configuration.daemon_file.read_text()))
        time.sleep(0.05)
    log = configuration.state_directory / "daemon.log"
    pytest.fail(f"the lab did not start (exit {process.poll()}): {log.read_text() if log.exists() else 'no log'}")


@pytest.fixture(scope="session")
def lab_none(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabNone]:
    """Start a lab without machines for the whole session; it must end cleanly when told to."""
    directory = tmp_path_factory.mktemp("lab")
    table = {
        "name": "contract",
        "machines": "none",
        "second_region": "us-west-2",
        "endpoint_port": free_port(),
        "state_root": str(directory / "state"),
        "cache_directory": str(directory / "cache"),
        "latency": "test",
        "latencies": {"test": LATENCIES},
    }
    file = directory / "lab.json"
    file.write_text(json.dumps(table))
    configuration = LabConfiguration.model_validate(table)
    process = subprocess.Popen([sys.executable, "-m", "lab.daemon", "--configuration", str(file)], cwd=ROOT)
    try:
        yield LabNone(configuration, wait_until_ready(configuration, process))
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not configuration.state_directory.exists()


@pytest.fixture(scope="session")
def ec2_endpoint(lab_none: LabNone) -> str:
    """Return the URL of an EC2 that has no machines."""
    return lab_none.endpoint_url
