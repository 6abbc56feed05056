"""An operator's process that restores and proves a key with real commands on real files. Run by `test_canaries`.

Before each command it prints a line and waits for one: meanwhile somebody looks at every process there is.
The passphrase comes by a file descriptor, as with ``--passphrase-fd``.

    python -m tests.contract.keystores.restoring DIRECTORY ADDRESS DESCRIPTOR
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.simulated.disk import marker
from tests.simulated.world import NODE, Simulation, settings
from transcoder import app, keystores, operate, report
from transcoder.errors import Failed
from transcoder.layout import LIVEPEER, MARKER
from transcoder.model import Instance
from transcoder.recipes import restore_keys, verify_keys
from transcoder.settings import Settings
from transcoder.world import Command, Host, Output, World, command_line

REAL = {"base64", "install", "sync", "mv", "rm", "find", "stat", "cat"}
STOPPED = ("sh", "-c", 'kill -STOP $$; exec "$@"', "sh")
"""A command that is there, with all its arguments and its environment, and waits for SIGCONT: else it would have ended
before anybody looks, and of a process that has ended /proc shows nothing."""


class RealHost:
    """A machine whose ``/d1`` is a directory here: what is about files is done for real, the rest is simulated."""

    def __init__(self, simulated: Host, root: Path) -> None:
        self.name, self._simulated, self._root = simulated.name, simulated, root

    def run(
        self, *argv: str, stdin: str | bytes = "", sudo: bool = True, ok: Sequence[int] = (0,), timeout: float = 60.0
    ) -> Output:
        """Run a command; see `transcoder.world.Host`."""
        if argv[0] not in REAL or not any(part.startswith("/d1") for part in argv):
            return self._simulated.run(*argv, stdin=stdin, sudo=sudo, ok=ok, timeout=timeout)
        real = [str(self._root) + part if part.startswith("/d1") else part for part in argv]
        pipe = subprocess.PIPE
        with subprocess.Popen([*STOPPED, *real], stdin=pipe, stdout=pipe, stderr=pipe) as process:
            os.waitpid(process.pid, os.WUNTRACED)
            pause(f"{process.pid} {argv[0]}")
            process.send_signal(signal.SIGCONT)
            fed = stdin if isinstance(stdin, bytes) else stdin.encode()
            out, err = process.communicate(fed, timeout=timeout)
        output = Output(argv, process.returncode, out.decode(), err.decode())
        if output.exit_code not in ok:
            raise Failed(f"{command_line(argv)} ended with {output.exit_code}: {output.stderr}")
        return output

    def run_all(self, *commands: Command, sudo: bool = True, timeout: float = 60.0) -> tuple[Output, ...]:
        """Run commands one after the other; see `transcoder.world.Host`."""
        return tuple(self.run(*command.argv, sudo=sudo, ok=command.ok, timeout=timeout) for command in commands)


class RealHosts:
    """Machines of which each is the same directory."""

    def __init__(self, simulation: Simulation, root: Path) -> None:
        self._simulation, self._root = simulation, root

    def __call__(self, instance: Instance) -> RealHost:
        return RealHost(self._simulation.hosts(instance), self._root)

    def forget(self, instance: Instance) -> None:
        """Nothing is open."""


def pause(where: str) -> None:
    """Say where it is, and wait."""
    sys.stdout.write(f"PAUSE {where}\n")
    sys.stdout.flush()
    sys.stdin.readline()


def environment(directory: Path) -> Settings:
    """Return the environment: age files, and a journal."""
    keys = {
        "store": "age",
        "age_directory": str(directory / "safe"),
        "age_recipients": [(directory / "recipient").read_text()],
        "age_identity_file": str(directory / "identity"),
    }
    return settings(keys=keys, operator={"journal": str(directory / "operator" / "journal.jsonl")})


def main(directory: Path, address: str, descriptor: str) -> None:
    """Restore, then prove."""
    simulation = Simulation(environment(directory))
    simulation.node(address="")
    (directory / "machine" / "d1" / MARKER).write_bytes(marker(NODE, LIVEPEER.role))
    own = replace(
        simulation.world,
        hosts=RealHosts(simulation, directory / "machine"),
        keystore=lambda kind: keystores.by_name(kind, simulation.settings),
    )
    world: World = own
    console = report.TerminalConsole(yes=True)
    operation = restore_keys.operation(restore_keys.Request(NODE, address=address))
    outcome = operate.operate(operation, world, console)
    report.print_outcomes([outcome], dry_run=False, json_output=True)
    passphrase = app.passphrase("", descriptor)
    pause("passphrase in memory")
    checks = verify_keys.verify(world, NODE, ["age"], address, passphrase)
    report.print_checks(checks, json_output=True)
    assert all(check.proven for check in checks)
    pause("end")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
