"""Switches the lab's faults on and off as the cells want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.faults import client
from lab.matrix.plan import PlannedStep, Roles
from lab.matrix.rules import Cell
from transcoder.settings import Settings

DAMAGE = "corrupt_filesystem"
"""It can be taken back only while no machine has the volume, and is repaired by then. With another ``lasts`` each time
it counts as another one, which takes the place of the last."""
FOREVER = 100_000.0


class Injector:
    """What switches the faults of cells, and remembers which it has left on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._on: dict[str, Mapping[str, Any]] = {}
        self._count = 0

    def on(self, cell: Cell, roles: Roles) -> str:
        """Switch the cell's fault on; return what it did, in words."""
        self._count += 1
        options = options_of(cell, roles)
        if cell.trouble.fault == DAMAGE:
            options["lasts"] = FOREVER + self._count
        self._on[cell.trouble.fault] = options
        return client.set_fault(self._settings, cell.trouble.fault, True, **options)

    def off(self, cell: Cell) -> str:
        """Switch the cell's fault off; nothing when it is not on."""
        if self._on.pop(cell.trouble.fault, None) is None or cell.trouble.fault == DAMAGE:
            return ""
        return client.set_fault(self._settings, cell.trouble.fault, False)

    def clear(self) -> None:
        """Switch off all that is on."""
        self._on.clear()
        for fault in reversed(client.active(self._settings)):
            if fault.name != DAMAGE:
                client.set_fault(self._settings, fault.name, False)


def options_of(cell: Cell, roles: Roles) -> dict[str, Any]:
    """Return the options with which a cell's fault is switched on."""
    trouble, step = cell.trouble, cell.at
    options: dict[str, Any] = dict(trouble.options)
    if trouble.machine:
        options["instance"] = roles.source if trouble.machine == "source" else roles.target
    if trouble.per_volume:
        options["volume"] = volume_of(step)
    if trouble.per_action:
        options["action"] = step.calls[0]
    return options


def volume_of(step: PlannedStep) -> str:
    """Return the role of the volume that a step is about: its lane is named after it."""
    return step.lane
