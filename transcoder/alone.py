"""One process of its kind on this computer: a lock that the kernel frees when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transcoder.errors import Refused


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file, which is made with its directory; it says whose process holds it.

    :param what: for the refusal, such as "a nightly restart of arbitrum".
    :raises Refused: when another process holds it, naming that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise Refused(f"{what} is under way already (process {holder})", hint=f"ps {holder}; {path}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)
