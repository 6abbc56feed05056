"""Doing something inside a network namespace without moving the whole process there."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000  # linux/sched.h

Answer = TypeVar("Answer")


def call_inside(name: str, function: Callable[[], Answer]) -> Answer:
    """Call a function in a thread that has entered the namespace, and return what it returns.

    A socket made there stays there, and /proc/sys/net is the namespace's own. The thread ends with the call.

    :raises OSError: there is no such namespace, or the caller is not root; and whatever the function raises.
    """
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            _enter(NAMESPACES / name)
            answers.append(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, in whose thread it is raised again
            errors.append(error)

    thread = threading.Thread(target=body, name=f"inside-{name}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


def _enter(path: Path) -> None:
    # os.setns exists since Python 3.12 only.
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)
