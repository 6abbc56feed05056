"""What the stand-in keeps in its data directory: the lock, the node key, the chain's head, the network's state."""

import fcntl
import json
import os
from typing import Any, Dict, List, Optional

from ..common.keystore import make_private_directory
from .config import Fatal

_ROTATE_BYTES = 1 << 20


def _sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: str, text: str) -> None:
    """Replace a file whole or not at all, on disk when this returns."""
    temporary = path + ".tmp"
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    _sync_directory(os.path.dirname(path))


class DataDirectory:
    """DataDir/geth with its lock and node key, and DataDir/keystore; all 0700, as geth makes them."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.instance = os.path.join(path, "geth")
        self.chaindata = os.path.join(self.instance, "chaindata")
        self._lock: Optional[Any] = None

    def open(self) -> None:
        """Create what is missing and take the lock; Fatal when another process has it."""
        for directory in (self.path, self.instance, self.chaindata, os.path.join(self.path, "keystore")):
            make_private_directory(directory)
        self._lock = open(os.path.join(self.instance, "LOCK"), "a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = "Error starting protocol stack: datadir already used by another process"
            raise Fatal(text) from error
        self._ensure_node_key()

    def _ensure_node_key(self) -> None:
        path = os.path.join(self.instance, "nodekey")
        if not os.path.exists(path):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(os.urandom(32).hex())

    def close(self) -> None:
        """Let the lock go."""
        if self._lock:
            self._lock.close()
            self._lock = None


class HeadLog:
    """The heads that the chain has had, one number a line; the last whole line counts.

    What was written and not synced survives the death of the process but not the loss of power, as with leveldb.
    """

    def __init__(self, chaindata: str) -> None:
        self._path = os.path.join(chaindata, "000001.log")
        self._file = open(self._path, "a+b")
        self.dropped = 0

    def last(self) -> Optional[int]:
        """The newest head; a torn last line is cut off (`dropped` counts its bytes). None in a fresh directory."""
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        self.dropped = len(lines[-1])
        if self.dropped:
            self._file.truncate(self._file.seek(0, os.SEEK_END) - self.dropped)
        whole = [line for line in lines[:-1] if line.isdigit()]
        return int(whole[-1]) if whole else None

    def append(self, number: int) -> None:
        """Note a new head; starts a new file when this one has grown too long."""
        if self._file.tell() > _ROTATE_BYTES:
            self._file.close()
            write_durably(self._path, "")
            self._file = open(self._path, "a+b")
        self._file.write(b"%d\n" % number)
        self._file.flush()

    def sync(self) -> None:
        """On disk when this returns."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        self._file.close()


def load_network(chaindata: str) -> Dict[str, Any]:
    """What "the network" knows: contract state, events, waiting transactions, and the anchor of block times."""
    try:
        with open(os.path.join(chaindata, "network.json")) as file:
            state: Dict[str, Any] = json.load(file)
            return state
    except FileNotFoundError:
        return {}


def save_network(chaindata: str, state: Dict[str, Any]) -> None:
    """Store it durably: what the network has agreed on is not lost with one node's power."""
    write_durably(os.path.join(chaindata, "network.json"), json.dumps(state, sort_keys=True))


def trimmed(items: List[Any], newest: int) -> List[Any]:
    """The last `newest` items."""
    return items[-newest:]
