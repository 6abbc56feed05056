"""What the node keeps in its data directory: node key, database, IPFS repository, and the stand-in's records."""

import base64
import fcntl
import hashlib
import json
import os
import sqlite3
import threading
import time
import zlib
from typing import Callable, Optional, Tuple

from . import log

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kv (
    key STRING PRIMARY KEY, value STRING, updatedAt STRING DEFAULT CURRENT_TIMESTAMP);
INSERT OR IGNORE INTO kv(key, value) VALUES('dbVersion', '1');
INSERT OR IGNORE INTO kv(key, value) VALUES('lastBlock', '0');
"""
_JOBS = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, recordedAt STRING DEFAULT CURRENT_TIMESTAMP, txID STRING, streamID STRING,
    segmentCost INTEGER, transcodeOptions STRING, broadcaster STRING, transcoder STRING, startBlock INTEGER,
    endBlock INTEGER, stopReason STRING DEFAULT NULL, stoppedAt STRING DEFAULT NULL);
CREATE TABLE IF NOT EXISTS claims (
    id INTEGER PRIMARY KEY, claimRoot STRING, claimBlock INTEGER, claimedAt STRING DEFAULT CURRENT_TIMESTAMP,
    updatedAt STRING, status STRING DEFAULT 'Submitted');
CREATE TABLE IF NOT EXISTS receipts (
    jobID INTEGER NOT NULL, claimID INTEGER, seqNo INTEGER NOT NULL, bcastHash STRING, bcastSig STRING,
    transcodedHash STRING, transcodeStartedAt STRING, transcodeEndedAt STRING, errorMsg STRING DEFAULT NULL,
    PRIMARY KEY(jobID, seqNo), FOREIGN KEY(jobID) REFERENCES jobs(id), FOREIGN KEY(claimID) REFERENCES claims(id));
"""


def node_id(directory: str) -> str:
    """The libp2p identity of keys.json (0644), made anew when the file is missing or broken: 68 hexadecimal digits.

    The content is random bytes in the real file's form, not an RSA key: nothing here speaks libp2p.
    """
    path = os.path.join(directory, "keys.json")
    try:
        with open(path) as file:
            public = base64.b64decode(json.load(file)["Pub"], validate=True)
    except (OSError, ValueError, KeyError, TypeError):
        log.error(f"Cannot file keys in data dir {directory}, creating new keys")
        public = os.urandom(299)
        keys = {"Pub": base64.b64encode(public).decode(), "Priv": base64.b64encode(os.urandom(1196)).decode()}
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        with os.fdopen(handle, "w") as file:
            json.dump(keys, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
    return "1220" + hashlib.sha256(public).hexdigest()


class Database:
    """lp.sqlite3. One connection, used from any thread, as the real one opens it. `jobs`: with the tables of 2018."""

    def __init__(self, directory: str, jobs: bool) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(os.path.join(directory, "lp.sqlite3"), check_same_thread=False)
        self._connection.executescript(_SCHEMA + (_JOBS if jobs else ""))
        self._connection.commit()

    def set_last_block(self, number: int) -> None:
        """Note the newest block that the node has seen."""
        with self._lock, self._connection:
            self._connection.execute(
                "UPDATE kv SET value = ?, updatedAt = datetime() WHERE key = 'lastBlock'", (number,)
            )

    def last_block(self) -> int:
        """Return the newest block that was noted."""
        with self._lock:
            return int(self._connection.execute("SELECT value FROM kv WHERE key = 'lastBlock'").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def open_ipfs(path: str) -> None:
    """Make the IPFS repository that the real node keeps at -ipfsPath; OSError when it cannot be."""
    for name in ("blocks", "datastore", "keystore", "logs"):
        os.makedirs(os.path.join(path, name), exist_ok=True)
    version = os.path.join(path, "version")
    if not os.path.exists(version):
        with open(version, "w") as file:
            file.write("6\n")


class Records:
    """records.log: what the stand-in writes all the time, so that loss can be counted.

    Every line is `<number> <unix time with milliseconds> <crc32 of both, 8 hexadecimal digits>`, and on disk before
    the next one is begun. Numbers rise by one, over restarts too.
    """

    INTERVAL = 0.02

    def __init__(self, directory: str, failed: Callable[[OSError], None]) -> None:
        self._path = os.path.join(directory, "records.log")
        self._failed = failed
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.next_number = self._recover()
        except OSError:
            os.close(self._handle)
            raise
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)

    def _recover(self) -> int:
        """The number to go on with; cuts off what a power loss left of the last line."""
        size = os.fstat(self._handle).st_size
        start = max(size - 65536, 0)
        tail = os.pread(self._handle, size - start, start)
        number, good = _last_whole(tail)
        if good < len(tail):
            log.info(f"Truncating {len(tail) - good} bytes of a torn record at the end of {self._path}")
            os.ftruncate(self._handle, start + good)
            os.fsync(self._handle)
        return 1 if number is None else number + 1

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write no more; the last record is whole and on disk."""
        self._stopping.set()
        self._thread.join()
        os.close(self._handle)

    def _run(self) -> None:
        while not self._stopping.wait(self.INTERVAL):
            try:
                os.write(self._handle, record(self.next_number, time.time()))
                os.fsync(self._handle)
            except OSError as error:
                self._failed(error)
                return
            self.next_number += 1


def record(number: int, now: float) -> bytes:
    """One line of records.log."""
    text = f"{number} {now:.3f}"
    return f"{text} {zlib.crc32(text.encode()) & 0xFFFFFFFF:08x}\n".encode()


def parse_record(line: bytes) -> Optional[int]:
    """The number of a line (without its line end) whose checksum is right, else None."""
    text, _, checksum = line.rpartition(b" ")
    number = text.partition(b" ")[0]
    if number.isdigit() and checksum == b"%08x" % (zlib.crc32(text) & 0xFFFFFFFF):
        return int(number)
    return None


def _last_whole(tail: bytes) -> Tuple[Optional[int], int]:
    """The last good number in the end of the file and how many of its bytes are to be kept."""
    end = tail.rfind(b"\n") + 1
    while end:
        start = tail.rfind(b"\n", 0, end - 1) + 1
        number = parse_record(tail[start : end - 1])
        if number is not None:
            return number, end
        end = start
    return None, 0
