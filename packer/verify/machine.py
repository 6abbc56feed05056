"""testinfra over the project's own SSH: the same connection, addresses and host keys as everything else.

The only import of testinfra. Its own SSH backend would start an ssh process a command, and know nothing of host keys
that are remembered by instance.
"""

from __future__ import annotations

from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host as Machine

from transcoder.world import Host

__all__ = ["Machine", "machine_of"]

BUDGET = 120.0
"""Seconds for one command."""


class OverHost(BaseBackend):  # type: ignore[misc] # testinfra has no types for others
    """Runs testinfra's commands, which are shell text with its own quoting, as root on a machine of ours."""

    NAME = "transcoder"

    def __init__(self, host: Host) -> None:
        super().__init__(host.name)
        self._encoding = "utf-8"  # else it would ask the machine, before the first command and for nothing
        self._over = host

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Run a command; testinfra looks at its exit code itself."""
        text = self.get_command(command, *args)
        output = self._over.run("sh", "-c", text, ok=range(256), timeout=BUDGET)
        return self.result(output.exit_code, self.encode(text), output.stdout, output.stderr)


def machine_of(host: Host) -> Machine:
    """Return testinfra's view of a machine."""
    backend = OverHost(host)
    machine = Machine(backend)
    backend.set_host(machine)
    return machine
