"""Where a volume of the lab is mounted in a machine: the begin of programs that faults run there."""

WHERE = """
import json, os, pathlib, subprocess, sys
def mount_of(volume):
    # The serial of a disk of the lab is "<volume id without its dash>.<device name>".
    for serial in pathlib.Path("/sys/block").glob("*/serial"):
        if serial.read_text().startswith(volume.replace("-", "") + "."):
            device = "/dev/" + serial.parent.name
            for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
                source, target = line.split()[:2]
                if os.path.realpath(source) == device:
                    return target
    sys.exit(volume + " is not mounted in this machine")
"""
"""Ends with a message when it is not."""
