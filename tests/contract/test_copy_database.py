"""The copy of livepeer's database, taken as on a machine: the program read from standard input, its writer going on."""

from __future__ import annotations

import base64
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from transcoder.actions.keys import COPY_DATABASE

WRITER = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = " + sys.argv[2])
database.execute("CREATE TABLE tickets (number INTEGER PRIMARY KEY, value BLOB)")
database.execute("CREATE TABLE total (count INTEGER)")
database.execute("INSERT INTO total VALUES (0)")
number = 0
while True:
    number += 1
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO tickets VALUES (?, randomblob(2000))", (number,))
    database.execute("UPDATE total SET count = ?", (number,))
    database.execute("COMMIT")
    print(number, flush=True)
    time.sleep(0.005)
"""
"""A ticket and the total are written together or not at all, as fast as the disk takes them, with a moment between."""


@pytest.fixture(params=["DELETE", "WAL"])
def writer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A database, and the process that writes it."""
    path = tmp_path / "lpdb.sqlite3"
    command = [sys.executable, "-c", WRITER, str(path), request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield path, process
        finally:
            process.kill()


def written(process: subprocess.Popen[str]) -> int:
    """Return the number of the next ticket that the writer says it has written."""
    assert process.stdout is not None
    return int(process.stdout.readline())


def copy(path: Path) -> subprocess.CompletedProcess[str]:
    """Copy a database as `transcoder.actions.keys.read_database` does."""
    command = [sys.executable, "-", str(path)]
    program = COPY_DATABASE.read_text(encoding="utf-8")
    return subprocess.run(command, input=program, capture_output=True, text=True, timeout=120, check=False)


def read(content: bytes, path: Path) -> tuple[str, int, int, int]:
    """Return what sqlite thinks of a copy, the total that it tells, the tickets that it has, and the last of them."""
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as database:
        (sound,) = database.execute("PRAGMA integrity_check").fetchone()
        (total,) = database.execute("SELECT count FROM total").fetchone()
        count, last = database.execute("SELECT count(*), max(number) FROM tickets").fetchone()
    return sound, total, count, last


def test_a_copy_of_a_database_that_is_being_written_is_of_one_moment(
    writer: tuple[Path, subprocess.Popen[str]], tmp_path: Path
) -> None:
    path, process = writer
    while written(process) < 20:
        pass
    for attempt in range(3):
        before = written(process)
        done = copy(path)
        assert done.returncode == 0, done.stderr
        assert process.poll() is None, "the writer goes on"
        sound, total, count, last = read(base64.b64decode(done.stdout), tmp_path / f"copy-{attempt}")
        assert sound == "ok"
        assert total == count == last, "no half of a transaction"
        assert total >= before, "all that was written before is there"


def test_a_database_that_is_locked_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lpdb.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE tickets (number INTEGER)")
        database.execute("BEGIN EXCLUSIVE")
        command = [sys.executable, "-", str(path)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            assert process.stdin is not None
            process.stdin.write(COPY_DATABASE.read_bytes())
            process.stdin.close()
            wait_until_open(process.pid, path)
            database.execute("INSERT INTO tickets VALUES (7)")
            database.execute("COMMIT")
            assert process.stdout is not None
            content = base64.b64decode(process.stdout.read())
    assert process.returncode == 0
    (tmp_path / "copy").write_bytes(content)
    with closing(sqlite3.connect(tmp_path / "copy")) as database:
        assert database.execute("SELECT number FROM tickets").fetchall() == [(7,)]


def wait_until_open(pid: int, path: Path) -> None:
    """Wait until a process has a file open."""
    deadline = time.monotonic() + 60
    while not any(link.is_symlink() and link.readlink() == path for link in Path(f"/proc/{pid}/fd").iterdir()):
        assert time.monotonic() < deadline, f"{path} is not opened"
        time.sleep(0.01)


@pytest.mark.parametrize("content", [None, b"SQLite format 3\0 cut short", b"no database at all" * 100])
def test_what_is_no_database_is_an_error_and_nothing_is_printed(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "lpdb.sqlite3"
    if content is not None:
        path.write_bytes(content)
    done = copy(path)
    assert done.returncode != 0
    assert done.stdout == ""
    assert str(path) in done.stderr
