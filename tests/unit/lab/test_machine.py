"""What a machine is told, and how its end is understood; no machine is started here."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from lab import mconsole, process_group
from lab.console import LOG_BYTES, TAIL_BYTES, Console
from lab.machine import Disk, Launch, guest_device_name, reason_of_end, render_disk, render_kernel_arguments
from transcoder.errors import Failed, Unreachable

ROOT = Disk("vol-0aaa", Path("/disks/vol-0aaa.img"), "/dev/sda1")
DATA = Disk("vol-0bbb", Path("/disks/vol-0bbb.img"), "/dev/sdg")


def launch(*disks: Disk) -> Launch:
    return Launch(
        *("i-01", ROOT, disks, "02:00:ac:1f:d2:0a", "tap01", "172.31.210.10/25", "172.31.210.1", 512, Path("/run/uml"))
    )


def test_the_disks_known_at_start_are_on_the_command_line_with_their_serials() -> None:
    arguments = render_kernel_arguments(launch(DATA))
    assert "ubda=/disks/vol-0aaa.img,,vol0aaa.sda1" in arguments
    assert "ubdb=/disks/vol-0bbb.img,,vol0bbb.xvdg" in arguments


def test_a_machine_never_restarts_inside_its_process() -> None:
    assert "noreboot" in render_kernel_arguments(launch())


def test_the_machine_is_named_addressed_and_joined_to_its_tap() -> None:
    arguments = render_kernel_arguments(launch())
    assert {"umid=i-01", "uml_dir=/run/uml/", "lab.ip=172.31.210.10/25", "lab.gw=172.31.210.1"} <= set(arguments)
    assert "vec0:transport=tap,ifname=tap01,depth=128,gro=1,mac=02:00:ac:1f:d2:0a" in arguments


def test_more_disks_than_the_driver_has_names_are_refused() -> None:
    with pytest.raises(Failed, match="16 volumes"):
        render_kernel_arguments(launch(*[DATA] * 16))


@pytest.mark.parametrize(
    ("device", "name"),
    [("/dev/sdg", "xvdg"), ("/dev/xvdh", "xvdh"), ("/dev/sda1", "sda1"), ("/dev/xvda", "sda1"), ("/dev/sdf1", "xvdf1")],
)
def test_the_guest_sees_a_device_under_the_name_that_ec2_gives_it(device: str, name: str) -> None:
    assert guest_device_name(device) == name


@pytest.mark.parametrize("path", ["/disks/a,b.img", "/disks/a:b.img", "/disks/a b.img"])
def test_a_path_that_the_driver_would_split_is_refused(path: str) -> None:
    with pytest.raises(Failed, match="comma, colon or space"):
        render_disk(Disk("vol-01", Path(path), "/dev/sdg"))


@pytest.mark.parametrize(
    ("last_line", "reason"),
    [
        ("reboot: Restarting system", "reboot"),
        ("[   12.1] reboot: System halted", "halt"),
        ("reboot: Power down", "halt"),
        ("Kernel panic - not syncing: sysrq triggered crash", "crash"),
        ("", "crash"),
    ],
)
def test_the_kernel_s_last_words_say_why_it_ended(last_line: str, reason: str) -> None:
    assert reason_of_end(f"something earlier\n{last_line}\n") == reason


def test_a_guest_that_prints_the_words_long_before_its_end_has_not_rebooted() -> None:
    assert reason_of_end("reboot: Restarting system\n" + "line\n" * 10) == "crash"


def test_a_request_to_the_management_console_is_a_datagram_of_the_kernel_s_layout() -> None:
    datagram = mconsole.render_request("version")
    assert len(datagram) == 12 + 512
    assert struct.unpack_from("<III", datagram) == (0xCAFEBABE, 2, 7)
    assert datagram[12:].rstrip(b"\0") == b"version"


def test_a_command_that_the_kernel_would_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="511 bytes"):
        mconsole.render_request("x" * 512)


def test_an_answer_holds_error_continuation_and_text() -> None:
    datagram = struct.pack("<iII", -16, 1, 6) + b"busy!\n" + b"rubbish"
    assert mconsole.parse_reply(datagram) == mconsole.Reply(error=-16, more=True, text="busy!")


def test_an_answer_that_is_too_short_is_an_error() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        mconsole.parse_reply(b"abc")


def test_a_machine_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="version"):
        mconsole.request(tmp_path / "i-01" / "mconsole", "version", timeout=0.1)
    assert not list(tmp_path.iterdir())


def test_the_console_keeps_the_end_of_the_run_and_bounds_its_log(tmp_path: Path) -> None:
    console = Console(tmp_path / "i-01.console.log")
    with (tmp_path / "long").open("wb") as file:
        file.write(b"early\n" + b"x" * (3 * LOG_BYTES) + b"\nlast words\n")
    with (tmp_path / "long").open("rb") as stream:
        console.collect(stream)
    assert len(console.text()) == TAIL_BYTES
    assert console.text().endswith("last words\n")
    (tmp_path / "long").unlink()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * (LOG_BYTES + TAIL_BYTES)


def test_a_new_run_forgets_the_console_of_the_run_before(tmp_path: Path) -> None:
    console = Console(tmp_path / "i-01.console.log")
    (tmp_path / "words").write_bytes(b"reboot: System halted\n")
    with (tmp_path / "words").open("rb") as stream:
        console.collect(stream)
    console.begin()
    assert console.text() == ""


def test_reaping_kills_no_process_that_is_not_a_machine_of_that_name(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (tmp_path / "i-01.pgid").write_text(f"{bystander.pid}\n")
        assert process_group.reap(tmp_path) == []
        assert bystander.poll() is None
        assert not (tmp_path / "i-01.pgid").exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_reaping_kills_the_whole_group_of_a_machine_that_a_crash_left(tmp_path: Path) -> None:
    # `exec -a` gives a sleep the name and the arguments of a machine; its child stays in the group.
    script = 'sleep 61 & exec -a linux.uml bash -c "read line; :" bash umid=i-01'
    orphan = subprocess.Popen(["bash", "-c", script], stdin=subprocess.PIPE, start_new_session=True)
    try:
        (tmp_path / "i-01.pgid").write_text(f"{orphan.pid}\n")
        _wait_for_name(orphan.pid)
        assert process_group.reap(tmp_path) == ["i-01"]
        assert process_group.members(orphan.pid) == []
    finally:
        orphan.communicate()


def _wait_for_name(pid: int) -> None:
    while not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"linux.uml"):
        os.sched_yield()
