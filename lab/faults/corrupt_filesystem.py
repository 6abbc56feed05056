"""The file system of a volume is damaged while no machine has it: ``e2fsck -p`` refuses to repair it (exit 4).

A few bytes are changed, and known: switching off puts them back wherever nobody has repaired or overwritten them since.
``e2fsck -y`` repairs it too, and loses no file. The milder kind is repaired by ``e2fsck -p`` itself (exit 1). That it
is so is proven on a copy before the volume is touched.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from lab.disk import sparse_copy
from lab.faults import ext4
from lab.faults.fault import Effect, Options
from lab.faults.options import VOLUME, Option
from lab.faults.site import Site
from transcoder.errors import Failed, Refused

SUMMARY = "the ext4 of a volume that no machine has is damaged beyond what e2fsck -p repairs"
OPTIONS = (
    VOLUME,
    Option("severity", "mild: e2fsck -p repairs it", default="severe", choices=("severe", "mild")),
)
EXPECTED = {"severe": 4, "mild": 1}
"""Exit code of ``e2fsck -p`` by severity: errors left uncorrected, errors corrected (e2fsck(8))."""


def on(site: Site, options: Options) -> Effect:
    """Damage it."""
    volume, severity = site.volume(str(options["volume"])), str(options["severity"])
    check_nobody_has(site, volume)
    disk = site.cloud.driver.disk_file(volume.id)
    patches = ext4.plan_damage(disk, beyond_preen=severity == "severe")
    prove(disk, patches, EXPECTED[severity])
    apply(disk, patches)
    count = sum(sum(a != b for a, b in zip(patch.before, patch.after, strict=True)) for patch in patches)
    return Effect(f"{count} bytes of {volume.id} are wrong: e2fsck -p exits {EXPECTED[severity]}", (volume, patches))


def off(site: Site, _options: Options, memory: Any) -> str:
    """Put the bytes back that are still as this fault has left them."""
    volume, patches = memory
    if over(site, {}, memory):
        return f"{volume.id} is no more"
    check_nobody_has(site, volume)
    disk = site.cloud.driver.disk_file(volume.id)
    left = tuple(patch for patch in patches if read(disk, patch) == patch.after)
    apply(disk, tuple(ext4.Patch(each.offset, each.after, each.before) for each in left))
    return f"{len(left)} of {len(patches)} damaged places of {volume.id} restored, the others were repaired since"


def over(_site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the volume is no more."""
    return memory[0].id not in memory[0].ec2_backend.volumes


def check_nobody_has(site: Site, volume: Any) -> None:
    """Refuse a volume that a running machine has: its kernel holds parts of the disk in memory."""
    attachment = volume.attachment
    if attachment is not None and site.cloud.driver.running(attachment.instance.id):
        hint = f"detach it, or stop {attachment.instance.id}"
        raise Refused(f"{volume.id} is in the machine of {attachment.instance.id}, which runs", hint=hint)


def prove(disk: Path, patches: tuple[ext4.Patch, ...], expected: int) -> None:
    """See on a copy that ``e2fsck -p`` ends as expected.

    :raises Failed: it does not; the disk itself is untouched.
    """
    copy = disk.with_suffix(".proof")
    try:
        sparse_copy(disk, copy)
        apply(copy, patches)
        done = subprocess.run(["e2fsck", "-p", str(copy)], capture_output=True, text=True, check=False)
        if done.returncode != expected:
            said = (done.stdout + done.stderr).strip()[-400:]
            raise Failed(f"{disk.stem} is not damaged as wanted: e2fsck -p exits {done.returncode}: {said}")
    finally:
        copy.unlink(missing_ok=True)


def apply(disk: Path, patches: tuple[ext4.Patch, ...]) -> None:
    """Write."""
    with disk.open("r+b") as file:
        for patch in patches:
            file.seek(patch.offset)
            file.write(patch.after)


def read(disk: Path, patch: ext4.Patch) -> bytes:
    """Return the bytes of a disk where a patch is."""
    with disk.open("rb") as file:
        file.seek(patch.offset)
        return file.read(len(patch.after))
