"""``lab.commands`` and ``lab.lifecycle`` on a lab without machines: up, status, a crash, down."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import commands, leftovers, lifecycle
from tests.contract.conftest import free_port
from transcoder import settings
from transcoder.errors import Refused, Unreachable
from transcoder.settings import Settings


def environment(directory: Path, port: int, **extra: str) -> Settings:
    """Return the lab environment as it ships, but for a [lab] table without machines."""
    shipped = (settings.DIRECTORY / "lab.toml").read_text().split("[lab]")[0]
    table = {"name": '"commands"', "machines": '"none"', "endpoint_port": str(port), "state_root": f'"{directory}"'}
    lines = [f"{key} = {value}" for key, value in (table | extra).items()]
    path = directory / "without-machines.toml"
    path.write_text(shipped.replace(":5620", f":{port}") + "[lab]\n" + "\n".join(lines) + "\n")
    return settings.load(str(path))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Settings]:
    """Return an environment whose lab is taken down at the end."""
    chosen = environment(tmp_path, free_port())
    yield chosen
    commands.down(chosen)


def test_a_lab_comes_up_once_and_goes_down_without_a_trace(lab: Settings) -> None:
    said: list[str] = []
    first = commands.up(lab, said.append)
    assert not first.was_up
    assert any(lab.aws.endpoint_url in line for line in said)
    assert commands.up(lab, said.append) == commands.Up(first.ready, was_up=True)
    found = commands.status(lab)
    assert [image["Name"] for image in found.images] == [first.ready.stock_image]
    assert found.machines == ()
    assert any("EC2 at" in line for line in commands.logs(lab))
    assert commands.down(lab) == commands.Down(was_there=True)
    assert leftovers.find(commands.configuration_of(lab)) == []
    assert commands.down(lab) == commands.Down(was_there=False)
    assert commands.status(lab).ready is None


def test_a_lab_is_not_taken_for_another(lab: Settings, tmp_path: Path) -> None:
    commands.up(lab, lambda _: None)
    port = commands.configuration_of(lab).endpoint_port
    with pytest.raises(Refused) as caught:
        commands.up(environment(tmp_path, port, machine_memory_mb="1024"), lambda _: None)
    assert "lab.down" in caught.value.hint


def test_a_crashed_lab_is_cleared_by_the_next(lab: Settings) -> None:
    crashed = commands.up(lab, lambda _: None).ready
    os.kill(crashed.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while lifecycle.is_daemon(crashed.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert commands.status(lab).ready is None
    assert not commands.up(lab, lambda _: None).was_up


def test_a_taken_port_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        chosen = environment(tmp_path, other.getsockname()[1])
        with pytest.raises(Refused) as caught:
            commands.up(chosen, lambda _: None)
    assert any("in use" in reason for reason in caught.value.reasons)
    assert not commands.configuration_of(chosen).state_directory.exists()


def test_a_host_that_lacks_root_and_tools_is_told_everything_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool in ("linux.uml", "nft") else f"/bin/{tool}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    chosen = environment(tmp_path, free_port(), machines='"uml"')
    with pytest.raises(Refused) as caught:
        commands.up(chosen, lambda _: None)
    text = str(caught.value)
    assert "linux.uml is missing (package user-mode-linux)" in text
    assert "nft is missing (package nftables)" in text
    assert "root" in text
    assert caught.value.hint == "apt-get install nftables user-mode-linux"


def test_a_shell_needs_a_lab_and_an_instance(lab: Settings) -> None:
    with pytest.raises(Unreachable):
        commands.shell(lab, "tc001")
    commands.up(lab, lambda _: None)
    with pytest.raises(Refused, match="0 instances are called 'tc001'"):
        commands.shell(lab, "tc001")
