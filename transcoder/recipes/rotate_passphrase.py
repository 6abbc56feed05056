"""`fab rotate-passphrase`: the same key under another passphrase, in the store first, then on the node's volume.

Both passphrases are in the operator's memory alone. The key file that it replaces stays in the store as an earlier
version, and opens with the old passphrase for as long as it is there.

Where the machine fetches its passphrase (``keys.passphrase_store``), the store gets the new one before the file is
replaced, and loses the old one after that. Each is stored by the sha256 of the file that it opens, so whichever file
is on the volume when livepeer starts, it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from transcoder import proof
from transcoder.actions.guest import GuestStep
from transcoder.actions.keys import RestoreFile, TakeClaim, find_bundle, now, read_files, store_bundle
from transcoder.actions.passphrases import KeepPassphrase, find_passphrases, refuse_old_image
from transcoder.catalog.history import numbers
from transcoder.catalog.livepeer import PASSWORD_FILES_SINCE, tag
from transcoder.errors import Failed, Refused
from transcoder.facts import bundle
from transcoder.facts.bundle import Bundle
from transcoder.operate import Operation
from transcoder.recipes import backup_keys
from transcoder.recipes.backup_keys import Observed
from transcoder.recipes.set_passphrase import refuse_settings, refuse_unfit
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.step import Plan, Skip
from transcoder.world import World


@dataclass(frozen=True)
class Passphrases:
    """The old and the new one."""

    old: Secret
    new: Secret


@dataclass(frozen=True)
class Opened:
    """What opens with the new passphrase: the key files on the machine, and those of the store's newest backup."""

    on_machine: bool
    in_store: bool
    digests: dict[str, str]
    """Of the key files of the store's newest backup."""
    where: str = ""
    """From where the machine fetches the passphrase; empty: it does not."""
    known: Mapping[str, Secret] | None = None
    """What it would get there."""


@dataclass(frozen=True, kw_only=True)
class Reencrypt(GuestStep):
    """Read the key, encrypt it anew in memory, store it, read it back, and prove that the new passphrase opens it."""

    store: str
    address: str
    node: str
    passphrases: Passphrases = field(repr=False)
    verb: ClassVar[str] = "re-encrypt"
    looks_first: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"store {self.address} in {self.store} under the new passphrase, and read it back"

    def do(self, world: World) -> str:
        files = read_files(self.host(world), self.address)
        old, new = self.passphrases.old, self.passphrases.new
        for name in [name for name in files if name.startswith(bundle.KEY)]:
            files[name] = proof.encrypted_anew(name.removeprefix(bundle.KEY), files[name], old, new)
        made = Bundle(self.address, self.node, world.settings.name, now(world), files)
        said = store_bundle(world, self.store, made)
        found = find_bundle(world.keystore(self.store), self.address)
        if found is None or not _all_open(found, new):
            raise Failed(f"{self.title}: what is stored does not open with it", hint="the key on the node is as it was")
        return said

    def verify(self, world: World) -> None:
        """It was read back, and opened."""


def refuse_without_file(settings: Settings, new: Secret) -> None:
    """Refuse a passphrase that this livepeer could be told on its command line only, or that no file tells it.

    :raises Refused: then.
    """
    version = numbers(settings.livepeer.version)
    refuse_unfit(new)
    if settings.keys.passphrase_store:
        refuse_settings(settings)
        return
    if not new.reveal():
        return
    if version < PASSWORD_FILES_SINCE:
        raise Refused(
            f"livepeer {tag(version)} takes a passphrase on its command line only, where every user of the machine can "
            "read it; a file came with v0.5.2",
            hint="leave it empty, or bake a later livepeer",
        )
    if not settings.livepeer.options.get("ethPassword") and not settings.livepeer.private_options:
        raise Refused(
            "livepeer would not find the new passphrase: no file is named for it, and it would not start",
            hint="keys.passphrase_store = 'ssm', or livepeer.options.ethPassword = '/path/of/a/file', in "
            f"{settings.path}, then bake",
        )


def operation(node: str, store: str, passphrases: Passphrases) -> Operation:
    """Return the operation for `transcoder.operate`."""

    def make(world: World) -> Plan:
        refuse_without_file(world.settings, passphrases.new)
        observed = backup_keys.observe(world, backup_keys.Request(node, store))
        backup = backup_keys.plan(observed)  # raises its refusals
        return plan(observed, _opened(world, observed, passphrases), passphrases, backup)

    return Operation("fab rotate-passphrase", node, make)


def _opened(world: World, observed: Observed, passphrases: Passphrases) -> Opened:
    host = world.hosts(observed.machine.instance)
    own = Bundle(observed.address, observed.node.name, "", "", read_files(host, observed.address))
    on_machine = _all_open(own, passphrases.new)
    if not on_machine:
        for name in own.key_files:
            proof.prove(name, own.files[bundle.KEY + name], passphrases.old)  # a wrong old one is refused before all
    found = observed.stored.found if observed.stored else None
    in_store = found is not None and _all_open(found, passphrases.new)
    digests = {name: d for name, d in found.digests.items() if name.startswith(bundle.KEY)} if found else {}
    if not world.settings.keys.passphrase_store:
        return Opened(on_machine, in_store, digests)
    refuse_old_image(host)
    where, known = world.passphrases().where, find_passphrases(world, observed.address)
    return Opened(on_machine, in_store, digests, where, known)


def _all_open(found: Bundle, passphrase: Secret) -> bool:
    return all(proof.opens(name, found.files[bundle.KEY + name], passphrase) for name in found.key_files)


def plan(observed: Observed, opened: Opened, passphrases: Passphrases, backup: Plan) -> Plan:
    """Return what is to be done: claim, store the key under the new passphrase; when it is there, replace the file."""
    stored, instance = observed.stored, observed.machine.instance
    assert stored is not None  # noqa: S101 - the plan of a backup was made from it
    title = f"give the key {observed.address} of node {observed.node.name} another passphrase"
    claim = next(step for step in backup.steps if isinstance(step, TakeClaim))
    if not opened.in_store:
        # What opens with the new passphrase already is what it is to be: then it is only backed up.
        step = (
            next(s for s in backup.steps if not isinstance(s, TakeClaim))
            if opened.on_machine
            else Reencrypt(
                instance=instance,
                store=stored.kind,
                address=observed.address,
                node=observed.node.name,
                passphrases=passphrases,
            )
        )
        return Plan(title, (claim, replace(step, skip=None)), ("then: replace the key file on the node's volume",))
    replacing = tuple(_replacing(observed, name, digest) for name, digest in opened.digests.items())
    before, after = _keeping(observed, opened, passphrases) if opened.where else ((), ())
    return Plan(title, (claim, *before, *replacing, *after), (_note(opened), OLD_VERSIONS))


OLD_VERSIONS = "earlier versions in the store open with the old passphrase"


def _note(opened: Opened) -> str:
    if opened.where:
        return "livepeer gets the new passphrase at its next start"
    return "write the new passphrase where ethPassword points to before livepeer starts again"


Keeping = tuple[KeepPassphrase, ...]


def _keeping(observed: Observed, opened: Opened, passphrases: Passphrases) -> tuple[Keeping, Keeping]:
    """Return what is stored before the key file is replaced, and after that: both passphrases, then the new one."""
    address = observed.address
    wanted = dict.fromkeys(opened.digests.values(), passphrases.new)
    own = {n: d for n, d in observed.machine.digests.items() if observed.machine.keys.get(_name(n)) == address}
    replaced = all(own.get(name) == digest for name, digest in opened.digests.items())
    here = passphrases.new if opened.on_machine else passphrases.old
    both = {**dict.fromkeys(own.values(), here), **wanted}
    first = KeepPassphrase(
        where=opened.where,
        address=address,
        files=both,
        why="of the old key file and of the new one",
        skip=Skip.DONE if replaced or opened.known == both else None,
    )
    last = KeepPassphrase(
        where=opened.where,
        address=address,
        files=wanted,
        why="of the new key file alone",
        skip=Skip.DONE if opened.known == wanted else None,
    )
    return (first,), (last,)


def _name(bundled: str) -> str:
    return bundled.removeprefix(bundle.KEY)


def _replacing(observed: Observed, name: str, digest: str) -> RestoreFile:
    stored, found = observed.stored, observed.machine.digests.get(name, "")
    assert stored is not None  # noqa: S101 - see above
    return RestoreFile(
        instance=observed.machine.instance,
        store=stored.kind,
        address=observed.address,
        version=stored.version,
        name=name,
        digest=digest,
        replaces=found,
        skip=Skip.DONE if found == digest else None,
    )
