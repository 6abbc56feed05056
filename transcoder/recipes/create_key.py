"""`fab create-key`: a fresh node's first Ethereum account, made on its own volume. The key never leaves the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transcoder import guest, layout, shape
from transcoder.actions.guest import GuestStep
from transcoder.actions.passphrases import KeepPassphrase, find_passphrases
from transcoder.actions.volume import Mark, Place, is_tagged
from transcoder.errors import Failed, Refused
from transcoder.facts import keystore
from transcoder.layout import LIVEPEER
from transcoder.model import Instance, Marker
from transcoder.operate import Operation
from transcoder.recipes.node import NodeFacts, observe_node
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.step import Plan, Skip, Step
from transcoder.world import Host, World

DATADIR = "/d1/livepeer/.lpData"
EMPTY = ("--password", "/dev/null")
"""The first line of the password file is the passphrase: of an empty file, the empty one. With it the cost of the
standard key derivation protects nothing, and livepeer would pay it (256 MiB, 1 s and more) at every start."""

NEW_ACCOUNT = "/usr/local/lib/transcoder/new-account"
"""Baked where there is no geth that could make a key (``files/rootfs``)."""
NO_SUCH_COMMAND = 127


@dataclass(frozen=True)
class Observed:
    """All that the plan is made from. ``accounts`` are those in the keystore."""

    settings: Settings
    node: NodeFacts
    instance: Instance
    mounted: bool
    marker: Marker | None
    accounts: tuple[str, ...]
    fresh: tuple[str, ...] = ()
    """Digests of a new key's files, where the machine fetches a passphrase and the store knows nothing of it."""


@dataclass(frozen=True, kw_only=True)
class CreateAccount(GuestStep):
    """Have geth make an account in livepeer's keystore, with an empty passphrase; without a geth `NEW_ACCOUNT` does.

    livepeer makes accounts, too: up to v0.5.29 it asks for a passphrase on a terminal, from v0.5.30 on it encrypts the
    new key with the name of the password's file (go-livepeer #4037). At a start every version tries the empty
    passphrase first, and 0.2.4 takes any other only on its command line, where every user of the machine can read it.
    The keystore is readable by the service user alone.
    """

    verb: ClassVar[str] = "create-account"

    @property
    def title(self) -> str:
        return f"create an Ethereum account in {layout.KEYSTORE} on {self.instance.name}"

    def is_done(self, world: World) -> bool:
        return bool(accounts(self.host(world)))

    def do(self, world: World) -> None:
        made: tuple[str, ...] = (NEW_ACCOUNT, layout.KEYSTORE)
        if shape.has_geth(world.settings):
            made = ("/usr/local/bin/geth", "--datadir", DATADIR, "--lightkdf", "account", "new", *EMPTY)
        own = ("runuser", "-u", LIVEPEER.service.user, "--", "env", f"HOME={DATADIR}")
        output = self.host(world).run(*own, *made, timeout=120, ok=(0, NO_SUCH_COMMAND))
        if output.exit_code == NO_SUCH_COMMAND:
            raise Failed(
                f"{self.instance.name} has no {made[0]}: its image is not one of this environment's newer ones",
                hint="bake one and move the node to it (invoke bake-ami; fab migrate --to new), or put a key that "
                f"exists into {layout.KEYSTORE}",
            )


def accounts(host: Host) -> tuple[str, ...]:
    """Return the accounts in the node's keystore, oldest first; none when there is no keystore yet."""
    output = host.run(*keystore.list_command(layout.KEYSTORE), ok=(0, 1))
    files = keystore.parse_names(output.stdout) if output.exit_code == 0 else ()
    return tuple(dict.fromkeys(file.address for file in files))


def operation(node: str) -> Operation:
    """Return the operation for `transcoder.operate`."""
    return Operation("fab create-key", node, lambda world: plan(observe(world, node)))


def observe(world: World, node: str) -> Observed:
    """Look at the node's machine and keystore."""
    facts = observe_node(world, node)
    instance = facts.carrier
    if instance is None or facts.livepeer is None:
        raise Refused(f"node {node} is not at any instance", hint=f"fab attach --node {node}")
    host = world.hosts(instance)
    mounted = guest.observe(host).mounted(LIVEPEER.mount)
    marker = guest.read_marker(host, LIVEPEER) if mounted else None
    found = accounts(host) if mounted else ()
    new = bool(found) and marker is not None and not marker.address
    fresh = _fresh(world, host, found[0]) if new and world.settings.keys.passphrase_store else ()
    return Observed(world.settings, facts, instance, mounted, marker, found, fresh)


def _fresh(world: World, host: Host, address: str) -> tuple[str, ...]:
    """Return the digests of an account's key files, told by the machine: the key does not leave it."""
    if find_passphrases(world, address) is not None:
        return ()
    listed = keystore.parse_names(host.run(*keystore.list_command(layout.KEYSTORE)).stdout)
    paths = [f"{layout.KEYSTORE}/{file.name}" for file in listed if file.address == address]
    return tuple(host.run("sha256sum", path).stdout.partition(" ")[0] for path in paths)


def plan(observed: Observed) -> Plan:
    """Return what is to be done: make the account where there is none, then write it into the marker.

    :raises Refused: when the volume is not ready, or there are several accounts, or another one than expected.
    """
    node, instance, volume = observed.node, observed.instance, observed.node.livepeer
    reasons = _reasons(observed)
    if reasons or volume is None:
        raise Refused(f"no key is created for node {node.name}", reasons=reasons, hint="fab status")
    title = f"create the key of node {node.name} on {instance.name}"
    if not observed.accounts:
        note = f"then: write the address into the marker; back the key up: it exists only on {volume.id}"
        return Plan(title, (CreateAccount(instance=instance),), (note,))
    address = observed.accounts[0]
    marker = observed.marker
    known = marker is not None and marker.address.lower() == address.lower()
    known = known and is_tagged(volume, marker, observed.settings.name)
    mark: Step = Mark(
        place=Place(instance, volume, LIVEPEER, node.name),
        address=address,
        skip=Skip.DONE if known else None,
    )
    return Plan(title, (*_no_passphrase(observed, address), mark), (f"the node is {address}",))


def _no_passphrase(observed: Observed, address: str) -> tuple[Step, ...]:
    """Say in the store that a new key has no passphrase yet: else its machine would find nothing there, and refuse."""
    if not observed.fresh:
        return ()
    where, files = observed.settings.passphrase_path, dict.fromkeys(observed.fresh, Secret(""))
    return (KeepPassphrase(where=where, address=address, files=files, why="none, until fab rotate-passphrase"),)


def _reasons(observed: Observed) -> list[str]:
    if not observed.mounted:
        return [f"{LIVEPEER.mount} is not mounted on {observed.instance.name}"]
    reasons = []
    if len(observed.accounts) > 1:
        reasons.append(f"the keystore has several accounts: {', '.join(observed.accounts)}")
    wanted = observed.settings.livepeer.address or (observed.marker.address if observed.marker else "")
    if wanted and not observed.accounts:
        reasons.append(f"the node is meant to be {wanted}, whose key is not there: fab restore-keys")
    if wanted and observed.accounts and wanted.lower() != observed.accounts[0].lower():
        reasons.append(f"the keystore holds {observed.accounts[0]}, the node is meant to be {wanted}")
    if observed.marker is None:
        reasons.append(f"{LIVEPEER.mount} has no marker: fab attach")
    return reasons
