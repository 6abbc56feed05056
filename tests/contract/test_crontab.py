"""Debian's own crontab program, with a spool that nobody else sees: what it takes, gives back, and refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from transcoder import crontab
from transcoder.settings import ROOT

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("crontab") is None, reason="needs root, and Debian's package cron"
)
START = """
set -e
mount --types tmpfs --options mode=0755 private /var/spool/cron
install --directory --owner=root --group=crontab --mode=1730 /var/spool/cron/crontabs
echo ready
exec cat
"""
"""A mount namespace with an empty spool; it ends with the end of its standard input."""


class Spool:
    """root's crontab in a mount namespace; ``inside`` comes before a command that is to see it."""

    def __init__(self, inside: Sequence[str], home: Path) -> None:
        self._inside, self._home = inside, home

    def run(self, *argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        variables = {"HOME": str(self._home), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        command = [*self._inside, "env", f"--chdir={ROOT}", *argv]  # a mount namespace is entered at its root
        return subprocess.run(command, env=variables, input=stdin, capture_output=True, check=False)

    def invoke(self, task: str, *options: str, expect: int = 0) -> str:
        """Type a task of cron's; return all that it says."""
        done = self.run(sys.executable, "-m", "invoke", task, "--env", "arbitrum", *options)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == expect, said
        return said

    @property
    def table(self) -> bytes:
        """What is in the spool, byte for byte, below the three lines that Debian puts there."""
        done = self.run("cat", "/var/spool/cron/crontabs/root")
        return b"".join(done.stdout.splitlines(keepends=True)[3:])


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", START]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        yield Spool(["nsenter", "--mount", f"--target={holder.pid}", "--"], tmp_path)
        holder.stdin.close()


OTHERS = b"MAILTO=ops@example.org\n# caf\xe9 \x0c\x1c 100%\n\n\t*/5 * * * * /usr/bin/true % stdin\n"


def test_twice_installed_it_is_there_once_and_others_lines_are_theirs_to_the_byte(spool: Spool) -> None:
    assert spool.run("crontab", "-", stdin=OTHERS).returncode == 0
    spool.invoke("cron.install", "--at", "02:30")
    first = spool.table
    spool.invoke("cron.install", "--at", "02:30")

    assert spool.table == first
    assert first.startswith(OTHERS)
    assert first.count(b"nightly-restart --quiet") == 1
    assert "arbitrum: every day at 0" in spool.invoke("cron.show")
    spool.invoke("cron.remove")
    assert spool.table == OTHERS


def test_the_first_entry_of_a_user_without_a_crontab(spool: Spool) -> None:
    assert "no entry" in spool.invoke("cron.show")
    spool.invoke("cron.install", "--dry-run")
    assert spool.run("crontab", "-l").returncode == 1, "a dry run has written a crontab"
    spool.invoke("cron.install")
    assert len(spool.table.splitlines()) == 2


def test_a_carriage_return_is_shown_by_crontab_as_two_characters_so_it_is_refused(spool: Spool) -> None:
    spool.run("crontab", "-", stdin=b"0 4 * * * /usr/bin/true\r\n")
    assert spool.run("crontab", "-l").stdout.endswith(b"true\\r\n")

    assert "line 1 of the crontab ends with a carriage return" in spool.invoke("cron.install", expect=3)
    assert spool.table == b"0 4 * * * /usr/bin/true\r\n"


def test_debians_crontab_takes_as_many_bytes_as_we_let_pass(spool: Spool) -> None:
    fits, long = (b"0 3 * * * " + b"x" * size + b"\n" for size in (crontab.MOST_BYTES, crontab.MOST_BYTES + 1))
    assert spool.run("crontab", "-", stdin=fits).returncode == 0
    refused = spool.run("crontab", "-", stdin=long)
    assert (refused.returncode, b"command too long" in refused.stderr) == (1, True)
