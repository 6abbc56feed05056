"""`fab bundle`: what somebody needs who is to help and has no access, in one archive, without secrets.

What holds secrets is not read: no key file, no private.conf, no user data. What is read goes through
`transcoder.redact` before it is written anywhere, for logs and unit files may hold what they should not.
"""

from __future__ import annotations

import gzip
import io
import json
import platform
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from transcoder import layout, tags
from transcoder.catalog.choice import PRIVATE_OPTIONS
from transcoder.errors import Refused, TranscoderError, Unreachable
from transcoder.facts import findmnt, journal, livepeer_api, lsblk, release, systemctl
from transcoder.model import Instance
from transcoder.parallel import Within, all_of
from transcoder.recipes import status
from transcoder.redact import NAMES_OF_SECRETS, Redactor
from transcoder.secret import Secret
from transcoder.settings import Settings
from transcoder.shape import livepeer_api as api_of_environment
from transcoder.shape import units
from transcoder.world import World

PATIENCE = 240.0
"""Seconds that one machine may take to tell everything."""
LARGEST = 2_000_000
"""Characters of a file; of what is longer the end is kept, which is the newest of a journal."""
ANY = tuple(range(256))
NEVER = (
    (layout.KEYSTORE, "key files: the node's identity and money; only their names are listed"),
    (PRIVATE_OPTIONS, "options that are secrets"),
    ("databases of livepeer and geth", "not needed to help, and large"),
    ("user data of the instances", "it may hold what it should not"),
    ("SSH keys, AWS credentials, TLS keys", "never read"),
)
"""What is never in a bundle, and why."""


@dataclass(frozen=True)
class Request:
    """Of which node (empty: of all), journals since when (as journalctl takes it), and how many lines a unit."""

    node: str = ""
    since: str = "1 day ago"
    lines: str = "2000"


@dataclass(frozen=True)
class Part:
    """A file of the bundle, redacted. ``note`` says what is missing of it."""

    path: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class Bundle:
    """All files, what was left out of them, and how many secrets were masked, by kind."""

    name: str
    at: float
    parts: tuple[Part, ...]
    masked: tuple[tuple[str, int], ...]

    @property
    def missing(self) -> tuple[Part, ...]:
        """The files of which something, or everything, is missing."""
        return tuple(part for part in self.parts if part.note)

    def manifest(self) -> str:
        """Return the list of what is in it, what was left out, and what was masked."""
        when = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="seconds")
        lines = [f"{self.name}, made {when}", "", "in it:"]
        lines += [f"  {part.path}  {len(part.text.encode())} bytes" for part in self.parts if part.text]
        lines += ["", "missing:"] + ([f"  {part.path}: {part.note}" for part in self.missing] or ["  nothing"])
        lines += ["", "never in it:"] + [f"  {what}: {why}" for what, why in NEVER]
        lines += ["", "masked:"] + ([f"  {kind}: {count}" for kind, count in self.masked] or ["  nothing"])
        return "\n".join(lines) + "\n"

    def archive(self) -> bytes:
        """Return it as a tar.gz whose files nobody but their owner may read."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for part in (Part("MANIFEST.txt", self.manifest()), *self.parts):
                data = part.text.encode()
                info = tarfile.TarInfo(f"{self.name}/{part.path}")
                info.size, info.mode, info.mtime = len(data), 0o600, int(self.at)
                if data:
                    tar.addfile(info, io.BytesIO(data))
        return gzip.compress(raw.getvalue())


def questions(settings: Settings, request: Request) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what each machine is asked: the name of the file, and the command. They all only look."""
    own = units(settings)
    since, most = request.since, request.lines
    yield "release.json", release.COMMAND
    yield "uname.txt", ("uname", "-a")
    yield "uptime.txt", ("uptime",)
    yield "memory.txt", ("free", "-m")
    yield "lsblk.json", lsblk.COMMAND
    yield "findmnt.json", findmnt.COMMAND
    yield "df.txt", ("df", "--human-readable", "--print-type")
    yield "df-inodes.txt", ("df", "--inodes")
    yield "chronyc-tracking.txt", ("chronyc", "tracking")
    yield "chronyc-sources.txt", ("chronyc", "-n", "sources")
    yield "listening.txt", ("ss", "--listening", "--tcp", "--udp", "--numeric", "--processes")
    yield "units.txt", systemctl.command(*own)
    yield "units-failed.txt", ("systemctl", "list-units", "--failed", "--no-pager")
    yield "unit-files.txt", ("systemctl", "cat", "--no-pager", *own)
    for data in layout.VOLUMES:
        if data.service.unit in own:
            yield f"journal-{data.role}.txt", journal.newest((data.service.unit,), since, most)
            yield f"marker-{data.role}.json", ("cat", f"{data.mount}/{layout.MARKER}")
            yield f"files-{data.role}.txt", ("ls", "-la", *(directory.path for directory in data.directories))
    yield "journal-kernel.txt", journal.newest((), since, most, "--dmesg")
    yield "journal-errors.txt", journal.newest((), since, most, "--priority=err")
    yield "keystore-names.txt", ("ls", "-la", layout.KEYSTORE)
    yield "chrony.conf", ("cat", "/etc/chrony/chrony.conf")
    yield "limits.conf", ("cat", "/etc/security/limits.d/90-transcoder.conf")
    if layout.GETH.service.unit in own:
        yield "geth.toml", ("cat", "/etc/geth/geth.toml")
    api = api_of_environment(settings)
    for route in (api.status, api.address, api.round_initialized, api.own_record.route, api.eth_balance, api.contracts):
        yield f"livepeer-api/{route.strip('/')}.txt", livepeer_api.command(route, api.base)


def collect(world: World, request: Request) -> Bundle:
    """Look at everything and return it, redacted. What does not answer is told in the manifest and keeps nothing else.

    :raises Refused: when there is nothing to collect from, or ``lines`` is no number.
    """
    if not request.lines.isdecimal():
        raise Refused(f"--lines {request.lines!r} is no number of lines", hint="fab bundle --lines 2000")
    statuses = status.observe(world, request.node)
    if not statuses:
        raise Refused("there is no node in this environment", hint="fab status")
    redactor = Redactor(known_secrets(world.settings))
    known = {
        "status.json": [each.describe() for each in statuses],
        "environment.json": world.settings.model_dump(mode="json"),
        "operator.json": operator(),
    }
    clean = [Part(path, _json(redactor.data(data))) for path, data in known.items()]
    clean += _cloud(world, redactor)
    machines = [(each.node.name, each.machine.instance) for each in statuses if each.machine]
    for parts in all_of(lambda pair: _machine(world, request, *pair), machines):
        clean += [Part(part.path, _end(redactor(part.text)), redactor(part.note) or _cut(part)) for part in parts]
    at = world.clock.now()
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
    masked = tuple((kind, count) for kind, count in sorted(redactor.counts.items()) if count)
    return Bundle(f"transcoder-bundle-{world.settings.name}-{stamp}", at, tuple(clean), masked)


def _end(text: str) -> str:
    return text[-LARGEST:]


def _cut(part: Part) -> str:
    return f"its first {len(part.text) - LARGEST} characters" if len(part.text) > LARGEST else ""


def _machine(world: World, request: Request, node: str, instance: Instance) -> list[Part]:
    """Ask a machine everything; the first time that it does not answer the rest is not asked."""
    place = f"nodes/{node}"
    if instance.state != "running":
        return [Part(f"{place}/*", "", f"{instance.name} is {instance.state}")]
    host, parts = Within(world.hosts(instance), world.clock, PATIENCE), list[Part]()
    for name, argv in questions(world.settings, request):
        try:
            output = host.run(*argv, ok=ANY)
            text = journal.to_text(output.stdout) if argv[0] == journal.TOOL else output.stdout
        except Unreachable as error:
            return [*parts, Part(f"{place}/{name} and what comes after it", "", error.message)]
        except TranscoderError as error:
            parts.append(Part(f"{place}/{name}", "", error.message))
            continue
        problem = f"ended with {output.exit_code}: {output.stderr.strip()[-300:]}" if output.exit_code else ""
        parts.append(Part(f"{place}/{name}", text, problem))
    return parts


def _cloud(world: World, redactor: Redactor) -> Iterator[Part]:
    """Yield what EC2 says of everything that is tagged as the environment's."""
    environment = {tags.ENVIRONMENT: world.settings.name}
    cloud = world.cloud
    looks: dict[str, Callable[[], Iterable[Any]]] = {
        "instances": lambda: cloud.instances(tags=environment),
        "volumes": lambda: cloud.volumes(tags=environment),
        "addresses": lambda: cloud.addresses(tags=environment),
        "snapshots": lambda: cloud.snapshots(tags=environment),
        "images": lambda: cloud.images(tags=environment),
    }
    for name, look in looks.items():
        path = f"ec2/{name}.json"
        try:
            yield Part(path, _json(redactor.data([asdict(item) for item in look()])))
        except TranscoderError as error:
            yield Part(path, "", redactor(error.message))


def operator() -> dict[str, Any]:
    """Return the versions on the operator's side."""
    names = ("boto3", "botocore", "fabric", "invoke", "paramiko", "pydantic", "rich")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: metadata.version(name) for name in names},
    }


def known_secrets(settings: Settings) -> list[Secret]:
    """Return the secrets that the environment's file itself holds, to be masked wherever they turn up."""
    found = [settings.aws.secret_access_key.get_secret_value(), settings.aws.access_key_id]
    for url in (settings.livepeer.eth_url, settings.aws.endpoint_url):
        parts = urlsplit(url)
        found += [parts.password or "", *re.split(r"[/=&?]", f"{parts.path}?{parts.query}")]
    named = {**settings.livepeer.environment, **settings.geth.environment}
    found += [value for name, value in named.items() if re.search(NAMES_OF_SECRETS, name, re.IGNORECASE)]
    return [Secret(text) for text in found if len(text) >= KEY_LENGTH]


KEY_LENGTH = 8
"""Characters: a shorter part of an address is a word like ``v2`` or ``rpc``."""


def _json(data: Sequence[Any] | dict[str, Any]) -> str:
    return json.dumps(data, indent=2, default=str) + "\n"
