"""Steps about keys: claim, back up, restore. A key goes from machine to store, or back, through memory."""

from __future__ import annotations

import base64
import posixpath
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from transcoder import layout
from transcoder.actions.guest import GuestStep
from transcoder.errors import Failed
from transcoder.facts import bundle, keystore
from transcoder.facts.bundle import Bundle
from transcoder.facts.claim import Claim, Note, parse_claim, parse_note, render_claim, render_note
from transcoder.layout import LIVEPEER
from transcoder.operate import this_process
from transcoder.step import Step
from transcoder.world import Command, Host, KeyStore, World

DATADIR = "/d1/livepeer/.lpData"
ANY = tuple(range(256))
COPY_BUDGET = 300.0
"""Seconds for a copy of the database."""
COPY_DATABASE = Path(__file__).with_name("copy_database.py")
"""Runs on the machine, read from its standard input: no image needs to know it."""


def now(world: World) -> str:
    """Return the time as the documents have it."""
    return datetime.fromtimestamp(world.clock.now(), UTC).isoformat(timespec="seconds")


# what is on the machine


def path_of(name: str) -> str:
    """Return where a file of a bundle is on the machine."""
    if name.startswith(bundle.KEY):
        return f"{layout.KEYSTORE}/{name.removeprefix(bundle.KEY)}"
    if name == bundle.MARKER:
        return f"{LIVEPEER.mount}/{layout.MARKER}"
    return f"{DATADIR}/{name.removeprefix(bundle.DATABASE)}"


def list_files(host: Host, directory: str) -> tuple[str, ...]:
    """Return the names of the files in a directory, none where there is no such directory."""
    listed = host.run(*keystore.list_command(directory), ok=(0, 1))
    return tuple(sorted(name for name in listed.stdout.splitlines() if "/" not in name))


def read_file(host: Host, path: str) -> bytes:
    """Return the bytes of a file.

    :raises Failed: when it cannot be read; what was read of it is not shown.
    """
    output = host.run("base64", "--wrap=0", path, ok=ANY)
    if output.exit_code != 0:
        raise Failed(f"{host.name}: {path} cannot be read: {output.stderr.strip()[-300:]}", hint="fab status")
    return base64.b64decode(output.stdout)


def read_digest(host: Host, name: str) -> str:
    """Return the sha256 of a file beside the keystore, which may be large."""
    return host.run("sha256sum", f"{DATADIR}/{name}", timeout=COPY_BUDGET).stdout.partition(" ")[0]


def read_files(host: Host, address: str = "") -> dict[str, bytes]:
    """Return the key files on a machine (of one address, if given), livepeer's own identity, and the marker."""
    keys = keystore.parse_names("\n".join(list_files(host, layout.KEYSTORE)))
    names = [bundle.KEY + file.name for file in keys if file.address == (address or file.address)]
    names += [bundle.NODE_KEY] if bundle.NODE_KEY in list_files(host, DATADIR) else []
    names += [bundle.MARKER] if layout.MARKER in list_files(host, LIVEPEER.mount) else []
    return {name: read_file(host, path_of(name)) for name in names}


def read_database(host: Host, name: str) -> bytes:
    """Return a consistent copy of livepeer's database, taken while it runs or not.

    :raises Failed: when there is none, or sqlite can't copy it.
    """
    command = ("runuser", "-u", LIVEPEER.service.user, "--", "python3", "-", f"{DATADIR}/{name}")
    output = host.run(*command, stdin=COPY_DATABASE.read_text(encoding="utf-8"), ok=ANY, timeout=COPY_BUDGET)
    if output.exit_code != 0:
        raise Failed(f"{host.name}: {DATADIR}/{name} was not copied: {output.stderr.strip()[-300:]}", hint="fab logs")
    return base64.b64decode(output.stdout)


def write_file(host: Host, path: str, content: bytes, *, replace: bool = False) -> None:
    """Write a file of the service user, at once or not at all: temporary name, fsync, rename, fsync of the directory.

    The temporary name is hidden: geth's and livepeer's keystore pass over such (go-ethereum accounts/keystore,
    ``nonKeyFile``), and so does the check before the service starts. It is another one each time: what an operator
    who was killed has sent may still be at work on the machine, and must not give a file its name that is only half
    written. What such runs have left is removed. Without ``replace`` nothing that is there is overwritten.
    """
    directory, name = posixpath.split(path)
    temporary, owner = f"{directory}/.{name}.{secrets.token_hex(4)}.new", str(LIVEPEER.service.id)
    host.run("install", "-m", "0600", "-o", owner, "-g", owner, "/dev/stdin", temporary, stdin=content, timeout=600)
    host.run_all(
        Command(("sync", temporary)),
        Command(("mv", "--force" if replace else "--no-clobber", "--no-target-directory", temporary, path), ok=(0, 1)),
        Command(("sync", directory)),
        Command(("find", directory, "-maxdepth", "1", "-name", f".{name}.*.new", "-delete")),
    )


# what is in a store


def backup_name(address: str) -> str:
    """Return the name of a key's backup."""
    return f"{address}/backup"


def note_name(address: str) -> str:
    """Return the name of the note beside it."""
    return f"{address}/note"


def find_claim(store: KeyStore, address: str) -> tuple[Claim | None, int]:
    """Return who has the key, and the claim's number.

    A claim is never changed: who takes a key over makes the next one, and of two who try one wins.
    """
    found, number = None, 0
    while (document := store.get(f"{address}/claim-{number + 1}")) is not None:
        found, number = parse_claim(document), number + 1
    return found, number


def find_note(store: KeyStore, address: str) -> Note | None:
    """Return the note beside a backup."""
    document = store.get(note_name(address))
    return parse_note(document) if document is not None else None


def find_bundle(store: KeyStore, address: str, version: str = "") -> Bundle | None:
    """Return the backup of a key.

    :raises Failed: when it is damaged.
    """
    document = store.get(backup_name(address), version)
    return bundle.parse_bundle(document) if document is not None else None


@dataclass(frozen=True, kw_only=True)
class TakeClaim(Step):
    """Claim the key for this node. ``number`` is that of the claim before it, 0 for none."""

    store: str
    address: str
    node: str
    number: int
    instead_of: str = ""
    verb: ClassVar[str] = "claim"

    @property
    def title(self) -> str:
        instead = f", instead of {self.instead_of}" if self.instead_of else ""
        return f"claim {self.address} for node {self.node} in {self.store}{instead}"

    def is_done(self, world: World) -> bool:
        claim, _ = find_claim(world.keystore(self.store), self.address)
        return claim is not None and claim.is_of(world.settings.name, self.node)

    def do(self, world: World) -> None:
        process = this_process(self.title)
        who = f"{process.who} on {process.where}"
        claim = Claim(self.address, world.settings.name, self.node, who, now(world))
        store = world.keystore(self.store)
        store.create(f"{self.address}/claim-{self.number + 1}", render_claim(claim))
        holder, _ = find_claim(store, self.address)
        if holder is None or not holder.is_of(world.settings.name, self.node):
            owner = f"{holder.node} of {holder.environment} since {holder.when}" if holder else "nobody"
            raise Failed(f"the key {self.address} was claimed by somebody else meanwhile: {owner}", hint="invoke keys")


@dataclass(frozen=True, kw_only=True)
class BackUp(GuestStep):
    """Read the key files, store them, read them back and compare."""

    store: str
    address: str
    node: str
    database: str = ""
    verb: ClassVar[str] = "back-up"
    looks_first: ClassVar[bool] = False

    @property
    def title(self) -> str:
        what = f" and the database {self.database}" if self.database else ""
        return f"back up the key {self.address}{what} from {self.instance.name} to {self.store}, and read it back"

    def do(self, world: World) -> str:
        host = self.host(world)
        files = read_files(host, self.address)
        if self.database:
            files[bundle.DATABASE + self.database] = read_database(host, self.database)
        made = Bundle(self.address, self.node, world.settings.name, now(world), files)
        return store_bundle(world, self.store, made)

    def verify(self, world: World) -> None:
        """It was read back and compared."""


def store_bundle(world: World, kind: str, made: Bundle) -> str:
    """Store a bundle, read this very version back, compare, and note it; return what is worth telling.

    :raises Failed: when what is read back differs.
    """
    store, document = world.keystore(kind), bundle.render_bundle(made)
    version = store.put(backup_name(made.address), document)
    if store.get(backup_name(made.address), version) != document:
        raise Failed(
            f"{store.where}: version {version} of the backup is not what was stored",
            hint="the key is still on the node's volume; back it up to another store: --store",
        )
    store.put(note_name(made.address), render_note(Note(version, made.created)))
    return f"version {version}, {len(made.files)} files, {len(document.reveal())} bytes, read back"


@dataclass(frozen=True, kw_only=True)
class RestoreFile(GuestStep):
    """Write one file of a backup. ``digest`` is its sha256, ``replaces`` that of the file which it replaces."""

    store: str
    address: str
    version: str
    name: str
    digest: str
    replaces: str = ""
    verb: ClassVar[str] = "restore"

    @property
    def key(self) -> str:
        """Each file has its own."""
        return f"{self.lane}/{self.verb} {self.name}"

    @property
    def title(self) -> str:
        instead = ", in place of the one with the old passphrase" if self.replaces else ""
        return f"write {path_of(self.name)} on {self.instance.name} from {self.store}{instead}"

    def is_done(self, world: World) -> bool:
        return self._found(world) == self.digest

    def do(self, world: World) -> None:
        found = find_bundle(world.keystore(self.store), self.address, self.version)
        content = found.files.get(self.name, b"") if found else b""
        if bundle.digest(content) != self.digest:
            raise Failed(f"{self.title}: the backup has changed since it was looked at", hint="run it again")
        host, owner = self.host(world), str(LIVEPEER.service.id)
        if self._found(world) != self.replaces:
            raise Failed(f"{self.title}: the file there has changed since it was looked at", hint="run it again")
        if self.name.startswith(bundle.KEY):
            host.run("install", "-d", "-o", owner, "-g", owner, "-m", "0700", layout.KEYSTORE)
        write_file(host, path_of(self.name), content, replace=bool(self.replaces))

    def verify(self, world: World) -> None:
        """Look at what is there now: its bytes, its owner, its mode."""
        stated = self.host(world).run("stat", "--format=%u:%g %a", path_of(self.name), ok=(0, 1)).stdout.strip()
        owner = LIVEPEER.service.id
        if not self.is_done(world) or stated != f"{owner}:{owner} 600":
            raise Failed(
                f"{self.title}: written, but what is there is not it ({stated or 'nothing'})", hint="fab status"
            )

    def _found(self, world: World) -> str:
        directory, name = posixpath.split(path_of(self.name))
        host = self.host(world)
        return bundle.digest(read_file(host, f"{directory}/{name}")) if name in list_files(host, directory) else ""


def note_verified(world: World, kind: str, address: str, version: str, *, proven: bool) -> None:
    """Write down that a version of a backup was verified now."""
    store = world.keystore(kind)
    known = find_note(store, address)
    stored = known.stored if known and known.version == version else ""
    store.put(note_name(address), render_note(Note(version, stored, now(world), proven)))
