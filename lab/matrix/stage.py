"""The lab of a matrix: one node with a key, two machines of one image, and what is asked of them between cells."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from lab import commands
from lab.configuration import LabConfiguration
from lab.faults.seams import OBSERVER
from lab.matrix.operator import Operator, Ran
from lab.matrix.plan import PlannedStep, Roles, read_steps
from lab.matrix.watch import Watch, console
from lab.rehearsal import records
from transcoder import settings as environments
from transcoder import tags
from transcoder.errors import Failed
from transcoder.settings import Settings

T = TypeVar("T")
COMMAND_BUDGET = 900.0
POLL_SECONDS = 0.5
HEALTHY_BUDGET = 30.0
"""Seconds for a node that was migrated to be healthy: it was so when the command ended, but an address may travel."""
BOOT_BUDGET = 120.0


@dataclass(frozen=True)
class Status:
    """What ``fab status --json`` says of the node."""

    healthy: bool
    instance: str
    problems: tuple[str, ...]


class Stage:
    """The lab and its node.

    :param environment: the environment file.
    :param logs: directory for what commands say.
    :param checkouts: where the first command of a cell is typed, and where all others.
    :param pair: the two machines, by id, in a lab that has more.
    """

    def __init__(
        self, environment: Path, logs: Path, checkouts: tuple[Path, Path], pair: tuple[str, str] | None = None
    ) -> None:
        self.environment, self._logs, self._pair = environment.resolve(), logs, pair
        self.first_checkout, self.other_checkout = checkouts
        self.settings: Settings = environments.load(str(self.environment))
        self.configuration: LabConfiguration = commands.configuration_of(self.settings)
        self.node = self.settings.node.default
        self._typed = 0

    @cached_property
    def ec2(self) -> Any:
        """A boto3 client that meets no fault: it sees EC2 as it is."""
        return boto3.client(
            "ec2",
            region_name=self.settings.aws.region,
            endpoint_url=self.settings.aws.endpoint_url,
            aws_access_key_id=OBSERVER,
            aws_secret_access_key=OBSERVER,
            config=Config(retries={"max_attempts": 0}),
        )

    @property
    def journal(self) -> Path:
        """The operators' journal."""
        return Path(self.settings.operator.journal)

    def prepare(self, say: Callable[[str], None]) -> None:
        """Bring the lab up with an image, a node and a second machine; what is there already is kept."""
        for command in (("invoke", "lab.up"), ("invoke", "bake-ami", "--yes")):
            say(" ".join(command))
            self.must(*command)
        if not self.machines():
            spare = ("invoke", "launch", "--spare", "--name", f"{self.node}-b", "--yes")
            for line in (("invoke", "launch", "--yes"), ("fab", "create-key", "--yes"), spare):
                say(" ".join(line))
                self.must(*line)

    def rebuild(self, say: Callable[[str], None]) -> None:
        """Begin with a fresh lab: for a node that no cell can be performed with any more. The image is kept."""
        self.must("invoke", "lab.down")
        self.prepare(say)

    def machines(self) -> dict[str, str]:
        """Return the private address of every machine of the matrix that there is, by instance id."""
        answer = self.ec2.describe_instances()
        found = [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]
        return {
            instance["InstanceId"]: instance["PrivateIpAddress"]
            for instance in found
            if instance["State"]["Name"] not in ("terminated", "shutting-down")
            and instance["InstanceId"] in (self._pair or (instance["InstanceId"],))
        }

    def volumes(self) -> dict[str, str]:
        """Return the instance that each of the node's volumes is at, by its id; nothing for one that is free."""
        answer = self.ec2.describe_volumes(Filters=[{"Name": f"tag:{tags.NODE}", "Values": [self.node]}])
        return {
            volume["VolumeId"]: next((str(bond["InstanceId"]) for bond in volume["Attachments"]), "")
            for volume in answer["Volumes"]
        }

    def watch(self) -> Watch:
        """Return a watcher of both machines and of the node's volumes."""
        return Watch(self.configuration, self.settings.ssh.user, self.ec2, self.machines(), tuple(self.volumes()))

    def status(self) -> Status:
        """Ask how the node is."""
        said = self._status()
        at_home = said["elastic_ip_at"] == said["instance"]
        problems = [*said["problems"], *([] if at_home else ["the Elastic IP is elsewhere"])]
        return Status(bool(said["healthy"]) and at_home, said["instance"], tuple(problems))

    def _status(self) -> dict[str, Any]:
        ran = self.run("fab", "status", "--node", self.node, "--json")
        try:
            return dict(json.loads(ran.stdout)[0])
        except (ValueError, IndexError) as error:
            raise Failed(f"fab status says nothing of {self.node}:\n{ran.said[-2000:]}") from error

    def await_healthy(self) -> Status:
        """Wait until the node is healthy; return the last status, which may say that it is not."""
        deadline = time.monotonic() + HEALTHY_BUDGET
        while not (found := self.status()).healthy and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return found

    def roles(self, carrier: str) -> Roles:
        """Return who leaves and who arrives when the node, which is at ``carrier``, moves."""
        others = [instance for instance in self.machines() if instance != carrier]
        if len(others) != 1:
            found = ", ".join((*others, carrier))
            raise Failed(f"a matrix needs two machines, the lab has {found}", hint="invoke lab.down")
        return Roles(carrier, others[0])

    def steps(self, roles: Roles) -> tuple[PlannedStep, ...]:
        """Return the steps of the migration as its dry run plans them."""
        ran = self.must(*self.migrate(roles, "--dry-run", "--json"))
        return read_steps(json.loads(ran.stdout), roles)

    def migrate(self, roles: Roles, *options: str) -> tuple[str, ...]:
        """Return the command line of the migration. Rounds go on meanwhile, and a cell waits for no reward."""
        return "fab", "migrate", "--to", roles.target, "--ignore-round", *options

    def begin(self, *command: str, again: bool = False) -> Operator:
        """Let an operator type a command, and return while it runs.

        :param again: in the other checkout, as on another computer.
        """
        self._typed += 1
        log = self._logs / f"{self._typed:04}-{command[1]}"
        checkout = self.other_checkout if again else self.first_checkout
        return Operator((*command, "--env", str(self.environment)), log, checkout)

    def run(self, *command: str, again: bool = True, budget: float = COMMAND_BUDGET) -> Ran:
        """Type a command and wait for its end."""
        return self.begin(*command, again=again).wait(budget)

    def must(self, *command: str) -> Ran:
        """Type a command that has to succeed.

        :raises Failed: when it does not.
        """
        ran = self.run(*command)
        if ran.exit_code != 0:
            raise Failed(f"`{' '.join(command)}` ended with {ran.exit_code}:\n{ran.said[-3000:]}")
        return ran

    def on(self, instance: str, *command: str, budget: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command as root on a machine, at the lab's own console."""
        argv = console(self.configuration, self.settings.ssh.user, self.machines()[instance], *command)
        null = subprocess.DEVNULL
        return subprocess.run(argv, stdin=null, capture_output=True, text=True, timeout=budget, check=False)

    def records(self, instance: str) -> records.Scan | None:
        """Read all records of the node; None where the machine does not have them."""
        read = self.on(instance, "cat", records.PATH)
        return records.parse(read.stdout) if read.returncode == 0 else None

    def await_power(self, instances: Sequence[str]) -> None:
        """Switch on every machine that is off, and wait until they all take commands.

        :raises Failed: when one does not.
        """
        deadline = time.monotonic() + BOOT_BUDGET
        waiting = list(instances)
        while waiting:
            self._start(waiting)
            waiting = [instance for instance in waiting if not self._answers(instance)]
            if waiting and time.monotonic() > deadline:
                raise Failed(f"{', '.join(waiting)}: no answer {BOOT_BUDGET:.0f} s after it was switched on")
            time.sleep(POLL_SECONDS if waiting else 0)

    def _start(self, instances: Sequence[str]) -> None:
        answer = self.ec2.describe_instances(InstanceIds=list(instances))
        found = [instance for reservation in answer["Reservations"] for instance in reservation["Instances"]]
        stopped = [instance["InstanceId"] for instance in found if instance["State"]["Name"] == "stopped"]
        if stopped:
            self.ec2.start_instances(InstanceIds=stopped)

    def _answers(self, instance: str) -> bool:
        try:
            said = self.on(instance, "systemctl", "is-system-running", budget=10).stdout.strip()
        except subprocess.TimeoutExpired:
            return False
        return said in ("running", "degraded")
