"""What the recipes about keys look at: the keystore on the machine, the backup in a store, and who else has the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from transcoder import guest, tags
from transcoder.actions.keys import (
    DATADIR,
    backup_name,
    find_bundle,
    find_claim,
    find_note,
    list_files,
    read_digest,
    read_files,
)
from transcoder.errors import Failed, TranscoderError
from transcoder.facts import bundle
from transcoder.facts.bundle import Bundle
from transcoder.facts.claim import Claim, Note
from transcoder.layout import LIVEPEER
from transcoder.model import Instance, Marker, Volume
from transcoder.recipes.node import NodeFacts
from transcoder.world import World


@dataclass(frozen=True)
class KeyMachine:
    """The keys on a machine. ``digests``: of the files as a bundle names them; ``keys``: key file -> its address.

    ``problem``: why what is there cannot be read as keys.
    """

    instance: Instance
    mounted: bool
    marker: Marker | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    running: bool = False
    problem: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the key files, oldest first."""
        return tuple(dict.fromkeys(self.keys[name] for name in sorted(self.keys)))


@dataclass(frozen=True)
class Stored:
    """What a store has of a key. ``number`` is that of the claim; ``problem``: why the backup is of no use."""

    kind: str
    where: str
    largest: int
    version: str = ""
    found: Bundle | None = None
    claim: Claim | None = None
    number: int = 0
    note: Note | None = None
    problem: str = ""


def look_at_machine(world: World, instance: Instance) -> KeyMachine:
    """Look at the keys on a machine; their content is forgotten again."""
    host = world.hosts(instance)
    seen = guest.observe(host)
    if not seen.mounted(LIVEPEER.mount):
        return KeyMachine(instance, mounted=False)
    running = seen.service(LIVEPEER.service.unit).running
    marker = guest.read_marker(host, LIVEPEER)
    try:
        files = read_files(host)
        keys = {name: bundle.read_key(name, files[bundle.KEY + name]).address for name in _key_names(files)}
    except Failed as error:
        return KeyMachine(instance, True, marker, running=running, problem=error.message)
    databases = {name: read_digest(host, name) for name in list_files(host, DATADIR) if name.endswith(".sqlite3")}
    digests = {name: bundle.digest(content) for name, content in files.items()}
    return KeyMachine(instance, True, marker, digests, keys, databases, running)


def _key_names(files: Mapping[str, bytes]) -> list[str]:
    return sorted(name.removeprefix(bundle.KEY) for name in files if name.startswith(bundle.KEY))


def look_at_store(world: World, kind: str, address: str, version: str = "") -> Stored:
    """Look at what a store has of a key; a backup that is damaged becomes a ``problem``."""
    store = world.keystore(kind)
    claim, number = find_claim(store, address)
    about = (claim, number, find_note(store, address))
    versions = store.versions(backup_name(address))
    wanted = version or (versions[-1].id if versions else "")
    try:
        found = find_bundle(store, address, wanted) if wanted else None
    except Failed as error:
        return Stored(store.kind, store.where, store.largest, wanted, None, *about, error.message)
    return Stored(store.kind, store.where, store.largest, wanted if found else "", found, *about)


@dataclass(frozen=True)
class Rival:
    """Another place that has the same key: a volume tagged with its address, or a machine whose marker names it."""

    address: str
    node: str
    environment: str
    volume: Volume | None
    instance: Instance | None
    why: str

    @property
    def running(self) -> bool:
        """Whether it may be sending transactions: anything but stopped and detached."""
        return self.instance is not None and self.instance.state not in ("stopped", "terminated")

    @property
    def text(self) -> str:
        """Say it in words."""
        where = f"at {self.instance.name} ({self.instance.id}, {self.instance.state})" if self.instance else "detached"
        own = f"{self.volume.id}, " if self.volume else ""
        return f"node {self.node} of {self.environment} has this key, too: {own}{where} ({self.why})"


def find_rivals(world: World, node: NodeFacts, address: str) -> tuple[Rival, ...]:
    """Look for the key in other places of the region: tags of volumes in all environments, markers in this one."""
    tagged = [
        volume
        for volume in world.cloud.volumes(tags={tags.ADDRESS: address})
        if not _is_own(volume, node) and tags.GONE_TO not in volume.tags and tags.REPLACED_BY not in volume.tags
    ]
    found = [_tagged(world, volume, address) for volume in tagged]
    known = {rival.instance.id for rival in found if rival.instance}
    carriers = [i for i in node.instances if i.state == "running" and i.tags.get(tags.NODE, node.name) != node.name]
    marked = [_marked(world, instance, address) for instance in carriers if instance.id not in known]
    return (*found, *(rival for rival in marked if rival is not None))


def _is_own(volume: Volume, node: NodeFacts) -> bool:
    return node.livepeer is not None and volume.id == node.livepeer.id


def _tagged(world: World, volume: Volume, address: str) -> Rival:
    bond = volume.attachment
    instance = next(iter(world.cloud.instances(ids=[bond.instance_id])), None) if bond else None
    owner = volume.tags.get(tags.NODE, "?"), volume.tags.get(tags.ENVIRONMENT, "?")
    return Rival(address, *owner, volume, instance, f"tag {tags.ADDRESS}")


def _marked(world: World, instance: Instance, address: str) -> Rival | None:
    """Ask a machine that carries another node for its marker; one that does not answer has its volume's tag."""
    try:
        host = world.hosts(instance)
        marker = guest.read_marker(host, LIVEPEER) if guest.observe(host).mounted(LIVEPEER.mount) else None
    except TranscoderError:
        return None
    if marker is None or marker.address != address:
        return None
    attached = [v for v in world.cloud.volumes(tags={tags.ROLE: LIVEPEER.role}) if v.attached_to(instance.id)]
    volume = next(iter(attached), None)
    return Rival(address, marker.node, world.settings.name, volume, instance, f"marker on {LIVEPEER.mount}")


def disagreements(said: Mapping[str, str]) -> list[str]:
    """Return a reason when not all of those who name an address name the same one: who says what."""
    named = {who: address.lower() for who, address in said.items() if address}
    if len(set(named.values())) <= 1:
        return []
    return ["the addresses differ: " + ", ".join(f"{who} {address}" for who, address in named.items())]
