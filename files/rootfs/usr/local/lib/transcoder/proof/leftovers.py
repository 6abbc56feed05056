"""What belongs to one machine only: two instances of an image must not share a key, an id, a name or a history."""

import os
from typing import Iterator

from .machine import Machine, Wanted

MAX_NAMED = 5
"""Of many findings of one kind only so many are named."""
CLEANED = "/run/transcoder/cleaned"
"""Made by the clean-up when it is done."""
MAX_FRESH_LOG = 4096


def _there(machine: Machine, what: str, *patterns: str) -> "Iterator[str]":
    found = [path for path in machine.find(*patterns) if machine.exists(path)]
    for path in found[:MAX_NAMED]:
        yield "{}: {}".format(path, what)
    if len(found) > MAX_NAMED:
        yield "{} and {} more: {}".format(patterns[0], len(found) - MAX_NAMED, what)


def host_keys(machine: Machine, _: Wanted) -> "Iterator[str]":
    """All instances would have one and the same identity towards SSH."""
    return _there(machine, "a host key", "/etc/ssh/ssh_host_*")


def machine_id(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Addresses of DHCP and journals are by machine id. The file stays, empty: a read-only start has to find it."""
    if not machine.exists("/etc/machine-id"):
        yield "/etc/machine-id: not there, it has to be there and empty"
    elif machine.read("/etc/machine-id").strip() not in ("", "uninitialized"):
        yield "/etc/machine-id: an id"
    own = "/var/lib/dbus/machine-id"
    if machine.exists(own) and not os.path.islink(machine.on_disk(own)):
        yield own + ": a file of its own, not a link to /etc/machine-id"
    yield from _there(machine, "made for one machine", "/var/lib/systemd/random-seed")
    yield from _there(machine, "the key of this machine's credentials", "/var/lib/systemd/credential.secret")


def authorized_keys(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Whoever baked the image could log in to every instance."""
    return _there(machine, "keys that may log in", "/root/.ssh/authorized_keys*", "/home/*/.ssh/authorized_keys*")


def cloud_state(machine: Machine, _: Wanted) -> "Iterator[str]":
    """cloud-init would take the new instance for the old one, and give it no keys."""
    state = [
        "/var/lib/cloud/" + name
        for name in ("instance", "instances/*", "data/instance-id", "data/previous-*", "sem/*", "seed/*/*")
    ]
    yield from _there(machine, "state of cloud-init", *state)
    yield from _there(machine, "cloud-init's network of one machine", "/etc/netplan/50-cloud-init.yaml")
    yield from _there(machine, "cloud-init would not run", "/etc/cloud/cloud-init.disabled")


def histories(machine: Machine, _: Wanted) -> "Iterator[str]":
    """What was typed, and what tools remember of it."""
    names = (".*_history", ".lesshst", ".viminfo", ".wget-hsts", ".netrc", ".aws", ".gnupg/private-keys-v1.d/*")
    homes = [home + "/" + name for home in ("/root", "/home/*") for name in names]
    return _there(machine, "what somebody did here", *homes)


def host_name(machine: Machine, _: Wanted) -> "Iterator[str]":
    """A name of the machine that baked would answer to sudo and in logs until somebody wonders."""
    name = machine.read("/etc/hostname").strip()
    if name not in ("", "localhost"):
        yield "/etc/hostname: the name of one machine, " + name
    for line in machine.lines("/etc/hosts"):
        if line.startswith("127.0.1.1"):
            yield "/etc/hosts: the name of one machine, " + line


def logs(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Logs of the bake: addresses, names, and whatever a program says when it fails.

    Agents of the stock image run on after the clean-up: a little that is newer than that is theirs.
    """
    full = [path for path in machine.walk("/var/log") if not _is_fresh(machine, path)]
    for path in full[:MAX_NAMED]:
        yield "{}: a log of {} bytes".format(path, os.path.getsize(machine.on_disk(path)))
    if len(full) > MAX_NAMED:
        yield "/var/log: {} more logs that are not empty".format(len(full) - MAX_NAMED)
    yield from _there(machine, "a report of a crash", "/var/crash/*", "/core", "/core.[0-9]*")


def _is_fresh(machine: Machine, path: str) -> bool:
    """Tell whether a log is empty, or short and written to since the clean-up."""
    found = os.stat(machine.on_disk(path))
    if not found.st_size:
        return True
    since = os.stat(machine.on_disk(CLEANED)).st_mtime if machine.exists(CLEANED) else float("inf")
    return found.st_size <= MAX_FRESH_LOG and found.st_mtime >= since


def apt_lists(machine: Machine, _: Wanted) -> "Iterator[str]":
    """Lists and archives of packages: old at the first boot, and hundreds of MB."""
    yield from _there(machine, "an index of packages", "/var/lib/apt/lists/*Packages", "/var/lib/apt/lists/*Release")
    yield from _there(machine, "an archive of a package", "/var/cache/apt/archives/*.deb")


def rest_of_the_bake(machine: Machine, _: Wanted) -> "Iterator[str]":
    """What the bake brought, what its clock measured, leases of its address, and anything on the mount points."""
    yield from _there(machine, "brought by the bake", "/tmp/transcoder-r*", "/tmp/transcoder-b*")  # noqa: S108
    yield from _there(machine, "how fast this machine's clock goes", "/var/lib/chrony/chrony.drift")
    yield from _there(machine, "an address of one machine", "/var/lib/dhcp/*.leases")
    yield from _there(machine, "on the root disk, where a volume belongs", "/d1/*", "/d1/.[!.]*", "/d2/*", "/d2/.[!.]*")
