"""Steps about the passphrase that a machine fetches for livepeer: what the store says of the node's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from transcoder import layout
from transcoder.errors import Failed, Refused
from transcoder.facts.passphrases import Passphrases, parse_passphrases, render_passphrases
from transcoder.secret import Secret
from transcoder.step import Step
from transcoder.world import Host, World


def find_passphrases(world: World, address: str) -> Mapping[str, Secret] | None:
    """Return what the store has of a key: its passphrase by the sha256 of the key file. None when it has nothing.

    A document that is none counts as one without passphrases: machines refuse it, and it is written anew.
    """
    document = world.passphrases().get(address)
    if document is None:
        return None
    try:
        return parse_passphrases(document).by_digest
    except Failed:
        return {}


def refuse_old_image(host: Host) -> None:
    """Refuse a machine whose image fetches no passphrase: its livepeer would find none at its next start.

    :raises Refused: then.
    """
    if host.run("test", "-x", layout.FETCH_PASSPHRASE, ok=(0, 1)).exit_code != 0:
        raise Refused(
            f"{host.name} was launched from an image that fetches no passphrase (it has no {layout.FETCH_PASSPHRASE})",
            hint="invoke bake-ami, then fab migrate --to new, then this command again",
        )


@dataclass(frozen=True, kw_only=True)
class KeepPassphrase(Step):
    """Say in the store which passphrase opens which key file, and read it back.

    ``files``: by the sha256 of the key file. ``why``: what it is good for, in the plan's words.
    """

    where: str
    address: str
    files: Mapping[str, Secret] = field(repr=False)
    why: str
    verb: ClassVar[str] = "keep"

    @property
    def key(self) -> str:
        """A rotation keeps two, one after the other."""
        return f"{self.lane}/{self.verb} {len(self.files)}: {self.why}"

    @property
    def title(self) -> str:
        return f"put the passphrase of {self.address} into {self.where}: {self.why}"

    def is_done(self, world: World) -> bool:
        return find_passphrases(world, self.address) == self.files

    def do(self, world: World) -> str:
        version = world.passphrases().put(self.address, render_passphrases(Passphrases(self.address, self.files)))
        return f"version {version}"
