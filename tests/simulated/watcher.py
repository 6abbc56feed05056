"""What must never happen in any world, at any moment: it raises at once, in the very call that makes it so."""

from __future__ import annotations

from dataclasses import dataclass, field


class InvariantBroken(AssertionError):
    """Something happened that costs a real node its money."""


@dataclass
class Watcher:
    """Knows who writes with which key, and every record that a livepeer has synced to its volume."""

    writers: dict[str, str] = field(default_factory=dict)
    """Ethereum address -> the machine whose livepeer runs with it."""
    written: dict[str, int] = field(default_factory=dict)
    """Volume -> the last record that livepeer wrote to it, synced or not."""
    acknowledged: dict[str, int] = field(default_factory=dict)
    """Volume -> the last record that is synced."""
    of_key: dict[str, int] = field(default_factory=dict)
    """Ethereum address -> the last record that its livepeer has synced, on whichever volume."""
    broken: list[str] = field(default_factory=list)

    def starts(self, address: str, machine: str, records: int) -> None:
        """A livepeer starts: it must be the only one with this key, and on a volume with all that it has synced."""
        other = self.writers.get(address)
        if other not in (None, machine):
            self.fail(f"two livepeers run with {address}: on {other} and on {machine}")
        if records < self.of_key.get(address, 0):
            self.fail(f"livepeer starts with {records} records on {machine}; {self.of_key[address]} were synced")
        self.writers[address] = machine

    def acknowledges(self, volume_id: str, address: str, record: int) -> None:
        """A livepeer's records up to this one are synced."""
        self.acknowledged[volume_id] = record
        self.of_key[address] = max(record, self.of_key.get(address, 0))

    def loses(self, volume_id: str, left: int) -> None:
        """A page cache is gone: what was synced must still be there."""
        if left < self.acknowledged.get(volume_id, 0):
            self.fail(f"{volume_id} has {left} records; {self.acknowledged[volume_id]} were synced")
        if volume_id in self.written:
            self.written[volume_id] = left

    def deletes(self, volume_id: str, others: int) -> None:
        """A volume is deleted: what was synced to it must be on another, which has ``others`` records."""
        if others < self.acknowledged.pop(volume_id, 0):
            self.fail(f"{volume_id} was deleted with records that no other volume has")
        self.written.pop(volume_id, None)

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
