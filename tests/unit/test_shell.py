"""A shell that stays open, against a real sh behind a channel like paramiko's."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator

import pytest

from transcoder.batch import parse_batch, render_batch
from transcoder.shell import Shell
from transcoder.world import Command

TOKEN = "c0ffee" * 5


class LocalChannel:
    """A ``sh`` of this machine behind the methods of an SSH channel."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(["sh"], stdin=pipe, stdout=pipe, stderr=pipe)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdin, self.out, self.err = self.process.stdin, self.process.stdout, self.process.stderr
        self._either = select.epoll()
        for stream in (self.out, self.err):
            os.set_blocking(stream.fileno(), False)
            self._either.register(stream, select.EPOLLIN)

    @property
    def closed(self) -> bool:
        return self.process.poll() is not None

    @property
    def eof_received(self) -> bool:
        return self.closed

    def fileno(self) -> int:
        return self._either.fileno()

    def sendall(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def recv_ready(self) -> bool:
        return bool(self.out.peek(1)) if not self.out.closed else False  # type: ignore[attr-defined]

    def recv(self, size: int) -> bytes:
        return self.out.read1(size)  # type: ignore[attr-defined, no-any-return]

    def recv_stderr_ready(self) -> bool:
        return bool(self.err.peek(1)) if not self.err.closed else False  # type: ignore[attr-defined]

    def recv_stderr(self, size: int) -> bytes:
        return self.err.read1(size)  # type: ignore[attr-defined, no-any-return]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.stdin, self.out, self.err):
            stream.close()
        self._either.close()


@pytest.fixture
def channel() -> Iterator[LocalChannel]:
    made = LocalChannel()
    yield made
    made.close()


def test_one_batch_after_the_other_runs_in_the_same_shell(channel: LocalChannel) -> None:
    shell, pid = Shell(channel), channel.process.pid
    for number in range(3):
        commands = (Command(("echo", f"run {number}")), Command(("sh", "-c", "echo problem >&2; exit 4"), ok=(4,)))
        first, second = parse_batch(commands, TOKEN, *shell.run(render_batch(commands, TOKEN), TOKEN, 10))
        assert (first.stdout, first.exit_code) == (f"run {number}\n", 0)
        assert (second.stderr, second.exit_code) == ("problem\n", 4)
    assert channel.process.pid == pid
    assert not channel.closed


def test_a_batch_that_breaks_off_does_not_end_the_shell(channel: LocalChannel) -> None:
    shell = Shell(channel)
    commands = (Command(("false",)), Command(("echo", "never")))
    assert len(parse_batch(commands, TOKEN, *shell.run(render_batch(commands, TOKEN), TOKEN, 10))) == 1
    assert shell.run(render_batch((Command(("true",)),), TOKEN), TOKEN, 10)[0] == f"\n{TOKEN} 0\n"


def test_much_output_on_both_streams_arrives_whole(channel: LocalChannel) -> None:
    text = "x" * 99 + "\n"
    many = f"i=0; while [ $i -lt 3000 ]; do echo {'x' * 99}; echo {'x' * 99} >&2; i=$((i+1)); done"
    out, err = Shell(channel).run(many, TOKEN, 30)
    assert (out, err) == (text * 3000, text * 3000)


def test_what_does_not_end_is_given_up(channel: LocalChannel) -> None:
    with pytest.raises(TimeoutError):
        Shell(channel).run("sleep 60", TOKEN, 0.2)


def test_a_shell_that_has_ended_says_its_last_words(channel: LocalChannel) -> None:
    shell = Shell(channel)
    with pytest.raises((EOFError, BrokenPipeError)):
        shell.run("true\n)\necho 'no more' >&2; exit 7\n(true", TOKEN, 10)
