"""A lab of the tests' own: real machines, the real command lines, and a look at what they did."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

from lab.iam.identities import USERS
from transcoder import settings as settings_module
from transcoder.aws import Aws
from transcoder.iam import BAKE_TASKS
from transcoder.model import Instance, Volume
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.remote import SshHosts
from transcoder.settings import ROOT, Settings
from transcoder.world import World

BIN = Path(sys.executable).parent
NODE = "tc001"


@dataclass(frozen=True)
class Lab:
    """A lab of the tests': the environment and the lab are called so, and it has a network and a port of its own."""

    name: str
    network: str
    port: int


LAB = Lab("rehearse", "172.31.220", 5690)
FETCHING = Lab("fetching", "172.31.221", 5691)
"""Of machines that fetch the passphrase of their key: another image, and other policies."""


@dataclass(frozen=True)
class Ran:
    """How a command line ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Its result, of ``--json``."""
        return json.loads(self.stdout)

    @property
    def said(self) -> str:
        """All it said."""
        return self.stdout + self.stderr


def write_environment(directory: Path, user: str = "operator", lab: Lab = LAB) -> Path:
    """Write the environment of a lab of the tests': the shipped one with a name, a network and a port of its own.

    In it IAM decides over every call: ``user`` has the policy of that name, and the machines have a role, with which
    they send their readings.
    """
    own = {
        "/var/lib/transcoder-lab/lab/": f"/var/lib/transcoder-lab/{lab.name}/",
        '\nname = "lab"': f'\nname = "{lab.name}"',
        "172.31.210": lab.network,
        "5620": str(lab.port),
        '\naccess_key_id = "lab"': f'\naccess_key_id = "{USERS[user]}"\ninstance_profile = "livepeer-node"',
        "\n[operator]": "\n[monitoring]\ncloudwatch = true\n\n[operator]",
        **(FETCHED if lab is FETCHING else {}),
    }
    text = (ROOT / "environments" / "lab.toml").read_text(encoding="utf-8")
    for old, new in own.items():
        assert old in text, f"the environment lab has {old!r} no longer"
        text = text.replace(old, new)
    path = directory / user / f"{lab.name}.toml"
    path.parent.mkdir(parents=True)
    # A stalled geth is to be seen within a minute.
    watch = '[watch]\nafter_seconds = { "geth-head" = 20 }\n'
    path.write_text(f"{text}iam = true\n\n{watch}", encoding="utf-8")
    return path


FETCHED = {
    'version = "0.2.4"': 'version = "v0.5.2"',
    "livepeer_linux.tar.gz": "livepeer-linux-amd64.tar.gz",
    'port = 15000, sources = ["0.0.0.0/0"], why = "livepeer 0.2: libp2p"': (
        'port = 8935, sources = ["0.0.0.0/0"], why = "livepeer: work from broadcasters"'
    ),
    "\n[instance]": '\n[keys]\npassphrase_store = "ssm"\n\n[instance]',
}
"""What an environment has in its place whose machines fetch passphrases: the oldest livepeer that reads a file."""


@dataclass
class Rig:
    """The lab, and what the tests do with it: each task with the credentials of who types it.

    ``environment`` is the operator's, ``baking`` that of who bakes.
    """

    environment: Path
    baking: Path
    made: list[str] = field(default_factory=list)

    @cached_property
    def settings(self) -> Settings:
        """The lab's environment."""
        return settings_module.load(str(self.environment))

    @cached_property
    def baking_settings(self) -> Settings:
        """The same environment with the credentials of who bakes."""
        return settings_module.load(str(self.baking))

    @cached_property
    def hosts(self) -> SshHosts:
        """Its machines."""
        return SshHosts(self.settings)

    @cached_property
    def world(self) -> World:
        """The world as the library sees it."""
        return World(self.settings, Aws(self.settings), self.hosts)

    def client(self, service: str) -> Any:
        """Return a boto3 client of the account's root, for what the library never does."""
        aws = self.settings.aws
        root = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
        return boto3.client(service, region_name=aws.region, endpoint_url=aws.endpoint_url, **root)

    @cached_property
    def ec2(self) -> Any:
        """The client of EC2."""
        return self.client("ec2")

    @property
    def directory(self) -> Path:
        """Where the lab keeps what it has while it is up."""
        return Path(self.settings.operator.journal).parent

    def run(self, program: str, task: str, *options: str, expect: int | None = 0) -> Ran:
        """Run ``invoke`` or ``fab`` as an operator would and check its exit code."""
        argv = [str(BIN / program), task, "--env", str(self._environment_for(program, task)), *options]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        ran = Ran(done.returncode, done.stdout, done.stderr)
        if expect is not None:
            assert ran.exit_code == expect, f"{' '.join(argv)} ended with {ran.exit_code}:\n{ran.said[-6000:]}"
        return ran

    def start(self, program: str, task: str, *options: str) -> subprocess.Popen[bytes]:
        """Start a command line and return it running, in a process group of its own."""
        argv = [str(BIN / program), task, "--env", str(self._environment_for(program, task)), *options]
        null = subprocess.DEVNULL
        return subprocess.Popen(argv, cwd=ROOT, stdin=null, stdout=null, stderr=null, start_new_session=True)

    def _environment_for(self, program: str, task: str) -> Path:
        return self.baking if f"{program} {task}" in BAKE_TASKS else self.environment

    def node(self) -> NodeFacts:
        """Where the node is."""
        return observe_node(self.world, NODE)

    def instance(self, name: str) -> Instance:
        """An instance by its Name."""
        return self.node().find(name)

    def on(self, name: str, *argv: str, ok: Sequence[int] = (0,)) -> str:
        """Run a command on a machine as root and return what it printed."""
        return self.hosts(self.instance(name)).run(*argv, ok=ok, timeout=120).stdout

    def status(self) -> dict[str, Any]:
        """What ``fab status --json`` says of the node."""
        found: list[dict[str, Any]] = self.run("fab", "status", "--node", NODE, "--json").json
        return found[0]

    def volume(self, zone: str = "us-east-1a") -> Volume:
        """Create a volume by hand, as an operator in the console would."""
        made = self.ec2.create_volume(Size=1, AvailabilityZone=zone, VolumeType="gp2")["VolumeId"]
        self.made.append(made)

        def available() -> Volume | None:
            return next((v for v in self.world.cloud.volumes(ids=[made]) if v.state == "available"), None)

        return self.world.wait(f"{made} available", available, 60)

    def disk(self, volume_id: str) -> Path:
        """The file behind a volume: what is on it when no machine has it."""
        return self.directory / "disks" / f"{volume_id}.img"

    def digest(self, volume_id: str) -> str:
        """The sha256 of every byte of a volume."""
        with self.disk(volume_id).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def calls(self) -> list[dict[str, Any]]:
        """Return every API call that the lab has been asked, first to last."""
        return [json.loads(line) for line in self.log()]

    def log(self) -> list[str]:
        """Return the lines of the lab's log of calls, first to last."""
        return (self.directory / "calls.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)

    def ec2_state(self) -> Any:
        """All that EC2 knows of what belongs to nodes, but for times of requests."""
        answers = (
            self.ec2.describe_instances()["Reservations"],
            self.ec2.describe_volumes()["Volumes"],
            self.ec2.describe_addresses()["Addresses"],
            self.ec2.describe_tags()["Tags"],
        )
        return json.loads(json.dumps(answers, default=str, sort_keys=True))


@contextmanager
def running(rig: Rig) -> Iterator[None]:
    """Bring a lab up with a freshly baked image; take it down at the end and see that nothing is left."""
    rig.run("invoke", "lab.down", "--forget-images")
    rig.run("invoke", "lab.up")
    try:
        rig.run("invoke", "bake-ami", "--yes")
        yield
    finally:
        rig.hosts.__exit__()
        rig.run("invoke", "lab.down")
