# ruff: noqa: PTH112, PTH118, PTH123, UP006, UP032, UP035 - runs on Python 3.6, inside a machine
"""Runs inside a machine (Python 3.6, standard library only), read from standard input: what happens in the keystore.

A line of JSON for each event of inotify, in the kernel's own order. Each time a name that livepeer would read
appears, what it reads at that moment follows: the digest of its bytes, its mode, its owner.
"""

import ctypes
import hashlib
import json
import os
import select
import struct
import sys
from typing import Dict, Iterator, Tuple

DATADIR = "/d1/livepeer/.lpData"
EVENTS = {
    0x2: "modified",
    0x8: "written",
    0x40: "moved from",
    0x80: "moved to",
    0x100: "created",
    0x200: "deleted",
}
"""sys/inotify.h: IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE."""
HEAD = struct.Struct("iIII")
LIBC = ctypes.CDLL(None, use_errno=True)


def say(**line: object) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def add(queue: int, directory: str) -> int:
    """Watch a directory; return its number."""
    number = int(LIBC.inotify_add_watch(queue, os.fsencode(directory), ctypes.c_uint32(sum(EVENTS))))
    if number < 0:
        raise SystemExit("{} cannot be watched: errno {}".format(directory, ctypes.get_errno()))
    return number


def events(queue: int) -> Iterator[Tuple[int, int, str]]:
    """Yield the number of the directory, the mask and the name of each event, until nobody reads any more."""
    ready = select.poll()
    ready.register(queue, select.POLLIN)
    ready.register(sys.stdout.fileno(), 0)
    while sys.stdout.fileno() not in dict(ready.poll()):
        data = os.read(queue, 65536)
        while data:
            number, mask, _, length = HEAD.unpack_from(data)
            name = data[HEAD.size : HEAD.size + length].rstrip(b"\0")
            data = data[HEAD.size + length :]
            yield number, mask, os.fsdecode(name)


def seen(path: str) -> Dict[str, object]:
    """Return what is read at a path at this moment."""
    try:
        with open(path, "rb") as file:
            content, stat = file.read(), os.fstat(file.fileno())
    except OSError as error:
        return {"error": error.strerror}
    mode = "{:o}".format(stat.st_mode & 0o7777)
    return {
        "digest": hashlib.sha256(content).hexdigest(),
        "owner": "{}:{}".format(stat.st_uid, stat.st_gid),
        "mode": mode,
        "inode": stat.st_ino,
    }


def main() -> None:
    """Say what happens."""
    queue = int(LIBC.inotify_init())
    directories = {add(queue, DATADIR): DATADIR}
    keystore = os.path.join(DATADIR, "keystore")
    if os.path.isdir(keystore):
        directories[add(queue, keystore)] = keystore
    say(watching=sorted(directories.values()))
    for number, mask, name in events(queue):
        path = os.path.join(directories[number], name)
        if directories[number] == DATADIR and name not in ("keystore", "keys.json", ".keys.json.new"):
            continue  # livepeer's own files: its database, its records
        if path == keystore and mask & 0x100:
            directories[add(queue, keystore)] = keystore
        for bit in sorted(EVENTS):
            if mask & bit:
                say(event=EVENTS[bit], path=path, **({} if name.startswith(".") or os.path.isdir(path) else seen(path)))


if __name__ == "__main__":
    main()
