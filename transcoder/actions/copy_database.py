"""Runs on the machine: prints a consistent copy of a sqlite database in base64, taken with sqlite's backup API.

    python3 - DATABASE < copy_database.py

Python's own ``Connection.backup`` came with 3.7, and Ubuntu 18.04 has 3.6: the library beneath it is called instead.
The program that writes the database may go on. The copy is in memory (/dev/shm) until it is printed.
Python 3.6, standard library only.
"""

import base64
import ctypes
import ctypes.util
import os
import sys
import tempfile

OK, DONE, READ_ONLY, CREATE, WAIT = 0, 101, 1, 6, 120000
"""sqlite3.h: SQLITE_OK, SQLITE_DONE, SQLITE_OPEN_READONLY, SQLITE_OPEN_READWRITE | _CREATE; milliseconds for
which a writer is waited for: one that writes without a pause leaves little room for others."""


def opened(library: ctypes.CDLL, path: str, flags: int) -> ctypes.c_void_p:
    """Return a handle of the database at ``path``."""
    handle = ctypes.c_void_p()
    code = library.sqlite3_open_v2(os.fsencode(path), ctypes.byref(handle), flags, None)
    if code != OK:
        raise SystemExit("sqlite cannot open {}: code {}".format(path, code))  # noqa: UP032 - Python 3.6
    library.sqlite3_busy_timeout(handle, WAIT)
    return handle


def copy(library: ctypes.CDLL, source: str, target: str) -> None:
    """Copy the database ``source`` to ``target``, as it is at one moment."""
    old, new = opened(library, source, READ_ONLY), opened(library, target, CREATE)
    backup = library.sqlite3_backup_init(new, b"main", old, b"main")
    code = library.sqlite3_backup_step(ctypes.c_void_p(backup), -1) if backup else -1
    ended = library.sqlite3_backup_finish(ctypes.c_void_p(backup)) if backup else -1
    library.sqlite3_close(new)
    library.sqlite3_close(old)
    if (code, ended) != (DONE, OK):
        raise SystemExit(f"sqlite cannot copy {source}: code {code}")


def main(path: str) -> None:
    """Print the copy."""
    library = ctypes.CDLL(ctypes.util.find_library("sqlite3") or "libsqlite3.so.0")
    library.sqlite3_backup_init.restype = ctypes.c_void_p
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        target = os.path.join(directory, "copy")  # noqa: PTH118
        copy(library, path, target)
        with open(target, "rb") as file:  # noqa: PTH123
            sys.stdout.write(base64.b64encode(file.read()).decode())


if __name__ == "__main__":
    main(sys.argv[1])
