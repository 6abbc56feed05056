"""What ``invoke lab.up|status|down|logs|shell`` do. Plain arguments in, data out; printing is the tasks' business."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import kept_images, leftovers, lifecycle
from lab.configuration import LabConfiguration, parse
from lab.daemon import LOG_FILE, Ready
from lab.faults.seams import OBSERVER
from lab.lifecycle import POLL_SECONDS, Progress, read_ready
from lab.namespace import NAMESPACES
from lab.standins.build import build as build_standins
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.settings import Settings

__all__ = ["Down", "Machine", "Status", "Up", "configuration_of", "down", "logs", "read_ready", "shell", "status", "up"]

CONSOLE_TAIL_LINES = 15


@dataclass(frozen=True)
class Up:
    """A lab that is up; ``was_up`` when there was nothing to start."""

    ready: Ready
    was_up: bool


@dataclass(frozen=True)
class Machine:
    """An instance as ``lab.status`` shows it. ``console`` has its last lines where the machine is broken."""

    id: str
    name: str
    state: str
    zone: str
    private_ip: str
    public_ip: str
    image_id: str
    running: bool
    impaired: bool
    reason: str
    console: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """A lab: what stands. The items are EC2's own answers, cut to what identifies them."""

    ready: Ready | None
    machines: tuple[Machine, ...] = ()
    volumes: tuple[Mapping[str, Any], ...] = ()
    addresses: tuple[Mapping[str, Any], ...] = ()
    images: tuple[Mapping[str, Any], ...] = ()
    faults: tuple[Mapping[str, Any], ...] = ()


def up(settings: Settings, progress: Progress) -> Up:
    """Start the lab of an environment, detached, and wait until it is ready.

    :param progress: gets one line a step.
    :raises Refused: not root, a tool is missing, the port is taken, or a lab of that name is up with other settings.
    :raises Failed: the lab did not come up; its last words are in the message.
    """
    configuration = configuration_of(settings)
    running = read_ready(configuration)
    if running is not None:
        if running.configuration != configuration.model_dump_json(by_alias=True):
            raise Refused(
                f"the lab {configuration.name!r} is up with other settings than {settings.path}",
                hint="invoke lab.down, then invoke lab.up",
            )
        return Up(running, was_up=True)
    lifecycle.check_host(configuration)
    lifecycle.clear(configuration)
    if configuration.machines == "uml":
        made = build_standins(configuration.cache_directory / "standins")
        progress(f"stand-ins for {' and '.join(made)}: {configuration.cache_directory / 'standins'}")
    return Up(lifecycle.start(configuration, settings.path, progress), was_up=False)


def status(settings: Settings) -> Status:
    """Look at the lab of an environment; ``ready`` is None when it is down.

    A terminated instance is shown only where it ended by a fault of the lab.
    """
    configuration = configuration_of(settings)
    ready = read_ready(configuration)
    if ready is None:
        return Status(None)
    ec2 = _client(configuration)
    told = json.loads(_fetch(f"{configuration.endpoint_url}/lab/status"))
    known = told["machines"]
    reservations = ec2.describe_instances()["Reservations"]
    instances = [instance for reservation in reservations for instance in reservation["Instances"]]
    machines = [_machine(ec2, instance, known[instance["InstanceId"]]) for instance in instances]
    return Status(
        ready,
        machines=tuple(machine for machine in machines if machine.state != "terminated" or machine.console),
        volumes=tuple(ec2.describe_volumes()["Volumes"]),
        addresses=tuple(ec2.describe_addresses()["Addresses"]),
        images=tuple(ec2.describe_images(Owners=["self"])["Images"]),
        faults=tuple(told["faults"]),
    )


@dataclass(frozen=True)
class Down:
    """A lab that is down; ``was_there`` when there was something to end. The ids are of baked AMIs."""

    was_there: bool
    kept: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()


def down(settings: Settings, *, forget_images: bool = False) -> Down:
    """Take the lab of an environment down, whatever state it is in. Its baked AMIs come back with the next start.

    :param forget_images: remove the kept AMIs as well.
    :raises Failed: something of it is left; the message lists it.
    """
    configuration = configuration_of(settings)
    ready = read_ready(configuration, answering=False)
    was_there = ready is not None or configuration.state_directory.exists()
    if ready is not None:
        lifecycle.end(ready.pid)
    lifecycle.clear(configuration)
    left = leftovers.find(configuration)
    if left:
        text = "\n  ".join(left)
        raise Failed(f"the lab left something behind:\n  {text}", hint="end it by hand, then invoke lab.down")
    kept = kept_images.of_lab(configuration)
    forgotten = kept.forget() if forget_images else ()
    return Down(was_there, kept.names(), forgotten)


def logs(settings: Settings, instance: str = "", *, follow: bool = False) -> Iterator[str]:
    """Yield the lines, ends included, of the lab's own log or of an instance's console (by id or Name tag).

    :raises Refused: no such instance.
    :raises Unreachable: the lab is down.
    """
    configuration = configuration_of(settings)
    path = configuration.state_directory / LOG_FILE
    if instance:
        found = find_instance(configuration, instance)
        path = configuration.log_directory / f"{found['InstanceId']}.console.log"
    elif not path.exists():
        raise Unreachable("the lab is down", hint="invoke lab.up")
    return _lines(path, follow)


def shell(settings: Settings, instance: str, *command: str) -> list[str]:
    """Return the ssh command line into an instance (by id or Name tag; empty for the only one), with the lab's key.

    Root goes by the lab's namespace, where no security group stands in the way: this is the lab's console, not EC2's.

    :raises Refused: no such instance, or it is not running.
    :raises Unreachable: the lab is down.
    """
    configuration = configuration_of(settings)
    found = find_instance(configuration, instance)
    if found["State"]["Name"] != "running":
        raise Refused(f"{found['InstanceId']} is {found['State']['Name']}", hint="invoke lab.status")
    options = {
        "IdentityFile": str(configuration.key_file),
        "IdentitiesOnly": "yes",
        # Machines come and go on the same few addresses, and nobody else is on this network.
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
    }
    arguments = [argument for name, value in options.items() for argument in ("-o", f"{name}={value}")]
    inside = ["nsenter", f"--net={NAMESPACES / configuration.name}", "--"] if os.geteuid() == 0 else []
    return [*inside, "ssh", *arguments, f"{settings.ssh.user}@{found['PrivateIpAddress']}", *command]


def configuration_of(settings: Settings) -> LabConfiguration:
    """Return the lab's own part of an environment.

    :raises BadSettings: the environment has no [lab] table, or a wrong one.
    """
    return parse(settings.extension("lab"), str(settings.path))


def find_instance(configuration: LabConfiguration, wanted: str) -> Mapping[str, Any]:
    """Return EC2's description of an instance by its id, or Name tag where it is not terminated.

    :param wanted: empty for the only one that runs.
    :raises Refused: none, or several.
    :raises Unreachable: the lab is down.
    """
    if read_ready(configuration) is None:
        raise Unreachable("the lab is down", hint="invoke lab.up")
    reservations = _client(configuration).describe_instances()["Reservations"]
    instances = [instance for reservation in reservations for instance in reservation["Instances"]]
    found = [instance for instance in instances if _is(instance, wanted)]
    if len(found) != 1:
        names = ", ".join(sorted(f"{i['InstanceId']} {_name(i)}".strip() for i in instances)) or "none"
        what = f"are called {wanted!r}" if wanted else "run"
        raise Refused(f"{len(found)} instances {what}", hint=f"name one of the lab's instances: {names}")
    return dict(found[0])


def _is(instance: Mapping[str, Any], wanted: str) -> bool:
    state = instance["State"]["Name"]
    if not wanted:
        return bool(state == "running")
    return instance["InstanceId"] == wanted or (_name(instance) == wanted and state != "terminated")


def _client(configuration: LabConfiguration) -> Any:
    import boto3  # noqa: PLC0415 - `lab.up` does not need it

    return boto3.client(
        "ec2",
        region_name=configuration.region,
        endpoint_url=configuration.endpoint_url,
        aws_access_key_id=OBSERVER,  # no fault of the API is in the way
        aws_secret_access_key="lab",  # noqa: S106 - the lab takes any
    )


def _machine(ec2: Any, instance: Mapping[str, Any], known: Mapping[str, Any]) -> Machine:
    console: tuple[str, ...] = ()
    if known["impaired"] or "Error" in known["reason"]:
        output = ec2.get_console_output(InstanceId=instance["InstanceId"]).get("Output", "")
        console = tuple(output.splitlines()[-CONSOLE_TAIL_LINES:]) or ("(nothing on the console)",)
    return Machine(
        id=instance["InstanceId"],
        name=_name(instance),
        state=instance["State"]["Name"],
        zone=instance["Placement"]["AvailabilityZone"],
        private_ip=instance.get("PrivateIpAddress", ""),
        public_ip=instance.get("PublicIpAddress", ""),
        image_id=instance["ImageId"],
        running=known["running"],
        impaired=known["impaired"],
        reason=known["reason"],
        console=console,
    )


def _name(instance: Mapping[str, Any]) -> str:
    return next((str(tag["Value"]) for tag in instance.get("Tags", []) if tag["Key"] == "Name"), "")


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the lab's own endpoint
        return bytes(answer.read())


def _lines(path: Path, follow: bool) -> Iterator[str]:
    """Yield the lines of a file; with ``follow`` wait for more until the file is gone."""
    if not path.exists():
        return
    with path.open(errors="replace") as file:
        while True:
            line = file.readline()
            if line:
                yield line
            elif follow and path.exists():
                time.sleep(POLL_SECONDS)
            else:
                return
