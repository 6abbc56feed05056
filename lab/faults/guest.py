"""Commands in a machine, for faults that happen inside it: over SSH with the lab's key, by the lab's own namespace.

So neither a partition nor a security group is in the way. A command is a Python program for the machine's own Python
(3.6 or newer, standard library alone), run as root, that prints one JSON document.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from lab.faults.site import Site
from lab.namespace import NAMESPACES
from transcoder.errors import Failed, Refused, Unreachable
from transcoder.world import command_line

BUDGET_SECONDS = 120.0
NO_CONNECTION = 255
"""ssh's own exit code: no connection, or it broke."""
OPTIONS = (
    *("BatchMode=yes", "ConnectTimeout=30", "ServerAliveInterval=5", "ServerAliveCountMax=6", "LogLevel=ERROR"),
    # Machines come and go on the same few addresses, and nobody else is on this network.
    *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes"),
)


def run(site: Site, instance: Any, program: str, *arguments: str) -> Any:
    """Run a Python program in a machine and return what it prints, read as JSON.

    :raises Refused: this lab has no machines.
    :raises Unreachable: the machine does not answer.
    :raises Failed: the program ended with another code than 0; holds its last words.
    """
    argv = arguments_of(site, instance.private_ip, *arguments)
    try:
        done = subprocess.run(argv, input=program, capture_output=True, text=True, check=False, timeout=BUDGET_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{instance.id}: no end after {BUDGET_SECONDS:.0f} s", hint=_hint(instance)) from error
    if done.returncode == NO_CONNECTION:
        said = done.stderr.strip() or "the connection broke"
        raise Unreachable(f"{instance.id} does not answer over SSH: {said}", hint=_hint(instance))
    if done.returncode != 0:
        raise Failed(f"{instance.id}: {(done.stderr.strip() or done.stdout).splitlines()[-1:]}", hint=_hint(instance))
    return json.loads(done.stdout)


def arguments_of(site: Site, address: str, *arguments: str) -> list[str]:
    """Return the command line that runs Python in a machine, with the program on its standard input."""
    configuration = site.cloud.configuration
    if configuration.machines != "uml":
        raise Refused("this fault happens inside a machine, and this lab has none", hint='[lab] machines = "uml"')
    options = [part for option in OPTIONS for part in ("-o", option)]
    inside = ["nsenter", f"--net={NAMESPACES / configuration.name}", "--"]
    command = command_line(("sudo", "-n", "--", "python3", "-", *arguments))
    login = f"{site.operator.ssh_user}@{address}"
    return [*inside, "ssh", "-i", str(configuration.key_file), *options, login, command]


def _hint(instance: Any) -> str:
    return f"invoke lab.logs --instance {instance.id}"
