"""A file system becomes read-only under a service that runs, as ext4 does it when it meets an error.

The kernel itself does it, told to meet an error (``trigger_fs_error``: kernel documentation, sysfs-fs-ext4). Its
journal is aborted then, so that it cannot be written to again before it was unmounted and checked.
"""

from __future__ import annotations

from typing import Any

from lab.faults import guest
from lab.faults.fault import Effect, Options
from lab.faults.mounts import WHERE
from lab.faults.options import VOLUME
from lab.faults.site import Site
from transcoder import layout

SUMMARY = "the file system of a volume has met an error and is read-only"
OPTIONS = (VOLUME,)
BREAK = (
    WHERE
    + """
import errno
mount = mount_of(sys.argv[1])
for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
    source, target = line.split()[:2]
    if target == mount:
        disk = os.path.basename(os.path.realpath(source))
subprocess.check_call(["mount", "-o", "remount,errors=remount-ro", mount])
pathlib.Path("/sys/fs/ext4", disk, "trigger_fs_error").write_text("1")
# Not the flags of the mount: since 6.12, and in 6.1.176, they do not say so.
probe = pathlib.Path(mount, "LAB-FAULT-read-only")
try:
    probe.write_text("")
except OSError as error:
    if error.errno != errno.EROFS:
        raise
else:
    probe.unlink()
    sys.exit(mount + " is still writable")
print(json.dumps([mount, "/dev/" + disk]))
"""
)
MEND = """
import subprocess, sys
mount, disk, service = sys.argv[1:]
unit = subprocess.check_output(["systemd-escape", "--path", "--suffix=mount", mount]).decode().strip()
subprocess.check_call(["systemctl", "stop", unit])
done = subprocess.Popen(["e2fsck", "-fp", disk], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
said = done.communicate()[0].decode()
if done.returncode not in (0, 1):
    sys.exit(said)
subprocess.check_call(["systemctl", "start", unit])
subprocess.check_call(["systemctl", "start", "--no-block", service])
print("true")
"""
SERVICES = {data.mount: data.service.unit for data in layout.VOLUMES}


def on(site: Site, options: Options) -> Effect:
    """Let it meet an error."""
    volume = site.volume(str(options["volume"]))
    instance = site.running(site.holder(volume).id)
    mount, disk = guest.run(site, instance, BREAK, volume.id)
    return Effect(f"{mount} of {instance.id} is read-only", (instance, volume, mount, disk))


def off(site: Site, options: Options, memory: Any) -> str:
    """Unmount it, check it, mount it, and start what runs on it."""
    instance, volume, mount, disk = memory
    if over(site, options, memory):
        return f"{volume.id} has left {instance.id}, or that is off: what mounts it next checks it"
    guest.run(site, instance, MEND, mount, disk, SERVICES[mount])
    return f"{mount} of {instance.id} was checked and is writable"


def over(site: Site, _options: Options, memory: Any) -> bool:
    """Tell whether the machine is off, or has not got the volume any more."""
    instance, volume = memory[:2]
    attachment = volume.attachment
    elsewhere = attachment is None or attachment.instance.id != instance.id
    return elsewhere or not site.cloud.driver.running(instance.id)
