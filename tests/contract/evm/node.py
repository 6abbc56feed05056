"""A node on that chain which real command lines reach: EC2 is a lab without machines, and SSH leads to this machine.

What a machine would say of its mounts and units is written down; livepeer (the stand-in) and everything it is asked by
curl are real.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import paramiko

from lab.configuration import LabConfiguration
from tests.contract import ssh_server
from tests.contract.conftest import LATENCIES, LabNone, free_port, wait_until_ready
from tests.contract.evm.chain import Chain
from tests.contract.standins.test_livepeer_node import Livepeer
from tests.contract.watch.rig import fake_programs
from tests.unit.lab.standins.programs import new_account, started
from tests.unit.watch.machine import Machine
from transcoder import tags
from transcoder.facts.marker import render_marker
from transcoder.facts.release import TOOL
from transcoder.layout import LIVEPEER, MARKER
from transcoder.model import Marker
from transcoder.settings import ROOT, Settings, load

BIN = Path(sys.executable).parent
NETWORK = "127.31.210.0/24"
"""Of the loopback, whose every address is this machine: that of an instance leads to the SSH server below."""
NODE, ZONE = "tc001", "us-east-1a"
ENVIRONMENT = """\
description = "a node without a geth, whose chain is an EVM node"
[aws]
region = "us-east-1"
availability_zone = "{zone}"
endpoint_url = "{endpoint}"
access_key_id = "lab"
secret_access_key = "lab"
key_name = "lab"
ingress = [{{ port = 22, sources = ["127.0.0.0/8"] }}]
[ssh]
user = "root"
address = "private"
port = {ssh_port}
key_file = "{home}/key"
known_hosts = "{home}/known_hosts"
[image]
os = "ubuntu-18.04"
source_ami = {{ id = "ami-1" }}
[geth]
enabled = false
[livepeer]
version = "0.2.4"
source = "livepeer_linux.tar.gz"
network = "mainnet"
eth_url = "{chain}"
[instance]
type = "c4.2xlarge"
[volumes]
livepeer = {{ size_gib = 1, device = "/dev/sdg" }}
[node]
default = "{node}"
[watch]
interval_seconds = 1
rpc_interval_seconds = 1
reward_warn_share = 0.25
reward_alarm_share = 0.5
"""


@dataclass(frozen=True)
class Ran:
    """How a command line ended, and what it said."""

    exit_code: int
    said: str


@dataclass(frozen=True)
class Node:
    """The node: its environment's file, its machine's files, its livepeer and that one's account."""

    path: Path
    settings: Settings
    machine: Machine
    livepeer: Livepeer
    account: str

    def fab(self, task: str, *options: str) -> Ran:
        """Run a command line as an operator would."""
        argv = [str(BIN / "fab"), task, "--env", str(self.path), *options]
        null = subprocess.DEVNULL
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, stdin=null, check=False, timeout=300)
        return Ran(done.returncode, done.stdout + done.stderr)


@contextmanager
def a_node(home: Path, chain: Chain) -> Iterator[Node]:
    """Run a node's livepeer, with an account that is a transcoder on the chain, and what leads to it."""
    with _ec2(home) as when_ready, _livepeer(home, chain) as livepeer:
        ec2, account = when_ready(), livepeer.get("/ethAddr").lower()
        environment = {"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "HOME": str(home)}
        # curl reads this file by itself: port 8935 of the machine, which others may have here, is another one.
        (home / ".curlrc").write_text(f'connect-to = "127.0.0.1:8935:127.0.0.1:{livepeer.http}"\n')
        paramiko.ECDSAKey.generate().write_private_key_file(str(home / "key"))
        path = home / "evm.toml"
        with ssh_server.serving(ssh_server.Server(environment), _launch(ec2, path.stem)) as port:
            told = {"zone": ZONE, "endpoint": ec2.endpoint_url, "ssh_port": port, "home": home, "chain": chain.url}
            path.write_text(ENVIRONMENT.format(**told, node=NODE))
            settings = load(str(path))
            yield Node(path, settings, _machine(home, settings, account), livepeer, account)


@contextmanager
def _ec2(home: Path) -> Iterator[Callable[[], LabNone]]:
    """Run a lab without machines, and yield what waits for it: it takes its time to start."""
    table = {
        "name": "evm",
        "machines": "none",
        "network": NETWORK,
        "endpoint_port": free_port(),
        "state_root": str(home / "state"),
        "cache_directory": str(home / "cache"),
        "latency": "test",
        "latencies": {"test": LATENCIES},
    }
    file = home / "lab.json"
    file.write_text(json.dumps(table))
    configuration = LabConfiguration.model_validate(table)
    process = subprocess.Popen([sys.executable, "-m", "lab.daemon", "--configuration", str(file)], cwd=ROOT)
    try:
        yield lambda: LabNone(configuration, wait_until_ready(configuration, process))
    finally:
        process.terminate()
        process.wait(60)


def _launch(ec2: LabNone, environment: str) -> str:
    """Launch an instance that carries the node's volume, and return its address."""
    client = ec2.client("ec2")
    known = {tags.ENVIRONMENT: environment, tags.NODE: NODE}
    image = client.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    instance = client.run_instances(
        ImageId=image,
        InstanceType="c4.2xlarge",
        MinCount=1,
        MaxCount=1,
        Placement={"AvailabilityZone": ZONE},
        TagSpecifications=[_tagged("instance", {**known, tags.NAME: NODE})],
    )["Instances"][0]
    volume = client.create_volume(
        Size=1,
        AvailabilityZone=ZONE,
        VolumeType="gp2",
        TagSpecifications=[_tagged("volume", {**known, tags.ROLE: LIVEPEER.role})],
    )["VolumeId"]
    client.get_waiter("instance_running").wait(InstanceIds=[instance["InstanceId"]], WaiterConfig={"Delay": 1})
    client.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    client.attach_volume(VolumeId=volume, InstanceId=instance["InstanceId"], Device="/dev/sdg")
    return str(instance["PrivateIpAddress"])


def _tagged(kind: str, values: dict[str, str]) -> dict[str, object]:
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in values.items()]}


@contextmanager
def _livepeer(home: Path, chain: Chain) -> Iterator[Livepeer]:
    """Run the stand-in, whose key signs for a real chain. It calls no reward by itself."""
    datadir, http, peers = home / "lpData", free_port(), free_port()
    chain.register("0x" + new_account(home, datadir))
    words = ("-datadir", str(datadir), "-ipfsPath", str(home / "ipfs"), "-ethUrl", chain.url, "-transcoder")
    ports = ("-http", str(http), "-p", str(peers), "-rtmp", str(free_port()), "-publicIP", "203.0.113.7")
    with started("livepeer", *words, *ports, home=home, LIVEPEER_STANDIN_REWARD_SECONDS="100000") as program:
        program.wait_for_log("Livepeer Running in Transcoder Mode")
        yield Livepeer(program, datadir, http, peers)


def _machine(home: Path, settings: Settings, account: str) -> Machine:
    """Write down what a machine would say: its files, its mounts, its units."""
    machine = Machine(home / "root", settings)
    machine.now = time.time()
    marker = render_marker(Marker(node=NODE, role=LIVEPEER.role, address=account))
    machine.write(f"{LIVEPEER.mount}/{MARKER}", marker.decode())
    baked = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    machine.write(TOOL, json.dumps({"baked": baked, "livepeer": {"version": "0.2.4"}, "network": "mainnet"}))
    programs = fake_programs(home, machine)
    mount = {"target": LIVEPEER.mount, "source": "/dev/sdb", "fstype": "ext4", "options": "rw"}
    for name, printed in (("findmnt", {"filesystems": [mount]}), ("lsblk", {"blockdevices": []})):
        _program(programs / name, f"exec /bin/cat <<'END'\n{json.dumps(printed)}\nEND\n")
    own = f'[ ! -e "{machine.root}$path" ] || path="{machine.root}$path"'
    _program(programs / "cat", f'for path; do {own}; set -- "$@" "$path"; shift; done\nexec /bin/cat "$@"\n')
    return machine


def _program(path: Path, script: str) -> None:
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
