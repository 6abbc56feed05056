"""What a check is given, and how it says that something is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transcoder.layout import DataVolume
from transcoder.model import Image, Instance
from transcoder.settings import Settings
from transcoder.shape import data_volumes
from transcoder.world import Host, World

if TYPE_CHECKING:
    from packer.verify.machine import Machine


class Wrong(Exception):
    """What a check has found is not what it should be; the message is what was found."""


@dataclass(frozen=True)
class Subject:
    """The machine that is tested. ``machine`` is testinfra's, as root; ``host`` the same over our own SSH.

    ``seconds`` from the launch until it was booted; ``host_keys`` those of other machines by instance id, as far as
    they are remembered.
    """

    world: World
    machine: Machine
    host: Host
    image: Image
    instance: Instance
    seconds: float
    host_keys: Mapping[str, frozenset[str]]

    @property
    def settings(self) -> Settings:
        """The environment that the image was baked for."""
        return self.world.settings

    @property
    def volumes(self) -> tuple[DataVolume, ...]:
        """The volumes that the image is for."""
        return data_volumes(self.settings)

    def output(self, command: str, *parts: str) -> str:
        """Run a shell command as root and return what it printed; ``%s`` in it stands for a part, quoted.

        :raises Wrong: when it fails.
        """
        done = self.machine.run(command, *parts)
        if done.rc != 0:
            raise Wrong(f"`{command % parts if parts else command}` ended with {done.rc}: {said(done)}")
        return str(done.stdout).strip()


def said(done: object) -> str:
    """Return what a command said, on one line."""
    text = " ".join(f"{getattr(done, 'stdout', '')} {getattr(done, 'stderr', '')}".split())
    return text[-400:]


def none_of(findings: Iterable[str], otherwise: str) -> str:
    """Return ``otherwise`` when there are no findings.

    :raises Wrong: with all of them.
    """
    found = list(findings)
    if found:
        raise Wrong("; ".join(found))
    return otherwise
