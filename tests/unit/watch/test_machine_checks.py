"""Units, volumes, clock, image: each check on a healthy machine and on a broken one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from watch import clock, image, units, volumes
from watch.model import NoAnswer

from tests.unit.watch.machine import ALARM, MOUNTS, OK, WARN, Machine, levels

DAY = 86400.0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_active_units_are_well_and_tell_since_when(machine: Machine) -> None:
    found = machine.look(units.look)

    assert set(levels(found).values()) == {OK}
    assert found["unit/geth"].value == 900  # up for 1000 s, active since second 100
    assert "15 min" in found["unit/geth"].message


@pytest.mark.parametrize("role", ["geth", "livepeer", "chrony"])
def test_a_unit_that_is_not_active_is_red_and_says_how_it_is(machine: Machine, role: str) -> None:
    machine.units({role: ("failed", "failed")})

    found = machine.look(units.look)

    assert [name for name, reading in found.items() if reading.level != OK] == [f"unit/{role}"]
    assert "failed" in found[f"unit/{role}"].message


def test_a_unit_that_an_operation_holds_says_so(machine: Machine) -> None:
    machine.units({"livepeer": ("inactive", "dead")})
    machine.write("/run/transcoder/hold/livepeer-transcoder.service", "")

    assert "held by an operation" in machine.look(units.look)["unit/livepeer"].message


def test_a_unit_that_falls_over_again_and_again_is_told_though_it_is_active(machine: Machine) -> None:
    machine.units(restarts=2)
    assert machine.look(units.look)["restarts/geth"].level == OK
    machine.now += 600
    machine.units(restarts=5)
    assert machine.look(units.look)["restarts/geth"].level == WARN
    machine.now += 3700
    assert machine.look(units.look)["restarts/geth"].level == OK


def test_without_an_answer_of_systemd_nothing_is_claimed(machine: Machine) -> None:
    machine.printed["systemctl"] = NoAnswer("systemctl ends with 1: Failed to connect to bus")

    found = machine.look(units.look)

    assert "Failed to connect to bus" in found[""].message
    assert len(found) == 1


def test_volumes_in_their_places_are_well(machine: Machine) -> None:
    found = machine.look(volumes.look)

    assert {name for name in found if name.startswith("mount")} == {"mount/geth", "mount/livepeer"}
    assert found["mount/livepeer"].level == found["mount/geth"].level == OK
    assert {"space/livepeer", "space/geth", "space/root", "filling/root"} <= set(found)


def with_errors(machine: Machine, count: str) -> None:
    """Let the kernel tell how many errors the file system of livepeer's volume has met."""
    machine.write("/sys/dev/block/8:16/uevent", "MAJOR=8\nMINOR=16\nDEVNAME=sdb\nDEVTYPE=disk\n")
    machine.write("/sys/fs/ext4/sdb/errors_count", f"{count}\n")


BROKEN_MOUNTS: dict[str, Callable[[Machine], object]] = {
    "has met 117 error(s)": lambda m: with_errors(m, "117"),
    "nothing is mounted on /d1": lambda m: m.write("/proc/1/mountinfo", MOUNTS.replace(" /d1 ", " /d3 ")),
    "read-only": lambda m: m.write("/proc/1/mountinfo", MOUNTS.replace("/dev/sdb rw", "/dev/sdb ro")),
    "has the file system 'spare'": lambda m: m.write("/run/udev/data/b8:16", "E:ID_FS_LABEL=spare\n"),
    "role 'geth'": lambda m: m.write("/d1/.transcoder.json", m.marker("geth")),
    "no readable": lambda m: m.write("/d1/.transcoder.json", "{"),
}


@pytest.mark.parametrize("told", BROKEN_MOUNTS)
def test_a_wrong_mount_is_red_and_says_what_is_wrong(machine: Machine, told: str) -> None:
    BROKEN_MOUNTS[told](machine)

    found = machine.look(volumes.look)

    assert found["mount/livepeer"].level == ALARM
    assert told in found["mount/livepeer"].message
    assert found["mount/geth"].level == OK


def test_a_file_system_that_has_met_no_error_is_right(machine: Machine) -> None:
    with_errors(machine, "0")

    assert machine.look(volumes.look)["mount/livepeer"].level == OK


def test_of_two_mounts_on_one_point_the_last_one_counts() -> None:
    found = volumes.parse_mountinfo(MOUNTS + "40 22 8:48 / /d1 ro shared:9 - ext4 /dev/sdd ro\n")

    assert found["/d1"] == volumes.Mounted("8:48", "ext4", False)
    assert volumes.parse_mountinfo("30 22 8:16 / /d\\0401 rw - ext4 /dev/sdb rw\n").keys() == {"/d 1"}


def statvfs_with(free: float, inodes: float) -> object:
    return lambda _: os.statvfs_result(
        (4096, 4096, 1000, int(free * 10), int(free * 10), 1000, 0, int(inodes * 10), 0, 255)
    )


@pytest.mark.parametrize(
    ("free", "inodes", "level", "told"),
    [
        (15.1, 80, OK, "bytes"),
        (15, 80, WARN, "bytes"),
        (5, 80, ALARM, "bytes"),
        (80, 5, ALARM, "inodes"),
    ],
)
def test_little_room_of_bytes_or_inodes_is_red(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, free: float, inodes: float, level: int, told: str
) -> None:
    monkeypatch.setattr(os, "statvfs", statvfs_with(free, inodes))

    found = machine.look(volumes.look)["space/livepeer"]

    assert (found.level, told in found.message) == (level, True)


@pytest.mark.parametrize(("a_day", "level"), [(0.0, OK), (1.0, OK), (4.0, WARN), (15.0, ALARM)])
def test_the_days_until_full_are_told_from_its_own_samples(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, a_day: float, level: int
) -> None:
    free = 50.0
    for _ in range(30):
        monkeypatch.setattr(os, "statvfs", statvfs_with(free, 90))
        found = machine.look(volumes.look)["filling/livepeer"]
        machine.now += 3600
        free -= a_day / 24

    assert found.level == level
    assert (found.value is None) == (a_day == 0)


def test_a_few_samples_say_nothing_of_when_it_will_be_full(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for free in (90, 50, 20):
        monkeypatch.setattr(os, "statvfs", statvfs_with(free, 90))
        found = machine.look(volumes.look)["filling/livepeer"]
        machine.now += 1000

    assert (found.level, found.value) == (OK, None)
    assert "not enough samples" in found.message


@pytest.mark.parametrize(("offset", "level"), [(0.00001, OK), (-1.5, WARN), (12.0, ALARM)])
def test_a_clock_that_is_off_is_red(machine: Machine, offset: float, level: int) -> None:
    machine.tracking(offset=offset)

    assert machine.look(clock.look)["clock"].level == level


def test_a_clock_that_follows_nobody_is_red_whatever_its_offset(machine: Machine) -> None:
    machine.tracking(leap="Not synchronised")

    assert machine.look(clock.look)["clock"].level == ALARM


@pytest.mark.parametrize(("days", "level"), [(10, OK), (91, WARN), (366, ALARM)])
def test_an_old_image_is_told(machine: Machine, days: float, level: int) -> None:
    machine.baked(days)

    assert machine.look(image.look)["image-age"].level == level


@pytest.mark.parametrize(("days", "level"), [(0.5, OK), (2, WARN), (15, ALARM)])
def test_a_reboot_that_is_asked_for_is_told_with_the_packages_that_ask(
    machine: Machine, days: float, level: int
) -> None:
    asked = machine.write(image.REBOOT, "*** System restart required ***\n")
    machine.write(image.REBOOT + ".pkgs", "linux-base\nlibc6\nlibc6\n")
    os.utime(asked, (machine.now, machine.now - days * DAY))

    found = machine.look(image.look)["reboot"]

    assert found.level == level
    assert "libc6, linux-base" in found.message


def test_no_reboot_is_asked_for_on_a_fresh_machine(machine: Machine) -> None:

    assert machine.look(image.look)["reboot"].level == OK


def test_an_image_that_does_not_say_when_it_was_baked_has_no_age_but_its_reboot_is_told(machine: Machine) -> None:
    machine.write(image.RELEASE, '{"os": "ubuntu-18.04"}')

    found = machine.look(image.look)

    assert (found["reboot"].level, set(found)) == (OK, {"reboot", ""})
    assert "does not say when" in found[""].message


@pytest.mark.parametrize("role", ["geth", "livepeer"])
def test_a_volume_that_an_operation_moves_is_not_touched(
    machine: Machine, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write(f"/run/transcoder/hold/{machine.config['units'][role]}", "")
    mount, touched = machine.config["volumes"][role]["mount"], []

    def noting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: object, *rest: Any, **named: Any) -> Any:
            touched.append(f"{path}/")
            return real(path, *rest, **named)

        return call

    monkeypatch.setattr("builtins.open", noting(open))
    monkeypatch.setattr(os, "statvfs", noting(os.statvfs))

    found = machine.look(volumes.look)

    assert touched
    assert [path for path in touched if f"{mount}/" in path] == []
    assert "held by an operation" in found[f"mount/{role}"].message
    assert f"space/{role}" not in found
