"""A file system is full to the last block that a file can have, those kept for root included: by one file in its root.

ext4 itself keeps some blocks more (at most 4096) for its own tables; they are no room for anybody.

The blocks are reserved, not written, so it is quick and the host's disk does not fill. The file travels with the
volume: switching off removes it wherever the volume is mounted then.
"""

from __future__ import annotations

from typing import Any

from lab.faults import guest
from lab.faults.fault import Effect, Options
from lab.faults.mounts import WHERE
from lab.faults.options import VOLUME, Option
from lab.faults.site import Site
from transcoder.errors import Refused

SUMMARY = "the file system of a volume is full to the last block"
OPTIONS = (VOLUME, Option("instance", "refuse when it is at another one; a Name or an instance id", "instance"))
FILE = "LAB-FAULT-full-disk"
FILL = (
    WHERE
    + """
import errno
path = os.path.join(mount_of(sys.argv[1]), sys.argv[2])
handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
size, chunk = os.fstat(handle).st_size, 1 << 30
while chunk >= 512:
    try:
        os.posix_fallocate(handle, size, chunk)
        size += chunk
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # A failed attempt may have reserved a part of it, which is cut off: only whole chunks count.
        os.ftruncate(handle, size)
        chunk //= 2
os.fsync(handle)
found = os.statvfs(path)
print(json.dumps({"path": path, "bytes": size, "free": found.f_bavail * found.f_frsize}))
"""
)
EMPTY = (
    WHERE
    + """
path = os.path.join(mount_of(sys.argv[1]), sys.argv[2])
if os.path.exists(path):
    os.unlink(path)
print(json.dumps(path))
"""
)


def on(site: Site, options: Options) -> Effect:
    """Fill it."""
    volume = site.volume(str(options["volume"]))
    instance = site.running(site.holder(volume).id)
    if "instance" in options and site.instance(str(options["instance"])).id != instance.id:
        raise Refused(f"{volume.id} is at {instance.id}, not at {options['instance']}")
    found = guest.run(site, instance, FILL, volume.id, FILE)
    return Effect(f"{found['path']} of {found['bytes']} bytes at {instance.id}; room for {found['free']} more", volume)


def off(site: Site, _options: Options, memory: Any) -> str:
    """Remove the file where the volume is mounted now."""
    volume = memory
    if over(site, {}, volume):
        return f"{volume.id} is no more"
    if volume.attachment is None or not site.cloud.driver.running(volume.attachment.instance.id):
        hint = "attach and mount it first; the file goes with the volume"
        raise Refused(f"{FILE} is on {volume.id}, which is in no machine that runs", hint=hint)
    path = guest.run(site, volume.attachment.instance, EMPTY, volume.id, FILE)
    return f"removed {path} at {volume.attachment.instance.id}"


def over(_site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the volume is no more."""
    return memory.id not in memory.ec2_backend.volumes
