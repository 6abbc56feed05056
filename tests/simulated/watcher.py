"""What must never happen in any world, at any moment: it raises at once, in the very call that makes it so."""

from __future__ import annotations

from dataclasses import dataclass, field


class InvariantBroken(AssertionError):
    """Something happened that costs a real node its money."""


@dataclass
class Watcher:
    """Knows who writes with which key, and every record that a livepeer has been told is on its volume."""

    writers: dict[str, str] = field(default_factory=dict)
    """Ethereum address -> the machine whose livepeer runs with it."""
    acknowledged: dict[str, int] = field(default_factory=dict)
    """Volume -> the last record that was written to it."""
    broken: list[str] = field(default_factory=list)

    def starts(self, address: str, machine: str) -> None:
        """A livepeer starts: it must be the only one with this key."""
        other = self.writers.get(address)
        if other not in (None, machine):
            self.fail(f"two livepeers run with {address}: on {other} and on {machine}")
        self.writers[address] = machine

    def ends(self, machine: str) -> None:
        """The livepeer of a machine has ended."""
        self.writers = {address: name for address, name in self.writers.items() if name != machine}

    def writes(self, volume_id: str, machine: str, *, bond: str, mounted: bool) -> None:
        """A livepeer writes: its volume must be mounted and EC2 must call it attached."""
        if bond != "attached" or not mounted:
            self.fail(f"livepeer on {machine} writes while {volume_id} is {bond}, mounted: {mounted}")

    def fail(self, problem: str) -> None:
        """Remember and raise."""
        self.broken.append(problem)
        raise InvariantBroken(problem)
