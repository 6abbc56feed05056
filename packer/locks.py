"""Locks between bakes on one machine. The kernel lets go of them when their process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from transcoder.errors import Refused


@contextmanager
def one_at_a_time(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file in the cache, so that two bakes do not write it both; wait for the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the directory of a bake, which another one (a dry run, too) would write anew below it.

    :raises Refused: when another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            hint = "wait for it to end, or interrupt it"
            raise Refused(f"a bake of this environment is under way here (process {holder})", hint=hint) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
