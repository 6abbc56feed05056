"""A lab of the tests' own: real machines, the real command lines, and a look at what they did."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
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
NETWORK = "172.31.220"
PORT = 5690


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


def write_environment(directory: Path, user: str = "operator") -> Path:
    """Write the environment of the tests' lab: the shipped one with a name, a network and a port of its own.

    In it IAM decides over every call: ``user`` has the policy of that name, and the machines have a role, with which
    they send their readings.
    """
    text = (ROOT / "environments" / "lab.toml").read_text(encoding="utf-8")
    changed = (
        text.replace("/var/lib/transcoder-lab/lab/", "/var/lib/transcoder-lab/rehearse/")
        .replace('\nname = "lab"', '\nname = "rehearse"')
        .replace("172.31.210", NETWORK)
        .replace("5620", str(PORT))
        .replace('\naccess_key_id = "lab"', f'\naccess_key_id = "{USERS[user]}"\ninstance_profile = "livepeer-node"')
    )
    changed = changed.replace("\n[operator]", "\n[monitoring]\ncloudwatch = true\n\n[operator]")
    path = directory / user / "rehearse.toml"
    path.parent.mkdir(parents=True)
    # A stalled geth is to be seen within a minute.
    watch = '[watch]\nafter_seconds = { "geth-head" = 20 }\n'
    path.write_text(f"{changed}iam = true\n\n{watch}", encoding="utf-8")
    return path


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

    @cached_property
    def ec2(self) -> Any:
        """A boto3 client of the account's root, for what the library never does."""
        aws = self.settings.aws
        root = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
        return boto3.client("ec2", region_name=aws.region, endpoint_url=aws.endpoint_url, **root)

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
        return Path("/var/lib/transcoder-lab/rehearse/disks") / f"{volume_id}.img"

    def digest(self, volume_id: str) -> str:
        """The sha256 of every byte of a volume."""
        with self.disk(volume_id).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def calls(self) -> list[dict[str, Any]]:
        """Return every API call that the lab has been asked, first to last."""
        return [json.loads(line) for line in self.log()]

    def log(self) -> list[str]:
        """Return the lines of the lab's log of calls, first to last."""
        log = Path("/var/lib/transcoder-lab/rehearse/calls.jsonl")
        return log.read_text(encoding="utf-8").splitlines(keepends=True)

    def ec2_state(self) -> Any:
        """All that EC2 knows of what belongs to nodes, but for times of requests."""
        answers = (
            self.ec2.describe_instances()["Reservations"],
            self.ec2.describe_volumes()["Volumes"],
            self.ec2.describe_addresses()["Addresses"],
            self.ec2.describe_tags()["Tags"],
        )
        return json.loads(json.dumps(answers, default=str, sort_keys=True))
