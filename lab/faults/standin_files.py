"""Files that a stand-in reads while it runs, on its data volume, for faults that only a stand-in can have.

See lab/standins/README.md. A file travels with the volume, and so does the fault. Two faults may share a file: each
puts its own entry into it and takes that one out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.faults import guest
from lab.faults.fault import Effect, Options
from lab.faults.options import INSTANCE
from lab.faults.site import Site, tags_of
from transcoder import tags
from transcoder.catalog.geth_config import DATA_DIRECTORY as GETH_DATA
from transcoder.catalog.options import DATA_DIRECTORY as LIVEPEER_DATA
from transcoder.errors import Refused

GETH_DIRECTORY = f"{GETH_DATA}/geth"
EDIT = """
import json, os, pathlib, subprocess, sys
role, directory, name, key, value = sys.argv[1:]
program = "/usr/local/bin/" + role
if not os.path.exists(program):
    sys.exit("this machine has no " + role + ": it is not of a baked image, or its environment has none")
said = subprocess.Popen([program, "version" if role == "geth" else "-version"], stdout=subprocess.PIPE).communicate()[0]
if b"stand-in" not in said:
    sys.exit("this machine has the real " + role + ", which cannot be told to fail like this")
path = pathlib.Path(directory, name)
if not path.parent.is_dir():
    sys.exit(directory + " is not there: has " + role + " never run, or is its volume not mounted?")
entries = json.loads(path.read_text()) if path.exists() and path.stat().st_size else {}
before = dict(entries)
if value:
    entries[key] = json.loads(value)
else:
    entries.pop(key, None)
if entries:
    new = path.with_name(name + ".new")
    new.write_text(json.dumps(entries))
    new.chmod(0o644)
    new.rename(path)
elif path.exists():
    path.unlink()
print(json.dumps(key in before))
"""
"""Puts an entry into a JSON object, or takes it out; prints whether it was there before."""


@dataclass(frozen=True)
class Entry:
    """An entry of a file: ``role`` of the volume that it is on and of the program that reads it; ``value`` as JSON."""

    role: str
    name: str
    key: str

    @property
    def directory(self) -> str:
        """Where the file is."""
        return GETH_DIRECTORY if self.role == "geth" else LIVEPEER_DATA


def put(site: Site, options: Options, entry: Entry, value: str) -> tuple[Any, Any]:
    """Put an entry into its file; return the instance and the volume that has the file.

    :param value: JSON.
    :raises Refused: the instance has no such volume.
    :raises Failed: it has the real program, or none.
    """
    instance = site.running(str(options.get("instance", "")))
    volume = volume_at(site, instance, entry.role)
    guest.run(site, instance, EDIT, entry.role, entry.directory, entry.name, entry.key, value)
    return instance, volume


def take(site: Site, volume: Any, entry: Entry) -> tuple[Any, bool]:
    """Take an entry out where the volume is now; return that instance, and whether the entry was still there.

    :raises Refused: no running machine has the volume.
    """
    attachment = volume.attachment
    if attachment is None or not site.cloud.driver.running(attachment.instance.id):
        hint = "attach and mount it first; the file goes with the volume"
        raise Refused(f"{entry.name} is on {volume.id}, which is in no machine that runs", hint=hint)
    found = guest.run(site, attachment.instance, EDIT, entry.role, entry.directory, entry.name, entry.key, "")
    return attachment.instance, bool(found)


def gone(_site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the volume is no more: `over` of these faults."""
    return memory.id not in memory.ec2_backend.volumes


def volume_at(site: Site, instance: Any, role: str) -> Any:
    """Return the volume of a role that an instance has.

    :raises Refused: it has none.
    """
    with site.cloud.lock:
        volumes = [volume for backend in site.cloud.backends for volume in backend.volumes.values()]
        for volume in volumes:
            here = volume.attachment is not None and volume.attachment.instance.id == instance.id
            if here and tags_of(volume).get(tags.ROLE) == role:
                return volume
    raise Refused(f"{instance.id} has no {role} volume", hint="invoke lab.status")


@dataclass(frozen=True)
class Told:
    """A fault that is one entry of one file.

    :param happens: what is so while it is on; ``ends``: what is so again. Of the instance, which is put in front.
    """

    entry: Entry
    value: str
    happens: str
    ends: str

    OPTIONS = (INSTANCE,)

    def on(self, site: Site, options: Options) -> Effect:
        """Put the entry in."""
        instance, volume = put(site, options, self.entry, self.value)
        return Effect(f"{instance.id}: {self.happens}", volume)

    def off(self, site: Site, options: Options, memory: Any) -> str:
        """Take it out."""
        if gone(site, options, memory):
            return f"{memory.id} is no more"
        instance, was_there = take(site, memory, self.entry)
        return f"{instance.id}: {self.ends}" if was_there else f"{instance.id}: that has ended already"
